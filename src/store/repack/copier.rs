//! Blocks moved from pack to pack: opened, which proves them, and sealed anew. As they are; or, where that was asked for,
//! plain ones compressed anew, and deltas coded against something else.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::format::{IndexRecord, IndexedPack, ObjectKind, PackKind, name};
use crate::id::{ActorId, ObjectId, PackId};
use crate::limits::{INDEX_FLUSH_BYTES, INDEX_FLUSH_CHUNKS, PACK_TARGET_MIN};
use crate::storage::{Key, Storage};
use crate::store::StoreError;
use crate::store::pack::builder::{NewBlock, PackBuilder};
use crate::store::pack::sealer::Vault;
use crate::store::pack::trailer::read_frame;

use super::block::{Opened, Opener, Wanted, batches, placed, runs, split};

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    pub blocks: u64,
    /// Bytes read of old packs, and of new packs put, trailers and padding included.
    pub read_bytes: u64,
    pub packs: u64,
    pub pack_bytes: u64,
    /// Deltas that were coded against something else.
    pub rebased: u64,
}

/// A pack that is not full yet.
struct OpenPack {
    pack: PackBuilder,
    /// The lowest level at which any of its blocks was compacted. `None`: some never was.
    level: Option<i32>,
}

/// Puts packs of copied blocks and index objects that list them. After its first error it does nothing any more.
pub struct BlockCopier {
    storage: Arc<dyn Storage>,
    vault: Arc<Vault>,
    writer: ActorId,
    target: usize,
    open: [Option<OpenPack>; 2],
    /// By the level at which all that is in them was compressed.
    unindexed: BTreeMap<Option<i32>, Vec<IndexedPack>>,
    chunks: usize,
    bytes: u64,
    copied: Copied,
    poisoned: bool,
    /// The level at which plain blocks are compressed anew.
    level: Option<i32>,
}

impl BlockCopier {
    pub fn new(
        storage: Arc<dyn Storage>,
        vault: Arc<Vault>,
        writer: ActorId,
        target: usize,
    ) -> Self {
        let (open, unindexed) = ([None, None], BTreeMap::new());
        let copied = Copied::default();
        Self {
            storage,
            vault,
            writer,
            target,
            open,
            unindexed,
            chunks: 0,
            bytes: 0,
            copied,
            poisoned: false,
            level: None,
        }
    }

    /// Plain blocks are compressed anew, and stay as they are where that gains nothing.
    #[must_use]
    pub fn compressing(self, level: Option<i32>) -> Self {
        Self { level, ..self }
    }

