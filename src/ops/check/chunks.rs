//! Which chunks can be read: by what the packs are, and, when they were read, by what is in them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::format::name;
use crate::id::{ChunkId, PackId};
use crate::index::{Location, PackEntry};
use crate::limits::{DELTA_DEPTH_MAX, PACK_LEN_MAX};
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::Repository;
use crate::storage::Key;
use crate::store::{StoreError, StoreReader, scan_pack};

use super::super::OpError;
use super::{CheckReport, Listed};

/// What is known to be wrong. Everything else is taken to be as the index says.
pub(super) struct ChunkStates {
    pub reader: Arc<StoreReader>,
    missing: HashSet<PackId>,
    bad: HashSet<(PackId, ChunkId)>,
}

impl ChunkStates {
    pub fn new(reader: Arc<StoreReader>) -> Self {
        Self { reader, missing: HashSet::new(), bad: HashSet::new() }
    }

    /// Whether every pack the index lists is there, with the length it should have.
    pub fn compare_packs(
        &mut self,
        repository: &Repository,
        packs: &Listed,
        report: &mut CheckReport,
    ) -> Result<(), OpError> {
        let mut listed: HashMap<PackId, u64> = HashMap::new();
        let prefix = Key::new(name::PACKS).map_err(crate::repo::RepoError::from)?;
        repository.storage().list(&prefix, &mut |object| {
            if let Ok(id) = object.key.name().parse() {
                listed.insert(id, object.len);
            }
        })?;
        report.packs = packs.len() as u64;
        for (id, entries) in packs {
            let Some(len) = listed.remove(id) else {
                report.object(&name::pack(id), "the pack is missing");
                self.missing.insert(*id);
                continue;
            };
            for other in entries.iter().filter(|entry| entry.len != len) {
                let message = format!("the pack has {len} bytes, expected {}", other.len);
                report.object(&name::pack(id), message);
                self.missing.insert(*id);
            }
        }
        report.unindexed_packs = listed.len() as u64;
        Ok(())
    }

    /// Reads every pack whole; remembers the chunks that are not what they should be.
    pub fn read_packs(
        &mut self,
        repository: &Repository,
        packs: &Listed,
        observer: &dyn Observer,
        cancel: &Cancel,
        report: &mut CheckReport,
    ) -> Result<(), OpError> {
        observer.on(Event::Started(Phase::CheckData));
        let len = |entries: &[PackEntry]| entries.first().map_or(0, |entry| entry.len);
        let total = packs.values().map(|entries| len(entries)).sum();
        observer.on(Event::Total { bytes: Some(total), items: Some(packs.len() as u64) });
        for (id, entries) in packs {
            if cancel.is_cancelled() {
                return Err(OpError::Interrupted);
            }
            if !self.missing.contains(id) {
                self.read_pack(repository, id, entries, report)?;
            }
            observer.on(Event::Bytes(len(entries)));
            observer.on(Event::Items(1));
        }
        observer.on(Event::Finished(Phase::CheckData));
        Ok(())
    }

    fn read_pack(
        &mut self,
        repository: &Repository,
        id: &PackId,
        entries: &[PackEntry],
        report: &mut CheckReport,
    ) -> Result<(), OpError> {
        let object = name::pack(id);
        let Some(kind) = entries.first().map(|entry| entry.kind) else { return Ok(()) };
        let key = Key::new(object.as_str()).map_err(crate::repo::RepoError::from)?;
        let scanned =
            repository.storage().get(&key, PACK_LEN_MAX).map_err(StoreError::from).and_then(
                |mut bytes| {
                    report.bytes_read += bytes.len() as u64;
                    scan_pack(&self.reader, kind, id, &mut bytes)
                },
            );
        match scanned {
            Ok(scan) => {
                report.chunks_read += scan.chunks;
                if let Some(error) = scan.wrong_name {
                    report.object(&object, error);
                }
                if entries.iter().any(|entry| entry.contents != scan.contents) {
                    report.object(&object, "an index object lists other contents than its trailer");
                    self.missing.insert(*id);
                }
                for damage in scan.damaged {
                    report.object(&object, format!("block {}: {}", damage.ordinal, damage.error));
                    self.bad.extend(damage.chunks.into_iter().map(|chunk| (*id, chunk)));
                }
            }
            // Its frame is unreadable, but a block may still open through the index: such chunks are
            // tried one by one when a snapshot needs them.
            Err(error) => {
                report.object(&object, error);
                self.missing.insert(*id);
            }
        }
        Ok(())
    }

    /// Whether some copy of a chunk can be decoded, as far as is known; else what is wrong.
    pub fn verdict(&self, id: &ChunkId) -> Result<(), StoreError> {
        self.readable(id, DELTA_DEPTH_MAX + 1)
    }

    fn readable(&self, id: &ChunkId, depth: u8) -> Result<(), StoreError> {
        let mut error = StoreError::MissingChunk { chunk: *id };
        for copy in self.reader.locate(id)?.iter().filter(|copy| copy.depth < depth) {
            match self.copy_readable(id, copy) {
                Ok(()) => return Ok(()),
                Err(found) => error = found,
            }
        }
        Err(error)
    }

    fn copy_readable(&self, id: &ChunkId, copy: &Location) -> Result<(), StoreError> {
        if self.bad.contains(&(copy.pack, *id)) {
            return Err(StoreError::damaged(copy.pack, "block", "the chunk it lists", "damage"));
        }
        if self.missing.contains(&copy.pack) {
            // The pack object may be unreadable as a whole and this block still sound.
            return self.reader.chunk(id).map(drop);
        }
        for base in self.reader.bases(copy)? {
            self.readable(&base.id, copy.depth)?;
        }
        Ok(())
    }
}
