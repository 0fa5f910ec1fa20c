//! A whole pack, read and proven: what `check --read-data` does.

use rayon::prelude::*;

use crate::format::{HEADER_LEN, PackKind};
use crate::id::{ChunkId, PackId};
use crate::index::Location;

use super::{PackView, StoreError, StoreReader, verify_name};

/// A block that does not give the chunks it lists.
#[derive(Debug)]
pub struct BlockDamage {
    pub ordinal: u32,
    pub chunks: Vec<ChunkId>,
    pub error: StoreError,
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
    let view = PackView::read(reader.vault(), kind, &object, bytes)?;

    report.contents = view.contents.fingerprint();
    let mut rest = bytes.get_mut(HEADER_LEN..).unwrap_or_default();
    let (mut blocks, mut offset) = (Vec::new(), HEADER_LEN as u32);
    for (ordinal, record) in (0u32..).zip(&view.contents.blocks) {
        let Some((sealed, after)) = rest.split_at_mut_checked(record.sealed_len as usize) else {
            break;
        };
        rest = after;
        blocks.push((ordinal, offset, record, sealed));
        offset = offset.saturating_add(record.sealed_len);
        report.chunks += record.chunks.len() as u64;
        report.raw_bytes += u64::from(record.raw_len());
    }
    report.damaged = blocks
        .into_par_iter()
        .filter_map(|(ordinal, offset, record, sealed)| {
            let mut location = Location {
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
            let mut decoded = Vec::new();
            let all = || record.chunks.iter().map(|chunk| chunk.id).collect();
            let block = match reader.decode_block_with(&view.key, &location, sealed, &mut decoded) {
                Ok(block) => block,
                Err(error) => return Some(BlockDamage { ordinal, chunks: all(), error }),
            };
            let (mut chunks, mut first) = (Vec::new(), None);
            for chunk in &record.chunks {
                location.chunk_len = chunk.len;
                if let Err(error) = reader.verified(&location, &chunk.id, block) {
                    chunks.push(chunk.id);
                    first.get_or_insert(error);
                }
                location.chunk_offset += chunk.len;
            }
            first.map(|error| BlockDamage { ordinal, chunks, error })
        })
        .collect();
    Ok(report)
}
