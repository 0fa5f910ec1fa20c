//! Makes packs durable, then the index objects that list them, on threads of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use crate::format::{IndexRecord, IndexedPack, name};
use crate::id::{ActorId, ChunkId};
use crate::limits::{INDEX_FLUSH_BYTES, INDEX_FLUSH_CHUNKS};
use crate::storage::{Key, Storage};
use crate::store::StoreError;
use crate::store::pack::builder::PackBuilder;
use crate::store::pack::sealer::Vault;
use crate::store::repack::copier::put_index;

use super::dedup::Known;

/// Where finished packs go.
#[derive(Clone)]
pub enum Uploads {
    /// Into the repository, as this writer's.
    Real { storage: Arc<dyn Storage>, writer: ActorId },
    /// Nowhere: a dry run counts what would be stored.
    Dry,
}

/// What was made durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct Uploaded {
    pub packs: u64,
    pub pack_bytes: u64,
    pub index_bytes: u64,
}

/// Puts packs, as many at once as the storage likes. An index object follows when all packs that it lists are durable.
/// After the first failure no further put begins; what is durable by then is indexed still, so that the next backup
/// takes it up.
pub(in crate::store) struct Uploader {
    /// `None`: closed.
    packs: Option<Sender<PackBuilder>>,
    /// Buffers of packs that were put: a fresh one of this size costs as much as filling it.
    spent: Receiver<Vec<u8>>,
    /// `None`: they have ended.
    threads: Option<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

/// What the threads share.
struct Shared {
    uploads: Uploads,
    vault: Arc<Vault>,
    known: Arc<Known>,
    durable: Mutex<Durable>,
}

/// What was put, and what of it no index object lists yet.
#[derive(Default)]
struct Durable {
    unindexed: Vec<IndexedPack>,
    chunks: usize,
    bytes: u64,
    /// What a dry run would have stored.
    dry_claims: Vec<ChunkId>,
    uploaded: Uploaded,
    failure: Option<StoreError>,
}

/// A dry run remembers at least this many chunks: 64 GiB at the usual size, 100 MiB of memory.
const DRY_CLAIMS_MAX: usize = 1 << 20;

impl Uploader {
    pub fn new(uploads: Uploads, vault: Arc<Vault>, known: Arc<Known>) -> Self {
        let count = match &uploads {
            Uploads::Real { storage, .. } => storage.hints().puts_in_flight.max(1),
            Uploads::Dry => 1,
        };
        // No pack waits in a queue: memory stays bounded whatever the storage's pace.
        let (packs, receiver) = crossbeam_channel::bounded(0);
        let (give_back, spent) = crossbeam_channel::bounded(count);
        let shared = Arc::new(Shared { uploads, vault, known, durable: Mutex::default() });
        let spawn = |_| {
            let (shared, receiver) = (Arc::clone(&shared), receiver.clone());
            let give_back = give_back.clone();
            std::thread::Builder::new()
                .name("restow-upload".into())
                .spawn(move || shared.run(&receiver, &give_back))
                .ok()
        };
        let threads = (0..count).filter_map(spawn).collect();
        Self { packs: Some(packs), spent, threads: Some(threads), shared }
    }

    pub fn is_open(&self) -> bool {
        self.packs.is_some()
    }

    /// An empty buffer with room for a pack, if one is at hand.
    pub fn spent_buffer(&self) -> Option<Vec<u8>> {
        self.spent.try_recv().ok()
    }

    /// Hands over a pack as soon as one of the threads is free. An error may be that of an earlier pack.
    pub fn send(&mut self, pack: PackBuilder) -> Result<(), StoreError> {
        let packs = self.packs.as_ref().ok_or(StoreError::Poisoned)?;
        if self.shared.durable().failure.is_some() || packs.send(pack).is_err() {
            return Err(self.finish().err().unwrap_or(StoreError::Poisoned));
        }
        Ok(())
    }

