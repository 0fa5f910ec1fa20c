//! Blocks moved from pack to pack: opened, which proves them, and sealed anew. As they are; or, where that was asked for,
//! plain ones compressed anew.

use std::sync::Arc;

use rayon::prelude::*;

use crate::codec;
use crate::format::{
    BlockRecord, Codec, HEADER_LEN, IndexRecord, IndexedPack, ObjectKind, PackKind, name,
};
use crate::id::{ActorId, ObjectId, PackId};
use crate::index::Base;
use crate::limits::{INDEX_FLUSH_BYTES, INDEX_FLUSH_CHUNKS, PACK_TARGET_MIN};
use crate::storage::{Key, Storage};

use super::frame::read_frame;
use super::pack::{NewBlock, PackBuilder};
use super::{PackView, StoreError, Vault};

/// Blocks that lie side by side are read together up to this many bytes, and over gaps up to so many.
const READ_MAX: u64 = 8 * 1024 * 1024;
const GAP_MAX: u64 = 64 * 1024;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    pub blocks: u64,
    /// Bytes read of old packs, and of new packs put, trailers and padding included.
    pub read_bytes: u64,
    pub packs: u64,
    pub pack_bytes: u64,
}

/// Puts packs of copied blocks and index objects that list them. After its first error it does nothing any more.
pub struct BlockCopier {
    storage: Arc<dyn Storage>,
    vault: Arc<Vault>,
    writer: ActorId,
    target: usize,
    open: [Option<PackBuilder>; 2],
    unindexed: Vec<IndexedPack>,
    chunks: usize,
    bytes: u64,
    copied: Copied,
    poisoned: bool,
    /// The level at which plain blocks are compressed anew.
    recode: Option<i32>,
}

impl BlockCopier {
    pub fn new(
        storage: Arc<dyn Storage>,
        vault: Arc<Vault>,
        writer: ActorId,
        target: usize,
    ) -> Self {
        let (open, unindexed) = ([None, None], Vec::new());
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
            recode: None,
        }
    }

    /// Plain blocks are compressed anew, and stay as they are where that gains nothing.
    #[must_use]
    pub fn compressing(self, level: Option<i32>) -> Self {
        Self { recode: level, ..self }
    }

    /// Copies the wanted blocks of a pack, by their numbers among these contents.
    pub fn copy(
        &mut self,
        (id, kind, len): (&PackId, PackKind, u64),
        contents: &[u8; 16],
        wanted: &dyn Fn(u32) -> bool,
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
        wanted: &dyn Fn(u32) -> bool,
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
        let mut end = HEADER_LEN as u64;
        let blocks = (0u32..).zip(&view.contents.blocks).map(|(ordinal, record)| {
            let offset = end;
            end += u64::from(record.sealed_len);
            Placed { ordinal, offset, record }
        });
        let wanted: Vec<Placed<'_>> = blocks.filter(|block| wanted(block.ordinal)).collect();
        let mut buffer = Vec::new();
        for run in runs(&wanted) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let run_len = last.end() - first.offset;
            // A run is bounded, and so is a block.
            let bytes = usize::try_from(run_len).unwrap_or(usize::MAX);
            self.storage.get_range(&key, first.offset, bytes, &mut buffer)?;
            self.copied.read_bytes += run_len;
            let sealed = split(run, &mut buffer);
            let opened: Result<Vec<Opened<'_>>, StoreError> = run
                .par_iter()
                .zip(sealed)
                .map(|(block, sealed)| open(kind, id, &view, block, sealed, self.recode))
                .collect();
            for (block, opened) in run.iter().zip(opened?) {
                self.add(kind, &view, block, &opened)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        kind: PackKind,
        view: &PackView,
        block: &Placed<'_>,
        opened: &Opened<'_>,
    ) -> Result<(), StoreError> {
        let bases: Vec<Base> = block
            .record
            .bases
            .iter()
            .filter_map(|base| {
                let name = *view.contents.bases.get(base.base as usize)?;
                Some(Base { name, skip: base.skip, len: base.len })
            })
            .collect();
        let (codec, coded) = match &opened.recoded {
            Some(shorter) => (Codec::Zstd, shorter.as_slice()),
            None => (block.record.codec, opened.coded),
        };
        let new = NewBlock { codec, depth: block.record.depth, bases: &bases, coded };
        let (slot, target) = match kind {
            PackKind::Data => (0, self.target),
            PackKind::Metadata => (1, PACK_TARGET_MIN as usize),
        };
        let mut pack = match self.open.get_mut(slot).and_then(Option::take) {
            Some(pack) => pack,
            None => PackBuilder::new(&self.vault, kind, Vec::new())?,
        };
        pack.add(new, block.record.chunks.clone())?;
        self.copied.blocks += 1;
        if pack.is_full(target) {
            return self.put(pack);
        }
        if let Some(slot) = self.open.get_mut(slot) {
            *slot = Some(pack);
        }
        Ok(())
    }

    fn put(&mut self, pack: PackBuilder) -> Result<(), StoreError> {
        let pack = pack.finish(&self.vault)?;
        self.storage.put(&Key::new(name::pack(&pack.id))?, &pack.bytes)?;
        let len = pack.bytes.len() as u64;
        self.copied.packs += 1;
        self.copied.pack_bytes += len;
        self.chunks += pack.contents.chunk_count();
        self.bytes += len;
        let (id, kind, contents) = (pack.id, pack.kind, pack.contents);
        self.unindexed.push(IndexedPack { id, kind, len, contents });
        Ok(())
    }

    fn try_flush(&mut self) -> Result<(), StoreError> {
        for slot in [0, 1] {
            if let Some(pack) = self.open.get_mut(slot).and_then(Option::take) {
                self.put(pack)?;
            }
        }
        if self.unindexed.is_empty() {
            return Ok(());
        }
        let packs = std::mem::take(&mut self.unindexed);
        (self.chunks, self.bytes) = (0, 0);
        let ext = self.recode.map(IndexRecord::compacted_at).into_iter().collect();
        let record = IndexRecord { writer: self.writer, packs, replaces: Vec::new(), ext };
        put_index(&*self.storage, &self.vault, &record)?;
        Ok(())
    }
}

