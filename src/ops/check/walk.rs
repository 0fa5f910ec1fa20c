//! Walks every snapshot's catalog and recipes. Nodes that were found whole are not read again: snapshots
//! share most of theirs.

use std::collections::HashSet;

use crate::format::{
    CatalogLeaf, CatalogNode, ChunkRef, Entry, NodeRef, Recipe, RecipeLeaf, RecipeNode, TreeRoot,
};
use crate::id::ChunkId;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::Snapshot;
use crate::store::StoreError;

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
    let mut walk = Walk { states, cancel, whole: HashSet::new(), found: Vec::new(), count: 0 };
    for snapshot in snapshots {
        let TreeRoot { node, levels } = snapshot.manifest.catalog;
        walk.catalog(node, levels)?;
        report.snapshots += 1;
        observer.on(Event::Items(1));
        let (entries, count) = (std::mem::take(&mut walk.found), std::mem::take(&mut walk.count));
        if count > 0 {
            let (id, name) = (snapshot.id, snapshot.manifest.name.clone());
            report.snapshots_damaged.push(SnapshotDamage { id, name, entries, count });
        }
    }
    observer.on(Event::Finished(Phase::CheckSnapshots));
    Ok(())
}

struct Walk<'w> {
    states: &'w ChunkStates,
    cancel: &'w Cancel,
    /// Nodes below which nothing is wrong.
    whole: HashSet<ChunkId>,
    found: Vec<EntryDamage>,
    count: u64,
}

impl Walk<'_> {
    /// Depth is bounded by `level`, which each node must confirm.
    fn catalog(&mut self, node: NodeRef, level: u8) -> Result<(), OpError> {
        if self.whole.contains(&node.id) {
            return Ok(());
        }
        if self.cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        let before = self.count;
        let verdict = self.states.verdict(&node.id);
        if let Err(error) = verdict.and_then(|()| self.catalog_node(node, level)) {
            self.damaged(b"(a part of the catalog)", &error);
        }
        if self.count == before {
            self.whole.insert(node.id);
        }
        Ok(())
    }

    fn catalog_node(&mut self, node: NodeRef, level: u8) -> Result<(), StoreError> {
        let reader = &self.states.reader;
        if level == 0 {
            for entry in reader.node::<CatalogLeaf>(node)?.entries {
                self.entry(&entry);
            }
            return Ok(());
        }
        let found = reader.node::<CatalogNode>(node)?;
        expect_level(node, level, found.level)?;
        for child in found.children {
            if self.catalog(child.node, level - 1).is_err() {
                return Err(StoreError::Interrupted);
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) {
        let Some(content) = &entry.content else { return };
        let result = match &content.recipe {
            Recipe::Inline(refs) => self.refs(refs).map(|()| content.len),
            Recipe::Tree(root) => self.recipe(root.node, root.levels),
        };
        match result {
            Ok(len) if len == content.len => {}
            Ok(len) => {
                let expected = format!("{} bytes", content.len);
                let error = StoreError::damaged("recipe", "recipe", expected, len);
                self.damaged(entry.path.as_bytes(), &error);
            }
            Err(error) => self.damaged(entry.path.as_bytes(), &error),
        }
    }

    /// The bytes the references below a node come to.
    fn recipe(&self, node: NodeRef, level: u8) -> Result<u64, StoreError> {
        self.states.verdict(&node.id)?;
        let reader = &self.states.reader;
        if level == 0 {
            let refs = reader.node::<RecipeLeaf>(node)?.refs;
            self.refs(&refs)?;
            return Ok(refs.iter().map(|chunk| u64::from(chunk.len)).sum());
        }
        let found = reader.node::<RecipeNode>(node)?;
        expect_level(node, level, found.level)?;
        found.children.iter().try_fold(0u64, |sum, child| {
            let below = self.recipe(child.node, level - 1)?;
            Ok(sum.saturating_add(below))
        })
    }

    fn refs(&self, refs: &[ChunkRef]) -> Result<(), StoreError> {
        refs.iter().try_for_each(|chunk| self.states.verdict(&chunk.id))
    }

    fn damaged(&mut self, path: &[u8], error: &StoreError) {
        self.count += 1;
        if self.found.len() < NAMED_MAX {
            self.found.push(EntryDamage { path: Bytes::from(path), message: error.to_string() });
        }
    }
}

fn expect_level(node: NodeRef, expected: u8, found: u8) -> Result<(), StoreError> {
    if expected == found {
        return Ok(());
    }
    Err(StoreError::damaged(node.id, "node", format!("level {expected}"), found))
}