    /// Copies what is wanted of a pack, its blocks numbered as in these contents.
    pub fn copy(
        &mut self,
        (id, kind, len): (&PackId, PackKind, u64),
        contents: &[u8; 16],
        wanted: &Wanted<'_>,
    ) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let copied = self.try_copy((id, kind, len), contents, wanted);
        self.poisoned = copied.is_err();
        copied
    }

    /// Whether it is time for [`Self::flush`]: memory is bounded.
    pub fn is_due(&self) -> bool {
        self.chunks >= INDEX_FLUSH_CHUNKS || self.bytes >= INDEX_FLUSH_BYTES
    }

    /// All that was copied is durable, and in index objects.
    pub fn flush(&mut self) -> Result<Copied, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let flushed = self.try_flush();
        self.poisoned = flushed.is_err();
        flushed.map(|()| self.copied)
    }

    fn try_copy(
        &mut self,
        (id, kind, len): (&PackId, PackKind, u64),
        contents: &[u8; 16],
        wanted: &Wanted<'_>,
    ) -> Result<(), StoreError> {
        let key = Key::new(name::pack(id))?;
        let frame = read_frame(&*self.storage, &self.vault, id, len)?;
        self.copied.read_bytes += frame.read;
        if frame.kind != kind {
            let (expected, found) = (kind.object().name(), frame.kind.object().name());
            return Err(StoreError::damaged(id, "pack", expected, found));
        }
        let view = frame.view;
        if view.contents.fingerprint() != *contents {
            let expected = "the blocks that an index object lists";
            return Err(StoreError::damaged(id, "pack trailer", expected, "others"));
        }
        let wanted_blocks = placed(&view, wanted.blocks);
        let mut buffer = Vec::new();
        for run in runs(&wanted_blocks, &self.storage.hints()) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let run_len = last.end() - first.offset;
            // A run is bounded, and so is a block.
            let bytes = usize::try_from(run_len).unwrap_or(usize::MAX);
            self.storage.get_range(&key, first.offset, bytes, &mut buffer)?;
            self.copied.read_bytes += run_len;
            let mut sealed = split(run, &mut buffer).into_iter();
            for some in batches(run) {
                let parts: Vec<&mut [u8]> = sealed.by_ref().take(some.len()).collect();
                let opener = Opener { kind, id, view: &view, level: self.level, wanted };
                let opened: Result<Vec<Opened<'_>>, StoreError> = some
                    .par_iter()
                    .zip(parts)
                    .map(|(block, sealed)| opener.open(block, sealed))
                    .collect();
                let level = self.level.or(wanted.level);
                opened?.into_iter().try_for_each(|block| self.add(kind, level, block))?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        kind: PackKind,
        level: Option<i32>,
        block: Opened<'_>,
    ) -> Result<(), StoreError> {
        let Opened { codec, depth, bases, chunks, coded, is_rebased } = block;
        let new = NewBlock { codec, depth, bases: &bases, coded: &coded };
        let (slot, target) = match kind {
            PackKind::Data => (0, self.target),
            PackKind::Metadata => (1, PACK_TARGET_MIN as usize),
        };
        let mut open = match self.open.get_mut(slot).and_then(Option::take) {
            Some(open) => OpenPack { level: open.level.min(level), ..open },
            None => OpenPack { pack: PackBuilder::new(&self.vault, kind, Vec::new())?, level },
        };
        open.pack.add(new, chunks)?;
        self.copied.blocks += 1;
        self.copied.rebased += u64::from(is_rebased);
        if open.pack.is_full(target) {
            return self.put(open);
        }
        if let Some(slot) = self.open.get_mut(slot) {
            *slot = Some(open);
        }
        Ok(())
    }

    fn put(&mut self, OpenPack { pack, level }: OpenPack) -> Result<(), StoreError> {
        let pack = pack.finish(&self.vault)?;
        self.storage.put(&Key::new(name::pack(&pack.id))?, &pack.bytes)?;
        let len = pack.bytes.len() as u64;
        self.copied.packs += 1;
        self.copied.pack_bytes += len;
        self.chunks += pack.contents.chunk_count();
        self.bytes += len;
        let (id, kind, contents) = (pack.id, pack.kind, pack.contents);
        self.unindexed.entry(level).or_default().push(IndexedPack { id, kind, len, contents });
        Ok(())
    }

    fn try_flush(&mut self) -> Result<(), StoreError> {
        for slot in [0, 1] {
            if let Some(pack) = self.open.get_mut(slot).and_then(Option::take) {
                self.put(pack)?;
            }
        }
        (self.chunks, self.bytes) = (0, 0);
        for (level, packs) in std::mem::take(&mut self.unindexed) {
            let ext = level.map(IndexRecord::compacted_at).into_iter().collect();
            let record = IndexRecord { writer: self.writer, packs, replaces: Vec::new(), ext };
            put_index(&*self.storage, &self.vault, &record)?;
        }
        Ok(())
    }
}

/// Puts an index object: decoded before it is trusted, since without it its packs are lost to everybody.
pub fn put_index(
    storage: &dyn Storage,
    vault: &Vault,
    record: &IndexRecord,
) -> Result<(ObjectId, u64), StoreError> {
    let object = vault.seal(ObjectKind::Index, record)?;
    let id = ObjectId::new(object.name);
    let read: IndexRecord = vault.open(ObjectKind::Index, &id.to_hex(), &object.bytes)?;
    if read != *record {
        let (expected, found) = ("the index object as it was written", "another");
        return Err(StoreError::damaged(id, "index", expected, found));
    }
    storage.put(&Key::new(name::index(&id))?, &object.bytes)?;
    Ok((id, object.bytes.len() as u64))
}