    /// Takes no more packs.
    pub fn close(&mut self) {
        self.packs = None;
    }

    /// Waits until all packs are durable and in index objects, or tells the first failure.
    pub fn finish(&mut self) -> Result<Uploaded, StoreError> {
        self.close();
        let threads = self.threads.take().ok_or(StoreError::Poisoned)?;
        let panicked = threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count();
        let mut durable = self.shared.durable();
        let flushed = self.shared.flush(&mut durable);
        match durable.failure.take() {
            // The first failure is the one to report; the flush is a courtesy to the next backup.
            Some(error) => Err(error),
            None if panicked > 0 => Err(StoreError::Poisoned),
            None => flushed.map(|()| durable.uploaded),
        }
    }
}

impl Drop for Uploader {
    /// Packs that were put are indexed, even if nobody waits for them.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

impl Shared {
    // A panic elsewhere leaves packs unlisted, never a list of packs that are not durable.
    fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts packs until the channel closes or something fails.
    fn run(&self, packs: &Receiver<PackBuilder>, spent: &Sender<Vec<u8>>) {
        for pack in packs {
            if self.durable().failure.is_some() {
                return;
            }
            if let Err(error) = self.take(pack, spent) {
                self.durable().failure.get_or_insert(error);
                return;
            }
        }
    }

    fn take(&self, pack: PackBuilder, spent: &Sender<Vec<u8>>) -> Result<(), StoreError> {
        let pack = pack.finish(&self.vault)?;
        let len = pack.bytes.len() as u64;
        if let Uploads::Real { storage, .. } = &self.uploads {
            storage.put(&Key::new(name::pack(&pack.id))?, &pack.bytes)?;
        }
        // A full or abandoned return channel only means that a buffer is made anew.
        let _ = spent.try_send(pack.bytes);
        let mut durable = self.durable();
        durable.uploaded.packs += 1;
        durable.uploaded.pack_bytes += len;
        if let Uploads::Dry = self.uploads {
            // Memory stays bounded: a chunk that comes again much later is counted twice.
            let chunks = pack.contents.blocks.iter().flat_map(|block| &block.chunks);
            durable.dry_claims.extend(chunks.map(|chunk| chunk.id));
            if durable.dry_claims.len() >= DRY_CLAIMS_MAX {
                self.known.release(std::iter::empty(), durable.dry_claims.drain(..));
            }
            return Ok(());
        }
        durable.chunks += pack.contents.chunk_count();
        durable.bytes += len;
        let (id, kind, contents) = (pack.id, pack.kind, pack.contents);
        durable.unindexed.push(IndexedPack { id, kind, len, contents });
        match durable.chunks >= INDEX_FLUSH_CHUNKS || durable.bytes >= INDEX_FLUSH_BYTES {
            true => self.flush(&mut durable),
            false => Ok(()),
        }
    }

    /// Puts an index object of what no other lists. The lock is held meanwhile: one indexer at a time.
    fn flush(&self, durable: &mut Durable) -> Result<(), StoreError> {
        let Uploads::Real { storage, writer } = &self.uploads else {
            return Ok(());
        };
        if durable.unindexed.is_empty() {
            return Ok(());
        }
        (durable.chunks, durable.bytes) = (0, 0);
        let record = IndexRecord {
            writer: *writer,
            packs: std::mem::take(&mut durable.unindexed),
            replaces: Vec::new(),
            ext: Vec::new(),
        };
        let (id, bytes) = put_index(&**storage, &self.vault, &record)?;
        durable.uploaded.index_bytes += bytes;
        self.known.index().ingest(id, &record)?;
        let chunks = record.packs.iter().flat_map(|pack| &pack.contents.blocks);
        self.known.release(
            record.packs.iter().map(|pack| pack.id),
            chunks.flat_map(|block| &block.chunks).map(|chunk| chunk.id),
        );
        Ok(())
    }
}
