//! Which chunks can be read: by what the packs are, and, when they were read, by what is in them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::fault::ErrorKind;
use crate::format::name;
use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{Base, Location, PackEntry};
use crate::limits::PACK_LEN_MAX;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::{IndexState, RepoError, Repository};
use crate::storage::Key;
use crate::store::{StoreError, StoreReader, scan_pack};

use super::super::OpError;
use super::verdicts::{Copies, Verdicts};
use super::{CheckReport, Listed};

/// What is known to be wrong. Everything else is taken to be as the index says.
pub(super) struct ChunkStates {
    pub reader: Arc<StoreReader>,
    missing: HashSet<PackId>,
    /// Copies that were read and are not what they should be, and why not.
    bad: HashMap<(PackId, ChunkId), Arc<StoreError>>,
    verdicts: RefCell<Verdicts>,
}

impl ChunkStates {
    pub fn new(reader: Arc<StoreReader>) -> Self {
        let verdicts = RefCell::new(Verdicts::new());
        Self { reader, missing: HashSet::new(), bad: HashMap::new(), verdicts }
    }

    /// Whether every pack the index lists is there, with the length it should have.
    pub fn compare_packs(
        &mut self,
        repository: &Repository,
        index: &IndexState,
        packs: &Listed,
        report: &mut CheckReport,
    ) -> Result<(), OpError> {
        let mut listed: HashMap<PackId, u64> = HashMap::new();
        let prefix = Key::new(name::PACKS).map_err(RepoError::from)?;
        repository.storage().list(&prefix, &mut |object| {
            // One in the wrong folder is none: nobody looks for it there.
            if let Ok(id) = object.key.name().parse()
                && object.key.as_str() == name::pack(&id)
            {
                listed.insert(id, object.len);
            }
        })?;
        report.packs = packs.len() as u64;
        self.missing = packs.keys().filter(|id| !listed.contains_key(id)).copied().collect();
        if !self.missing.is_empty() {
            // Looked at last: whoever deleted a writer's packs had taken it for dead before.
            let vouched = index.vouched_packs(&repository.void_actors()?);
            for id in packs.keys().filter(|id| self.missing.contains(id) && vouched.contains(id)) {
                report.object(&name::pack(id), "the pack is missing");
            }
        }
        for (id, entries) in packs {
            let Some(len) = listed.remove(id) else { continue };
            for other in entries.iter().filter(|entry| entry.len != len) {
                let message = format!("the pack has {len} bytes, expected {}", other.len);
                report.object(&name::pack(id), message);
                self.missing.insert(*id);
            }
        }
        report.unindexed_packs = listed.len() as u64;
        if !listed.is_empty() {
            let condemned = condemned(repository)?;
            let going = listed.keys().filter(|id| condemned.contains(id));
            report.unindexed_condemned = going.count() as u64;
        }
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
        let key = Key::new(object.as_str()).map_err(RepoError::from)?;
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
                    // The pack with the base is named; this one is as it should be.
                    if !damage.in_base {
                        let message = format!("block {}: {}", damage.ordinal, damage.error);
                        report.object(&object, message);
                    }
                    let why = Arc::new(damage.error);
                    let bad = damage.chunks.into_iter();
                    self.bad.extend(bad.map(|chunk| ((*id, chunk), Arc::clone(&why))));
                }
            }
            Err(error) if error.is_general() => return Err(error.into()),
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
        self.verdicts.borrow_mut().of(id, self)
    }
}

/// Where that cannot be read, prunes and backups say so.
fn condemned(repository: &Repository) -> Result<HashSet<PackId>, RepoError> {
    match repository.condemned() {
        Err(error) if error.kind() == ErrorKind::Damage => Ok(HashSet::new()),
        condemned => condemned,
    }
}

impl Copies for ChunkStates {
    fn locate(&self, id: &ChunkId) -> Result<Vec<Location>, StoreError> {
        self.reader.locator().locate(id)
    }

    fn locate_base(&self, base: &BaseId) -> Result<(ChunkId, Vec<Location>), StoreError> {
        self.reader.locator().locate_base(base)
    }

    fn needs(&self, id: &ChunkId, copy: &Location) -> Result<Vec<Base>, StoreError> {
        if let Some(why) = self.bad.get(&(copy.pack, *id)) {
            return Err(StoreError::Known(Arc::clone(why)));
        }
        if self.missing.contains(&copy.pack) {
            // The pack object may be unreadable as a whole and this block still sound.
            return self.reader.try_copy(id, copy).map(|()| Vec::new());
        }
        self.reader.locator().bases(copy)
    }
}
