//! The session: databases one after the other, their collections sorted by name.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::api::{Api, Version};
use super::inventory::{Described, Inventory, is_another};
use super::options::{ArangoOptions, Role};
use super::supply::{PARALLEL, Supply};
use crate::fault::ErrorKind;
use crate::format::Consistency;
use crate::progress::Cancel;
use crate::source::arangodb::failure::refused;
use crate::source::arangodb::{Collector, model};
use crate::source::tables::{Counted, Verdict, judge};
use crate::source::{Item, Outcome, Session, SourceEntry, SourceError};

pub(super) struct ArangoSession {
    api: Api,
    version: Version,
    role: Role,
    options: ArangoOptions,
    cancel: Cancel,
    /// Still to be read.
    databases: VecDeque<String>,
    current: Option<Current>,
    parts: VecDeque<Part>,
    /// Collections that were named and not yet found in any database; all that were found.
    unseen: BTreeSet<String>,
    all: BTreeSet<String>,
    properties: Vec<(String, String)>,
    /// Of each database, where it has one.
    ticks: Vec<(String, Option<String>)>,
}

impl ArangoSession {
    pub fn new(
        api: Api,
        databases: Vec<String>,
        version: Version,
        role: Role,
        options: ArangoOptions,
        cancel: &Cancel,
    ) -> Self {
        let mut properties = vec![("server_version".to_owned(), version.text.clone())];
        if role == Role::Cluster {
            let message = "a cluster: its shards are read one after the other, so what is written meanwhile \
                           may be in the snapshot in part";
            tracing::warn!("{message}");
            properties.push(("not_consistent".to_owned(), message.to_owned()));
        }
        Self {
            api,
            version,
            role,
            unseen: options.selection.collections.iter().cloned().collect(),
            options,
            cancel: cancel.clone(),
            databases: databases.into(),
            current: None,
            parts: VecDeque::new(),
            all: BTreeSet::new(),
            properties,
            ticks: Vec::new(),
        }
    }
}

fn ticks(ticks: &[(String, Option<String>)]) -> Option<Consistency> {
    let value = match ticks {
        [(_, tick)] => tick.clone()?,
        several => {
            let named = |(name, tick): &(String, Option<String>)| {
                Some(format!("{name}:{}", tick.as_ref()?))
            };
            several.iter().filter_map(named).collect::<Vec<_>>().join(" ")
        }
    };
    let is_dump = |(_, tick): &(_, Option<String>)| tick.as_deref() == Some(PARALLEL);
    let kind = if ticks.iter().all(is_dump) { "dump" } else { "tick" };
    Some(Consistency { kind: kind.to_owned(), value })
}

/// A database held at one state.
struct Current {
    name: String,
    supply: Supply,
}

/// An entry to come, or a collection: its entries are known once it was read.
#[allow(clippy::large_enum_variant, reason = "a handful of them wait at a time")]
enum Part {
    Entry(SourceEntry),
    Collection(Box<Described>),
}

impl Session for ArangoSession {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        loop {
            match self.parts.pop_front() {
                Some(Part::Entry(entry)) => return Ok(Some(entry.into())),
                Some(Part::Collection(described)) => self.collect(&described)?,
                None if self.next_database()? => {}
                None => return Ok(None),
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        let consistency = match self.role {
            Role::Cluster => Some(Consistency { kind: "none".to_owned(), value: String::new() }),
            Role::Single => ticks(&self.ticks),
        };
        Ok(Outcome { consistency, properties: self.properties })
    }
}

impl ArangoSession {
    /// Lets go of a database and takes hold of the next. False after the last.
    fn next_database(&mut self) -> Result<bool, SourceError> {
        if let Some(Current { name, supply }) = self.current.take()
            && let Err(error) = supply.release()
        {
            // The documents are safe by then: what stays on the server until it runs out is said.
            tracing::warn!("the server holds a state of {name} for us until it runs out: {error}");
        }
        let Some(name) = self.databases.pop_front() else { return Ok(false) };
        let (supply, inventory) =
            Supply::open(&self.api, &name, self.role, &self.version, &self.options)?;
        self.all.extend(inventory.all.iter().cloned());
        for one in &inventory.collections {
            self.unseen.remove(&one.name);
        }
        if self.databases.is_empty() {
            self.check_unseen()?;
        }
        self.properties.push((format!("{name}/method"), supply.method().to_owned()));
        self.ticks.push((name.clone(), inventory.tick.clone()));
        self.plan(&name, inventory)?;
        self.current = Some(Current { name, supply });
        Ok(true)
    }