/// A block's coded bytes, and shorter ones that stand for the same.
struct Opened<'b> {
    coded: &'b [u8],
    recoded: Option<Vec<u8>>,
}

fn open<'b>(
    kind: PackKind,
    id: &PackId,
    view: &PackView,
    block: &Placed<'_>,
    sealed: &'b mut [u8],
    recode: Option<i32>,
) -> Result<Opened<'b>, StoreError> {
    let part = block.record.sealed_part(kind, block.ordinal);
    let wrong = |e| StoreError::codec(format!("{id} block {}", block.ordinal), e);
    let coded = view.key.open(part.nonce(), &part.associated_data(), sealed).map_err(wrong)?;
    let recoded = match recode {
        Some(level) => shorter(block.record, coded, level).map_err(wrong)?,
        None => None,
    };
    Ok(Opened { coded, recoded })
}

/// A plain block compressed anew, if that is shorter: decoded again before it is trusted.
fn shorter(
    block: &BlockRecord,
    coded: &[u8],
    level: i32,
) -> Result<Option<Vec<u8>>, codec::CodecError> {
    let raw_len = block.raw_len() as usize;
    let mut decoded = Vec::new();
    let raw = match block.codec {
        Codec::Raw => coded,
        Codec::Zstd => {
            codec::decompress(coded, raw_len, &mut decoded)?;
            &decoded
        }
        // What it is coded against decides how long it is.
        Codec::ZstdDelta => return Ok(None),
    };
    let (mut anew, mut again) = (Vec::new(), Vec::new());
    if !codec::compress(level, raw, &mut anew)? || anew.len() >= coded.len() {
        return Ok(None);
    }
    codec::decompress(&anew, raw_len, &mut again)?;
    if again != raw {
        let found = "other bytes after compression".to_owned();
        return Err(codec::CodecError::Decompress { expected: raw_len, found });
    }
    Ok(Some(anew))
}

/// The sealed blocks of a run in what was read of it.
fn split<'b>(run: &[Placed<'_>], buffer: &'b mut [u8]) -> Vec<&'b mut [u8]> {
    let mut at = run.first().map_or(0, |first| first.offset);
    let (mut rest, mut parts) = (buffer, Vec::new());
    for block in run {
        let gap = usize::try_from(block.offset - at).unwrap_or(usize::MAX).min(rest.len());
        let len = (block.record.sealed_len as usize).min(rest.len() - gap);
        let (_, after) = rest.split_at_mut(gap);
        let (part, after) = after.split_at_mut(len);
        parts.push(part);
        (rest, at) = (after, block.end());
    }
    parts
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

/// A block and where it lies.
struct Placed<'p> {
    ordinal: u32,
    offset: u64,
    record: &'p BlockRecord,
}

impl Placed<'_> {
    fn end(&self) -> u64 {
        self.offset + u64::from(self.record.sealed_len)
    }
}

/// Blocks that are read together.
fn runs<'r, 'p>(blocks: &'r [Placed<'p>]) -> Vec<&'r [Placed<'p>]> {
    let (mut runs, mut rest) = (Vec::new(), blocks);
    while let Some(first) = rest.first() {
        let joins = |(before, next): &(&Placed<'_>, &Placed<'_>)| {
            next.offset - before.end() <= GAP_MAX && next.end() - first.offset <= READ_MAX
        };
        let more = rest.iter().zip(rest.iter().skip(1)).take_while(joins).count();
        let (run, after) = rest.split_at(more + 1);
        runs.push(run);
        rest = after;
    }
    runs
}
