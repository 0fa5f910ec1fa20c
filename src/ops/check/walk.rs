//! Walks every snapshot's catalog and recipes. Nodes that were found whole are not read again: snapshots
//! share most of theirs.

use std::collections::HashMap;

use crate::format::{
    CatalogChild, CatalogLeaf, CatalogNode, ChunkRef, Entry, EntryPath, NodeRef, Recipe,
    RecipeLeaf, RecipeNode, TreeRoot,
};
use crate::id::ChunkId;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::Snapshot;
use crate::store::{StoreError, check_child, check_level, check_total};

use super::super::OpError;
use super::chunks::ChunkStates;
use super::{CheckReport, EntryDamage, SnapshotDamage};
use crate::format::Bytes;

/// Damaged entries a report names one by one.
const NAMED_MAX: usize = 1000;

pub(super) fn snapshots(
    snapshots: &[Snapshot],
    states: &mut ChunkStates,
    observer: &dyn Observer,
    cancel: &Cancel,
    report: &mut CheckReport,
) -> Result<(), OpError> {
    observer.on(Event::Started(Phase::CheckSnapshots));
    observer.on(Event::Total { bytes: None, items: Some(snapshots.len() as u64) });
    let mut walk = CheckWalk {
        states,
        cancel,
        whole: HashMap::new(),
        recipes: HashMap::new(),
        found: Vec::new(),
        count: 0,
    };
    for snapshot in snapshots {
        let TreeRoot { node, levels } = snapshot.manifest.catalog;
        walk.catalog(node, levels, None)?;
        report.snapshots += 1;
        observer.on(Event::Items(1));
        let (entries, count) = (std::mem::take(&mut walk.found), std::mem::take(&mut walk.count));
        if count > 0 {
            let (id, name) = (snapshot.id, snapshot.manifest.name.clone());
            report.snapshots_damaged.push(SnapshotDamage { id, name, entries, count });
        }
    }
    if cancel.is_cancelled() {
        return Err(OpError::Interrupted);
    }
    observer.on(Event::Finished(Phase::CheckSnapshots));
    Ok(())
}

/// What a part of a catalog covers.
#[derive(Clone)]
struct Covered {
    first: EntryPath,
    last: EntryPath,
    entries: u64,
}

struct CheckWalk<'w> {
    states: &'w ChunkStates,
    cancel: &'w Cancel,
    /// Catalog nodes below which nothing is wrong, at the level they stand at.
    whole: HashMap<(ChunkId, u8), Option<Covered>>,
    /// Recipe nodes below which nothing is wrong: references and bytes.
    recipes: HashMap<(ChunkId, u8), (u64, u64)>,
    found: Vec<EntryDamage>,
    count: u64,
}