    /// In the catalog's order: `collections` < `database.json` < `views`.
    fn plan(&mut self, database: &str, inventory: Inventory) -> Result<(), SourceError> {
        let path = |below: &[&str]| model::path(&[&[database], below].concat());
        let directory = |below: &[&str]| path(below).map(model::directory).map(Part::Entry);
        self.parts.push_back(directory(&[])?);
        self.parts.push_back(directory(&[model::COLLECTIONS])?);
        for described in inventory.collections {
            self.parts.push_back(Part::Collection(Box::new(described)));
        }
        let text = model::database(database, inventory.properties.as_ref());
        let entry = model::text_file(path(&[model::DATABASE])?, text);
        self.parts.push_back(Part::Entry(entry));
        self.parts.push_back(directory(&[model::VIEWS])?);
        let mut views = Vec::new();
        for (name, view) in inventory.views {
            let path = path(&[model::VIEWS, &format!("{name}{}", model::VIEW)])?;
            views.push(model::text_file(path, model::definition(&view)));
        }
        // Names sort otherwise than names with an ending.
        views.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        self.parts.extend(views.into_iter().map(Part::Entry));
        Ok(())
    }

    /// Reads a collection to its end, and then gives its entries: their number is known by then.
    fn collect(&mut self, one: &Described) -> Result<(), SourceError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let (database, name) = (current.name.clone(), one.name.as_str());
        let shown = self.api.shown(&database, name);
        tracing::debug!("reading {shown}");
        let mut collector = Collector::new(&self.options.sort, shown, &self.cancel);
        current.supply.collect(one, &mut collector)?;
        let sorted = collector.finish()?;
        let count = sorted.count();
        self.compare(&database, one, count)?;
        let path =
            |file: &[&str]| model::path(&[&[&database, model::COLLECTIONS, name], file].concat());
        let (documents, revisions) = sorted.split()?;
        let (document_bytes, revision_bytes) = (documents.stream_len(), revisions.stream_len());
        let structure = model::structure(&one.parameters, &one.indexes);
        let entries = [
            model::collection(path(&[])?, one.kind, count),
            model::file(path(&[model::DOCUMENTS])?, Box::new(documents), document_bytes),
            model::file(path(&[model::REVISIONS])?, Box::new(revisions), revision_bytes),
            model::text_file(path(&[model::STRUCTURE])?, structure),
        ];
        for entry in entries.into_iter().rev() {
            self.parts.push_front(Part::Entry(entry));
        }
        Ok(())
    }

    /// The server counts what is there now, not what is in the state that is read: where writes may be the reason
    /// that the two differ, that is noted; where they cannot be, documents were lost on the way.
    fn compare(&mut self, database: &str, one: &Described, count: u64) -> Result<(), SourceError> {
        let name = one.name.as_str();
        let wrong = |message: String| {
            let message = format!("{message}; nothing of it is kept: run the backup again");
            Err(refused(ErrorKind::Unreachable, &self.api.shown(database, name), message))
        };
        let now = self.api.counted(database, name)?;
        let now = now.filter(|now| !is_another(now, &one.parameters));
        let Some(now) = now else {
            return wrong(
                "was dropped or renamed while it was read, and documents are asked for by name"
                    .into(),
            );
        };
        self.properties.push((format!("{database}/{name}/documents"), count.to_string()));
        let Some(now) = now.get("count").and_then(Value::as_u64).filter(|now| *now != count) else {
            return Ok(());
        };
        // Asked for after the count: where it is what it was, nobody wrote in between.
        let revision = self.api.revision(database, name)?;
        let before = one.counted.as_ref();
        match judge(before, count, &Counted { count: now, revision }) {
            Verdict::Equal => return Ok(()),
            Verdict::Differs { is_odd: false } => {}
            Verdict::Differs { is_odd: true } => tracing::warn!(
                "{database}/{name}: {count} documents came, and the server counts {now}: if nobody wrote them just \
                 now, look at this snapshot before it is relied on"
            ),
            Verdict::Lost => {
                let before = before.map_or(0, |before| before.count);
                return wrong(format!(
                    "{count} documents came, and the server counts {now}, as it counted {before} before"
                ));
            }
        }
        let noted = (format!("{database}/{name}/counted_by_server"), now.to_string());
        self.properties.push(noted);
        Ok(())
    }

    /// A collection that was named is in none of the databases.
    fn check_unseen(&self) -> Result<(), SourceError> {
        if self.unseen.is_empty() {
            return Ok(());
        }
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let there = match self.all.is_empty() {
            true => "there is none".to_owned(),
            false => format!("there is {}", list(&self.all)),
        };
        let message = format!("no collection {}; {there}", list(&self.unseen));
        Err(refused(ErrorKind::NotFound, &self.api.shown_server(), message))
    }
}
