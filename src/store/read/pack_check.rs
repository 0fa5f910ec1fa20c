//! A whole pack, read and proven: what `check --read-data` does.

use rayon::prelude::*;

use crate::fault::ErrorKind;
use crate::format::{BlockRecord, Codec, HEADER_LEN, PackContents, PackKind};
use crate::id::{ChunkId, PackId};
use crate::index::{Base, Location};
use crate::store::StoreError;
use crate::store::pack::builder::{PackView, verify_name};

use super::chain::Chain;
use super::decoder::decode_block;
use super::prefetch::Ahead;
use super::reader::StoreReader;

/// A block that does not give the chunks it lists.
#[derive(Debug)]
pub struct BlockDamage {
    pub ordinal: u32,
    pub chunks: Vec<ChunkId>,
    pub error: StoreError,
    /// It is a base, in this pack or another, that cannot be read.
    pub in_base: bool,
}

/// What a pack was found to hold.
#[derive(Debug, Default)]
pub struct PackReport {
    pub chunks: u64,
    pub raw_bytes: u64,
    /// Of what its trailer lists.
    pub contents: [u8; 16],
    /// The bytes are not those the pack is named after.
    pub wrong_name: Option<StoreError>,
    pub damaged: Vec<BlockDamage>,
}

/// Opens every block of a pack and recomputes every chunk's id. An error means that the pack's own frame
/// is unreadable; damage inside is in the report.
pub fn scan_pack(
    reader: &StoreReader,
    kind: PackKind,
    id: &PackId,
    bytes: &mut [u8],
) -> Result<PackReport, StoreError> {
    let object = id.to_hex();
    let mut report =
        PackReport { wrong_name: verify_name(&object, &object, bytes).err(), ..Default::default() };
    let view = match PackView::read(reader.vault(), kind, &object, bytes) {
        Ok(view) => view,
        // A version that is not sealed may have rotted as well as anything else.
        Err(error) if error.kind() == ErrorKind::TooNew => {
            return Err(report.wrong_name.unwrap_or(error));
        }
        Err(error) => return Err(error),
    };

    report.contents = view.contents.fingerprint();
    let mut rest = bytes.get_mut(HEADER_LEN..).unwrap_or_default();
    let (mut blocks, mut offset) = (Vec::new(), HEADER_LEN as u32);
    for (ordinal, record) in (0u32..).zip(&view.contents.blocks) {
        let Some((sealed, after)) = rest.split_at_mut_checked(record.sealed_len as usize) else {
            break;
        };
        rest = after;
        let at = Location {
            pack: *id,
            pack_kind: kind,
            ordinal,
            offset,
            sealed_len: record.sealed_len,
            raw_len: record.raw_len(),
            codec: record.codec,
            depth: record.depth,
            chunk_offset: 0,
            chunk_len: 0,
        };
        blocks.push(Block { at, record, sealed });
        offset = offset.saturating_add(record.sealed_len);
        report.chunks += record.chunks.len() as u64;
        report.raw_bytes += u64::from(record.raw_len());
    }
    report.damaged = blocks
        .par_chunks_mut(RUN)
        .flat_map_iter(|run| {
            let bases = |block: &Block<'_>| (block.at, bases(&view.contents, block.record));
            let deltas = run.iter().filter(|block| block.at.codec == Codec::ZstdDelta);
            let ahead = Ahead::of_known(&reader.decoder, deltas.map(bases).collect(), AHEAD_BYTES);
            run.iter_mut()
                .filter_map(|block| prove(reader, &view, &ahead, block))
                .collect::<Vec<_>>()
        })
        .map(|damage| if damage.error.is_general() { Err(damage.error) } else { Ok(damage) })
        .collect::<Result<_, _>>()?;
    Ok(report)
}

/// Blocks whose bases are read together, in how many bytes.
const RUN: usize = 64;
const AHEAD_BYTES: u64 = 4 * 1024 * 1024;

struct Block<'p> {
    at: Location,
    record: &'p BlockRecord,
    sealed: &'p mut [u8],
}

/// The bases of a block, as the pack itself says.
fn bases(contents: &PackContents, record: &BlockRecord) -> Vec<Base> {
    let named = record.bases.iter().filter_map(|base| {
        let name = *contents.bases.get(base.base as usize)?;
        Some(Base { name, skip: base.skip, len: base.len })
    });
    named.collect()
}

/// What is wrong with a block.
fn prove(
    reader: &StoreReader,
    view: &PackView,
    ahead: &Ahead,
    Block { at, record, sealed }: &mut Block<'_>,
) -> Option<BlockDamage> {
    let (ordinal, mut decoded) = (at.ordinal, Vec::new());
    let all = || record.chunks.iter().map(|chunk| chunk.id).collect();
    let first_chunk = record.chunks.first()?.id;
    let prefix = match Chain::new(&reader.decoder, Some(ahead), first_chunk).prefix(at) {
        Ok((prefix, _)) => prefix,
        Err(error) => return Some(BlockDamage { ordinal, chunks: all(), error, in_base: true }),
    };
    let block = match decode_block(&view.key, at, prefix.bytes(), sealed, &mut decoded) {
        Ok(block) => Some(block),
        Err(_) if at.codec == Codec::ZstdDelta => None,
        Err(error) => return Some(BlockDamage { ordinal, chunks: all(), error, in_base: false }),
    };
    let (mut chunks, mut first, mut at) = (Vec::new(), None, *at);
    for chunk in &record.chunks {
        at.chunk_len = chunk.len;
        let is_proven = |block| reader.decoder.verified(&at, &chunk.id, block).map(drop);
        let proven = match (block.map(is_proven), at.codec) {
            // Some base may not be what it is called, and have another copy that is.
            (None | Some(Err(_)), Codec::ZstdDelta) => reader.try_copy(&chunk.id, &at),
            (proven, _) => proven.unwrap_or(Ok(())),
        };
        if let Err(error) = proven {
            chunks.push(chunk.id);
            first.get_or_insert(error);
        }
        at.chunk_offset += chunk.len;
    }
    first.map(|error| BlockDamage { ordinal, chunks, error, in_base: false })
}
