//! Every block that some snapshot needs, bases of deltas included. A node is read once, however many snapshots share it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::fault::ErrorKind;
use crate::format::NodeRef;
use crate::id::ChunkId;
use crate::index::Location;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::Root;
use crate::store::StoreError;

use super::super::OpError;
use super::super::needs::{Tree, Visitor, Walk};
use super::keep::Keeper;
use super::packs::{Bits, Pack};

/// Marks what these snapshots need.
pub(super) fn mark(
    keeper: &mut Keeper,
    roots: &[Root],
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<(), OpError> {
    observer.on(Event::Started(Phase::Mark));
    observer.on(Event::Total { bytes: None, items: Some(roots.len() as u64) });
    let reader = Arc::clone(&keeper.reader);
    let mut marker = Marker { keeper, shared: HashSet::new(), lenient: false };
    for root in roots {
        // What its writer relied on may be gone: it is no promise to anybody. What there is of it stays.
        marker.lenient = root.is_void;
        let mut walk = Walk { visitor: &mut marker, reader: &reader, cancel };
        match walk.snapshot(root.catalog) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("snapshot {}, of a writer declared dead, is not whole", root.id);
            }
            Err(StoreError::Interrupted) => return Err(OpError::Interrupted),
            Err(error) => return Err(OpError::not_whole(root.id, error)),
        }
        observer.on(Event::Items(1));
    }
    observer.on(Event::Finished(Phase::Mark));
    Ok(())
}

/// Whether it is gone for good, and not only out of reach.
pub(super) fn is_lost(error: &StoreError) -> bool {
    error.kind() == ErrorKind::Damage && !error.is_general()
}

struct Marker<'m> {
    keeper: &'m mut Keeper,
    /// Nodes looked at that share a block with others. Writers give each a block of its own.
    shared: HashSet<(ChunkId, Tree)>,
    /// Whether it may go on where something is missing.
    lenient: bool,
}

fn bits(pack: &mut Pack, tree: Tree) -> &mut Bits {
    match tree {
        Tree::Catalog => &mut pack.catalogs,
        Tree::Recipe => &mut pack.recipes,
    }
}

impl Visitor for Marker<'_> {
    type Entered = Location;

    fn enter(&mut self, node: NodeRef, _: u8, tree: Tree) -> Result<Option<Location>, StoreError> {
        let Some(copy) = self.keeper.keep(&node.id)? else {
            return Err(StoreError::MissingChunk { chunk: node.id });
        };
        let is_done = match copy.chunk_len == copy.raw_len {
            true => {
                let number = self.keeper.packs.find(&copy.pack);
                let pack = number.and_then(|number| self.keeper.packs.get_mut(number));
                pack.is_some_and(|pack| bits(pack, tree).has(copy.ordinal))
            }
            false => self.shared.contains(&(node.id, tree)),
        };
        Ok((!is_done).then_some(copy))
    }

    fn leave(&mut self, node: NodeRef, tree: Tree, copy: Location) {
        if copy.chunk_len != copy.raw_len {
            self.shared.insert((node.id, tree));
        } else if let Some(number) = self.keeper.packs.find(&copy.pack)
            && let Some(pack) = self.keeper.packs.get_mut(number)
        {
            bits(pack, tree).add(copy.ordinal);
        }
    }

    fn chunks(&mut self, ids: &[ChunkId]) -> Result<bool, StoreError> {
        match self.keeper.keep_all(ids)? {
            None => Ok(true),
            Some(_) if self.lenient => Ok(false),
            Some(chunk) => Err(StoreError::MissingChunk { chunk }),
        }
    }

    fn bears(&self, error: &StoreError) -> bool {
        self.lenient && is_lost(error)
    }
}
