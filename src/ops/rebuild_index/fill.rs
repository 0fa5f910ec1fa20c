//! New index objects, one after the other.

use std::cmp::Reverse;

use crate::format::{Extension, IndexRecord, IndexedPack, PackContents};
use crate::id::{ActorId, ChunkId};
use crate::limits::{INDEX_FLUSH_CHUNKS, INDEX_MAX};
use crate::repo::{PruneSession, Repository};

use super::super::OpError;

/// Packs that may stand in one index object.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    /// The writer they are of, if it was taken for dead: they still give no hits.
    pub void: Option<ActorId>,
    /// The level they were compacted at.
    pub level: Reverse<Option<i32>>,
    /// What a newer restow said of each of them.
    pub unknown: Reverse<Vec<Extension>>,
}

impl Group {
    /// These packs, where what somebody said of what is in them does not hold.
    pub fn as_they_are(&self) -> Self {
        Self { unknown: Reverse(Vec::new()), ..self.clone() }
    }
}

/// Gathers packs and puts index objects that list them. Memory is bounded by what one may hold.
pub(super) struct Fill<'r> {
    repository: &'r Repository,
    session: Option<&'r PruneSession<'r>>,
    writer: ActorId,
    group: Group,
    packs: Vec<IndexedPack>,
    chunks: usize,
    bytes: usize,
    /// Objects put, or to be put.
    pub put: u64,
}

impl<'r> Fill<'r> {
    pub fn new(
        repository: &'r Repository,
        session: Option<&'r PruneSession<'r>>,
    ) -> Result<Self, OpError> {
        // Nobody's: the packs themselves vouch for what is said of them. Under this actor's name they would give no hits
        // should it be killed, and then be taken for dead.
        let writer = repository.nobody()?;
        let (group, packs) = (Group::default(), Vec::new());
        Ok(Self { repository, session, writer, group, packs, chunks: 0, bytes: 0, put: 0 })
    }

    pub fn turn_to(&mut self, group: &Group) -> Result<(), OpError> {
        if *group != self.group {
            self.flush()?;
            self.group.clone_from(group);
        }
        Ok(())
    }

    pub fn push(&mut self, pack: IndexedPack) -> Result<(), OpError> {
        let bytes = at_most(&pack.contents);
        if self.bytes + bytes > INDEX_MAX / 2 {
            self.flush()?;
        }
        self.bytes += bytes;
        self.chunks += pack.contents.chunk_count();
        self.packs.push(pack);
        if self.chunks >= INDEX_FLUSH_CHUNKS {
            self.flush()?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), OpError> {
        let packs = std::mem::take(&mut self.packs);
        (self.chunks, self.bytes) = (0, 0);
        if packs.is_empty() {
            return Ok(());
        }
        if let Some(session) = self.session {
            session.still_counts()?;
            let Group { void, level: Reverse(level), unknown: Reverse(unknown) } = &self.group;
            let writer = void.unwrap_or(self.writer);
            let level = level.map(IndexRecord::compacted_at);
            let ext = level.into_iter().chain(unknown.iter().cloned()).collect();
            let record = IndexRecord { writer, packs, replaces: Vec::new(), ext };
            self.repository.put_index_object(&record)?;
        }
        self.put += 1;
        Ok(())
    }
}

/// Bytes that contents take in an index object, at most: numbers have up to five.
fn at_most(contents: &PackContents) -> usize {
    const NUMBER: usize = 5;
    let block = |block: &crate::format::BlockRecord| {
        4 * NUMBER + 3 * NUMBER * block.bases.len() + (ChunkId::LEN + NUMBER) * block.chunks.len()
    };
    let blocks: usize = contents.blocks.iter().map(block).sum();
    100 + 16 * contents.bases.len() + blocks
}
