//! A rebuild's puts and deletions of index objects: what a prune does that lists no manifests.
//!
//! No trace tells which trailers can be read, nor when packs were stored. So a pack that nobody lists may stay so beside
//! writers, whose it may be; and whoever damages a trailer has to know that its pack is missed here.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{Act, ObjectEvent};

pub struct RebuildSteps {
    /// The packs that each index object lists, of those found and put and not deleted.
    lists: BTreeMap<String, BTreeSet<String>>,
    /// Those found that say something, and all that they say.
    readable: Vec<BTreeSet<String>>,
    said: BTreeSet<String>,
    /// Those found that say nothing.
    unread: BTreeSet<String>,
    there: BTreeSet<String>,
    condemned: BTreeSet<String>,
    beside_writers: bool,
    /// What those put list by now.
    put: BTreeSet<String>,
    deletes: bool,
}

impl RebuildSteps {
    pub fn new(
        found: &[String],
        lists: &BTreeMap<String, BTreeSet<String>>,
        there: &BTreeSet<String>,
        condemned: &BTreeSet<String>,
        beside_writers: bool,
    ) -> Self {
        let unread = found.iter().filter(|name| !lists.contains_key(*name));
        Self {
            lists: lists.clone(),
            readable: lists.values().cloned().collect(),
            said: lists.values().flatten().cloned().collect(),
            unread: unread.cloned().collect(),
            there: there.clone(),
            condemned: condemned.clone(),
            beside_writers,
            put: BTreeSet::new(),
            deletes: false,
        }
    }

    pub fn deletes(&self) -> bool {
        self.deletes
    }

    pub fn take(&mut self, event: &ObjectEvent) -> Result<(), &'static str> {
        match event.act {
            Act::Put => self.put(event),
            Act::Delete => self.delete(&event.name),
            Act::List => Err("a rebuild lists the index before it puts anything"),
        }
    }

    fn put(&mut self, event: &ObjectEvent) -> Result<(), &'static str> {
        if self.deletes {
            return Err("what stands for an index object is there before that goes");
        }
        self.put.extend(event.packs.iter().cloned());
        self.lists.insert(event.name.clone(), event.packs.iter().cloned().collect());
        let is_known = |pack: &String| self.there.contains(pack) || self.said.contains(pack);
        if !event.packs.iter().all(is_known) {
            return Err("a pack that is not there, and that no index object listed");
        }
        let is_anew = |pack: &&String| self.condemned.contains(*pack) && !self.said.contains(*pack);
        match event.packs.iter().any(|pack| is_anew(&pack)) && !self.may_list_condemned() {
            true => Err(
                "what is condemned is listed anew where index objects cannot be read, or all are replaced",
            ),
            false => Ok(()),
        }
    }

    /// Whether one is damaged, or there is none, or those that say something are replaced: beside writers, one of them.
    fn may_list_condemned(&self) -> bool {
        let is_replaced = |packs: &BTreeSet<String>| packs.is_subset(&self.put);
        let replaces = match self.beside_writers {
            true => self.readable.iter().any(is_replaced),
            false => self.readable.iter().all(is_replaced),
        };
        !self.unread.is_empty() || replaces
    }

    fn delete(&mut self, name: &str) -> Result<(), &'static str> {
        self.deletes = true;
        let is_unread = self.unread.remove(name);
        let gone = self.lists.remove(name);
        let is_listed = |pack: &String| self.lists.values().any(|packs| packs.contains(pack));
        match gone {
            // Condemned or not, there or not: a prune that goes on has to find what it copies.
            Some(packs) if packs.iter().all(is_listed) => Ok(()),
            Some(_) => Err("an index object goes, and what it lists is listed nowhere else"),
            None if !is_unread => Err("an index object that it did not list"),
            None => {
                let is_missed = |pack: &&String| {
                    !is_listed(pack) && (!self.beside_writers || self.condemned.contains(*pack))
                };
                match self.there.iter().any(|pack| is_missed(&pack)) {
                    true => Err(
                        "a damaged index object goes, and a pack it may have listed is listed nowhere",
                    ),
                    false => Ok(()),
                }
            }
        }
    }
}
