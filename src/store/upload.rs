//! Makes packs durable, then the index objects that list them, on a thread of its own.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::format::{IndexRecord, IndexedPack, name};
use crate::id::{ActorId, ChunkId};
use crate::limits::{INDEX_FLUSH_BYTES, INDEX_FLUSH_CHUNKS};
use crate::storage::{Key, Storage};

use super::block_copy::put_index;
use super::pack::PackBuilder;
use super::{Known, StoreError, Vault};

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
pub(super) struct Uploaded {
    pub packs: u64,
    pub pack_bytes: u64,
    pub index_bytes: u64,
}

pub(super) struct Uploader {
    pub uploads: Uploads,
    pub vault: Arc<Vault>,
    pub known: Arc<Known>,
    pending: Vec<IndexedPack>,
    pending_chunks: usize,
    pending_bytes: u64,
    /// What a dry run would have stored.
    dry_claims: Vec<ChunkId>,
    uploaded: Uploaded,
    /// Where buffers of packs that were put go back.
    spent: Sender<Vec<u8>>,
}

/// A dry run remembers at least this many chunks: 64 GiB at the usual size, 100 MiB of memory.
const DRY_CLAIMS_MAX: usize = 1 << 20;

impl Uploader {
    pub fn new(
        uploads: Uploads,
        vault: Arc<Vault>,
        known: Arc<Known>,
        spent: Sender<Vec<u8>>,
    ) -> Self {
        Self {
            uploads,
            vault,
            known,
            pending: Vec::new(),
            pending_chunks: 0,
            pending_bytes: 0,
            dry_claims: Vec::new(),
            uploaded: Uploaded::default(),
            spent,
        }
    }

    /// Until the channel closes. Whatever was put is indexed in the end, so that the next backup takes it
    /// up even when this one is cut short.
    pub fn run(mut self, packs: &Receiver<PackBuilder>) -> Result<Uploaded, StoreError> {
        for pack in packs {
            if let Err(error) = self.take(pack) {
                // The first error is the one to report; the flush is a courtesy to the next backup.
                let _ = self.flush();
                return Err(error);
            }
        }
        self.flush()?;
        Ok(self.uploaded)
    }

    fn take(&mut self, pack: PackBuilder) -> Result<(), StoreError> {
        let pack = pack.finish(&self.vault)?;
        let len = pack.bytes.len() as u64;
        if let Uploads::Real { storage, .. } = &self.uploads {
            storage.put(&Key::new(name::pack(&pack.id))?, &pack.bytes)?;
        }
        self.uploaded.packs += 1;
        self.uploaded.pack_bytes += len;
        // A full or abandoned return channel only means that a buffer is made anew.
        let _ = self.spent.try_send(pack.bytes);
        if let Uploads::Dry = self.uploads {
            // Memory stays bounded: a chunk that comes again much later is counted twice.
            let chunks = pack.contents.blocks.iter().flat_map(|block| &block.chunks);
            self.dry_claims.extend(chunks.map(|chunk| chunk.id));
            if self.dry_claims.len() >= DRY_CLAIMS_MAX {
                self.known.release(std::iter::empty(), self.dry_claims.drain(..));
            }
            return Ok(());
        }
        self.pending_chunks += pack.contents.chunk_count();
        self.pending_bytes += len;
        self.pending.push(IndexedPack {
            id: pack.id,
            kind: pack.kind,
            len,
            contents: pack.contents,
        });
        if self.pending_chunks >= INDEX_FLUSH_CHUNKS || self.pending_bytes >= INDEX_FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let Uploads::Real { storage, writer } = &self.uploads else {
            return Ok(());
        };
        if self.pending.is_empty() {
            return Ok(());
        }
        self.pending_chunks = 0;
        self.pending_bytes = 0;
        let record = IndexRecord {
            writer: *writer,
            packs: std::mem::take(&mut self.pending),
            replaces: Vec::new(),
            ext: Vec::new(),
        };
        let (id, bytes) = put_index(&**storage, &self.vault, &record)?;
        self.uploaded.index_bytes += bytes;
        self.known.index().ingest(id, &record)?;
        let chunks = record.packs.iter().flat_map(|pack| &pack.contents.blocks);
        self.known.release(
            record.packs.iter().map(|pack| pack.id),
            chunks.flat_map(|block| &block.chunks).map(|chunk| chunk.id),
        );
        Ok(())
    }
}
