//! Blocks moved from pack to pack as they are: opened, which proves them, and sealed anew; neither decoded nor recoded.

use std::sync::Arc;

use crate::format::{
    BlockRecord, FOOTER_LEN, Footer, HEADER_LEN, Header, IndexRecord, IndexedPack, ObjectKind,
    PackKind, name,
};
use crate::id::{ActorId, ObjectId, PackId};
use crate::index::Base;
use crate::limits::{INDEX_FLUSH_BYTES, INDEX_FLUSH_CHUNKS, PACK_TARGET_MIN};
use crate::storage::{Key, Storage};

use super::pack::{NewBlock, PackBuilder, open_trailer};
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
        }
    }

    /// Copies the wanted blocks of a pack, by their numbers.
    pub fn copy(
        &mut self,
        kind: PackKind,
        id: &PackId,
        len: u64,
        wanted: &dyn Fn(u32) -> bool,
    ) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let copied = self.try_copy(kind, id, len, wanted);
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
        kind: PackKind,
        id: &PackId,
        len: u64,
        wanted: &dyn Fn(u32) -> bool,
    ) -> Result<(), StoreError> {
        let key = Key::new(name::pack(id))?;
        let view = self.frame(kind, &key, len)?;
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
            for block in run {
                self.add(kind, id, &view, block, first.offset, &mut buffer)?;
            }
        }
        Ok(())
    }

    /// The header and the trailer: what the blocks are, by the pack's own word.
    fn frame(&mut self, kind: PackKind, key: &Key, len: u64) -> Result<PackView, StoreError> {
        let (object, mut buffer) = (key.as_str(), Vec::new());
        let damaged = |e| StoreError::format(object, e);
        let short = || {
            let found = format!("{len} bytes");
            StoreError::damaged(object, "pack", "a header, a trailer and a footer", found)
        };
        self.storage.get_range(key, 0, HEADER_LEN, &mut buffer)?;
        let (header, _) = Header::decode(kind.object(), &buffer).map_err(damaged)?;
        let footer_at = len.checked_sub(FOOTER_LEN as u64).ok_or_else(short)?;
        self.storage.get_range(key, footer_at, FOOTER_LEN, &mut buffer)?;
        let footer = Footer::decode(&buffer, len).map_err(damaged)?;
        let trailer_at = footer_at.checked_sub(u64::from(footer.sealed_len)).ok_or_else(short)?;
        self.storage.get_range(key, trailer_at, footer.sealed_len as usize, &mut buffer)?;
        self.copied.read_bytes += len - trailer_at;
        let seal = self
            .vault
            .object_key(kind.object(), &header.salt)
            .map_err(|e| StoreError::codec(object, e))?;
        let trailer = open_trailer(&seal, kind, &footer, buffer, object)?;
        Ok(PackView { key: seal, contents: trailer.contents })
    }

    fn add(
        &mut self,
        kind: PackKind,
        id: &PackId,
        view: &PackView,
        block: &Placed<'_>,
        start: u64,
        buffer: &mut [u8],
    ) -> Result<(), StoreError> {
        let from = usize::try_from(block.offset - start).unwrap_or(usize::MAX);
        let sealed = buffer
            .get_mut(from..)
            .and_then(|rest| rest.get_mut(..block.record.sealed_len as usize));
        let part = block.record.sealed_part(kind, block.ordinal);
        let wrong = |e| StoreError::codec(format!("{id} block {}", block.ordinal), e);
        let coded = view
            .key
            .open(part.nonce(), &part.associated_data(), sealed.unwrap_or_default())
            .map_err(wrong)?;
        let bases: Vec<Base> = block
            .record
            .bases
            .iter()
            .filter_map(|base| {
                let name = *view.contents.bases.get(base.base as usize)?;
                Some(Base { name, skip: base.skip, len: base.len })
            })
            .collect();
        let new =
            NewBlock { codec: block.record.codec, depth: block.record.depth, bases: &bases, coded };
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
        let record =
            IndexRecord { writer: self.writer, packs, replaces: Vec::new(), ext: Vec::new() };
        put_index(&*self.storage, &self.vault, &record)?;
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
