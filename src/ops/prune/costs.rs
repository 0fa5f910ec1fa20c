//! What only one snapshot, or only one entry, needs: what is freed if it goes and everything else stays. Every block has
//! one owner, or several; a node is walked once for its first owner, and once more when a second one comes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::{EntryPath, NodeRef};
use crate::id::{BaseId, ChunkId, PackId, SnapshotId};
use crate::index::Location;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::{Repository, Root, SnapshotView};
use crate::store::{StoreError, StoreReader};

use super::super::OpError;
use super::super::blocks::Blocks;
use super::super::needs::{Tree, Visitor, Walk};
use super::super::steady::steadily;
use super::mark::is_lost;
use super::plan::refuse_unreadable;
use super::recent::Recent;

/// What each snapshot needs by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Costs {
    /// Bytes of blocks that only this one needs. Packs keep some of them a while as waste.
    pub alone: HashMap<SnapshotId, u64>,
    /// Bytes of blocks that several need.
    pub shared: u64,
}

/// What one entry of a snapshot needs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryCost {
    /// Path of the entry in the snapshot.
    pub path: EntryPath,
    /// Bytes of blocks that nothing else needs, in this snapshot or another.
    pub bytes: u64,
}

/// Finds what only one snapshot needs, of all there are.
pub fn costs(
    repository: &Repository,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Costs, OpError> {
    steadily(repository, cancel, || costs_now(repository, observer, cancel), Result::is_ok)
}

fn costs_now(
    repository: &Repository,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Costs, OpError> {
    let mut sight = repository.look(None)?;
    refuse_unreadable(&mut sight, &[])?;
    observer.on(Event::Started(Phase::Mark));
    observer.on(Event::Total { bytes: None, items: Some(sight.roots.len() as u64) });
    let mut claims = Claims::new(repository.reader(&sight.index));
    for (number, root) in (1u32..).zip(&sight.roots) {
        claims.snapshot(root, number, cancel)?;
        observer.on(Event::Items(1));
    }
    observer.on(Event::Finished(Phase::Mark));
    let alone = (1u32..).zip(&sight.roots);
    let alone = alone.map(|(number, root)| (root.id, claims.alone(number))).collect();
    Ok(Costs { alone, shared: claims.shared })
}

/// The entries of a snapshot that need something nobody else does, in this snapshot or another, and how many bytes of
/// blocks that is; in their order. `others` are all other snapshots there are.
pub fn entry_costs(
    repository: &Repository,
    id: &SnapshotId,
    cancel: &Cancel,
) -> Result<Vec<EntryCost>, OpError> {
    steadily(repository, cancel, || entry_costs_now(repository, id, cancel), Result::is_ok)
}

fn entry_costs_now(
    repository: &Repository,
    id: &SnapshotId,
    cancel: &Cancel,
) -> Result<Vec<EntryCost>, OpError> {
    let mut sight = repository.look(None)?;
    refuse_unreadable(&mut sight, &[])?;
    let mut claims = Claims::new(repository.reader(&sight.index));
    for root in sight.roots.iter().filter(|root| root.id != *id) {
        claims.snapshot(root, SEVERAL, cancel)?;
    }
    claims.lenient = false;
    let snapshot = repository.snapshot(id)?;
    let reader = Arc::clone(claims.blocks.reader());
    let view = SnapshotView::new(*id, snapshot.manifest, Arc::clone(&reader));
    let mut entries = view.entries();
    let (mut number, mut paths) = (0u32, Vec::new());
    while let Some(entry) = entries.next_entry()? {
        number = number.saturating_add(1);
        claims.owner = number;
        Walk { visitor: &mut claims, reader: &reader, cancel }.entry(&entry)?;
        paths.push(entry.path);
    }
    let costs =
        (1u32..).zip(paths).map(|(number, path)| EntryCost { path, bytes: claims.alone(number) });
    Ok(costs.filter(|cost| cost.bytes > 0).collect())
}

/// Stands for more than one owner. 0 is nobody.
const SEVERAL: u32 = u32::MAX;

/// The owner of each block of each pack.
#[derive(Default)]
struct Owners {
    numbers: HashMap<PackId, usize>,
    packs: Vec<Vec<u32>>,
}

/// What a claim changed.
enum Claimed {
    First,
    /// Of this one until now.
    Second(u32),
    Nothing,
}

impl Owners {
    /// Whether the block is this one's or several's already, and so is all that it is coded against.
    fn is_settled(&self, at: &Location, owner: u32) -> bool {
        let blocks = self.numbers.get(&at.pack).and_then(|number| self.packs.get(*number));
        let there = blocks.and_then(|blocks| blocks.get(at.ordinal as usize));
        there.is_some_and(|there| *there == SEVERAL || *there == owner)
    }

    fn claim(&mut self, pack: &PackId, block: u32, owner: u32) -> Claimed {
        let next = self.packs.len();
        let number = *self.numbers.entry(*pack).or_insert(next);
        if number == next {
            self.packs.push(Vec::new());
        }
        let Some(blocks) = self.packs.get_mut(number) else { return Claimed::Nothing };
        let at = block as usize;
        if blocks.len() <= at {
            blocks.resize(at + 1, 0);
        }
        let Some(there) = blocks.get_mut(at) else { return Claimed::Nothing };
        match *there {
            0 => {
                *there = owner;
                Claimed::First
            }
            SEVERAL => Claimed::Nothing,
            one if one == owner => Claimed::Nothing,
            one => {
                *there = SEVERAL;
                Claimed::Second(one)
            }
        }
    }
}

struct Claims {
    blocks: Blocks,
    owner: u32,
    owners: Owners,
    /// Nodes of catalogs and recipes, by id and level: who had everything below them walked.
    nodes: HashMap<(ChunkId, u8, Tree), u32>,
    alone: Vec<u64>,
    shared: u64,
    /// Chunks that are known to be of several owners, with all they are coded against.
    settled: Recent,
    /// What is missing takes no room.
    lenient: bool,
}

impl Claims {
    fn new(reader: Arc<StoreReader>) -> Self {
        let (owners, nodes, alone) = (Owners::default(), HashMap::new(), Vec::new());
        let (blocks, settled) = (Blocks::new(reader), Recent::new());
        Self { blocks, owner: 0, owners, nodes, alone, shared: 0, settled, lenient: false }
    }

    fn alone(&self, owner: u32) -> u64 {
        self.alone.get(owner as usize).copied().unwrap_or_default()
    }

    fn count(&mut self, owner: u32, bytes: u64, add: bool) {
        if owner == SEVERAL {
            self.shared = self.shared.saturating_add(bytes);
            return;
        }
        let at = owner as usize;
        if self.alone.len() <= at {
            self.alone.resize(at + 1, 0);
        }
        if let Some(sum) = self.alone.get_mut(at) {
            *sum = if add { sum.saturating_add(bytes) } else { sum.saturating_sub(bytes) };
        }
    }

    /// Everything that a snapshot needs is `owner`'s.
    fn snapshot(&mut self, root: &Root, owner: u32, cancel: &Cancel) -> Result<(), OpError> {
        (self.owner, self.lenient) = (owner, root.is_void);
        let reader = Arc::clone(self.blocks.reader());
        let mut walk = Walk { visitor: self, reader: &reader, cancel };
        match walk.snapshot(root.catalog) {
            Ok(_) => Ok(()),
            Err(StoreError::Interrupted) => Err(OpError::Interrupted),
            Err(error) => Err(OpError::not_whole(root.id, error)),
        }
    }

    /// Claims the block of a chunk, and all that it is coded against. Of several copies the shallowest counts: the
    /// one that a prune keeps.
    fn chunk(&mut self, id: &ChunkId) -> Result<(), StoreError> {
        if self.settled.has(&BaseId::of(id)) {
            return Ok(());
        }
        let (owners, owner) = (&self.owners, self.owner);
        let found = self.blocks.of(id, &|copy| owners.is_settled(copy, owner))?;
        for (id, copy) in found {
            let bytes = u64::from(copy.sealed_len);
            match self.owners.claim(&copy.pack, copy.ordinal, owner) {
                Claimed::Nothing => {}
                Claimed::First => self.count(owner, bytes, true),
                Claimed::Second(before) => {
                    self.count(before, bytes, false);
                    self.count(SEVERAL, bytes, true);
                    self.settled.add(&BaseId::of(&id), copy.depth);
                }
            }
        }
        Ok(())
    }
}

impl Visitor for Claims {
    type Entered = ();

    fn enter(&mut self, node: NodeRef, level: u8, tree: Tree) -> Result<Option<()>, StoreError> {
        self.chunk(&node.id)?;
        let owner = self.owner;
        let there = self.nodes.entry((node.id, level, tree)).or_insert(0);
        match *there {
            SEVERAL => return Ok(None),
            one if one == owner => return Ok(None),
            0 => *there = owner,
            _ => *there = SEVERAL,
        }
        Ok(Some(()))
    }

    fn leave(&mut self, _: NodeRef, _: Tree, (): ()) {}

    fn chunks(&mut self, ids: &[ChunkId]) -> Result<bool, StoreError> {
        ids.iter().try_for_each(|id| match self.chunk(id) {
            Err(error) if self.bears(&error) => Ok(()),
            claimed => claimed,
        })?;
        Ok(true)
    }

    fn bears(&self, error: &StoreError) -> bool {
        self.lenient && is_lost(error)
    }
}