impl CheckWalk<'_> {
    /// What the catalog below `node` covers; `None` where it is empty or damaged. Depth is bounded by
    /// `level`, which each node must confirm.
    fn catalog(
        &mut self,
        node: NodeRef,
        level: u8,
        said: Option<&CatalogChild>,
    ) -> Result<Option<Covered>, OpError> {
        if self.cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        let before = self.count;
        let covered = match self.whole.get(&(node.id, level)) {
            Some(covered) => Ok(covered.clone()),
            None => match self.states.verdict(&node.id) {
                Ok(()) => self.catalog_node(node, level)?,
                Err(error) => Err(error),
            },
        };
        // What is damaged below is named already: that it is missing from the sums is no second finding.
        let claim = said.filter(|_| self.count == before);
        let covered = covered.and_then(|covered| {
            let entries = covered.as_ref().map_or(0, |covered| covered.entries);
            check_child(claim, entries, covered.as_ref().map(|covered| &covered.last))?;
            Ok(covered)
        });
        let covered = match covered {
            Ok(covered) => covered,
            Err(error) if error.is_general() => return Err(error.into()),
            Err(error) => {
                self.lost(said, &error);
                None
            }
        };
        if self.count == before {
            self.whole.insert((node.id, level), covered.clone());
        }
        Ok(covered)
    }

    fn catalog_node(
        &mut self,
        node: NodeRef,
        level: u8,
    ) -> Result<Result<Option<Covered>, StoreError>, OpError> {
        let reader = &self.states.reader;
        if level == 0 {
            let leaf = match reader.node::<CatalogLeaf>(node) {
                Ok(leaf) => leaf,
                Err(error) => return Ok(Err(error)),
            };
            for entry in &leaf.entries {
                self.entry(entry)?;
            }
            let ends = leaf.entries.first().zip(leaf.entries.last());
            return Ok(Ok(ends.map(|(first, last)| Covered {
                first: first.path.clone(),
                last: last.path.clone(),
                entries: leaf.entries.len() as u64,
            })));
        }
        let read = reader
            .node::<CatalogNode>(node)
            .and_then(|found| check_level(node, level, found.level).map(|()| found));
        let found = match read {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let mut all: Option<Covered> = None;
        for child in &found.children {
            let Some(below) = self.catalog(child.node, level - 1, Some(child))? else { continue };
            all = Some(match all {
                None => below,
                Some(before) if before.last >= below.first => {
                    let expected = format!("entries behind {:?}", before.last);
                    let found = format!("{:?}", below.first);
                    let error = StoreError::damaged(child.node.id, "catalog", expected, found);
                    return Ok(Err(error));
                }
                Some(before) => Covered {
                    first: before.first,
                    last: below.last,
                    entries: before.entries.saturating_add(below.entries),
                },
            });
        }
        Ok(Ok(all))
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), OpError> {
        if self.cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        let Some(content) = &entry.content else { return Ok(()) };
        let result = match &content.recipe {
            Recipe::Inline(refs) => self.refs(refs).map(|()| content.len),
            Recipe::Tree(root) => self.recipe(root.node, root.levels, None).map(|(_, bytes)| bytes),
        };
        match result {
            Ok(len) if len == content.len => {}
            Ok(len) => {
                let expected = format!("{} bytes", content.len);
                let error = StoreError::damaged("recipe", "recipe", expected, len);
                self.damaged(entry.path.as_bytes(), &error);
            }
            Err(StoreError::Interrupted) => return Err(OpError::Interrupted),
            Err(error) if error.is_general() => return Err(error.into()),
            Err(error) => self.damaged(entry.path.as_bytes(), &error),
        }
        Ok(())
    }

    /// The references below a node, and the bytes they come to. A node that repeats is read once.
    fn recipe(
        &mut self,
        node: NodeRef,
        level: u8,
        said: Option<(u64, u64)>,
    ) -> Result<(u64, u64), StoreError> {
        let total = match self.recipes.get(&(node.id, level)) {
            Some(total) => *total,
            None => {
                self.states.verdict(&node.id)?;
                let total = self.recipe_node(node, level)?;
                self.recipes.insert((node.id, level), total);
                total
            }
        };
        check_total(node, said, total)?;
        Ok(total)
    }

    fn recipe_node(&mut self, node: NodeRef, level: u8) -> Result<(u64, u64), StoreError> {
        if self.cancel.is_cancelled() {
            return Err(StoreError::Interrupted);
        }
        let reader = &self.states.reader;
        if level == 0 {
            let leaf = reader.node::<RecipeLeaf>(node)?;
            self.refs(&leaf.refs)?;
            return Ok(leaf.total());
        }
        let found = reader.node::<RecipeNode>(node)?;
        check_level(node, level, found.level)?;
        for child in &found.children {
            self.recipe(child.node, level - 1, Some((child.refs, child.bytes)))?;
        }
        found.total().map_err(|error| StoreError::format(node.id, error))
    }

    fn refs(&self, refs: &[ChunkRef]) -> Result<(), StoreError> {
        refs.iter().try_for_each(|chunk| self.states.verdict(&chunk.id))
    }

    /// A node of the catalog, and with it the entries that its parent says it tells of.
    fn lost(&mut self, said: Option<&CatalogChild>, error: &StoreError) {
        let (entries, last) = match said {
            Some(said) => (said.entries, said.last.as_bytes()),
            None => (1, &b"(the whole catalog)"[..]),
        };
        let message = match entries {
            1 => error.to_string(),
            entries => format!("{entries} entries up to here are lost: {error}"),
        };
        self.note(entries, last, message);
    }

    fn damaged(&mut self, path: &[u8], error: &StoreError) {
        self.note(1, path, error.to_string());
    }

    fn note(&mut self, entries: u64, path: &[u8], message: String) {
        self.count = self.count.saturating_add(entries.max(1));
        if self.found.len() < NAMED_MAX {
            self.found.push(EntryDamage { path: Bytes::from(path), message });
        }
    }
}
