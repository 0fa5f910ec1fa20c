//! Puts new chunks into packs, in the order of the streams they come from.

use std::sync::Arc;

use crate::cut::CutKind;
use crate::format::{ChunkRecord, Codec, NodeRef, PackKind};
use crate::limits::PACK_TARGET_MIN;
use crate::store::StoreError;
use crate::store::delta::old_stream::Piece;
use crate::store::pack::builder::{NewBlock, PackBuilder};

use super::dedup::Claim;
use super::encoder::{Against, CodedBlock, CodedSegment, Encoder};
use super::uploader::{Uploader, Uploads};

/// What a writer stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub new_chunks: u64,
    /// Raw bytes of new data chunks, and what their blocks take in packs.
    pub new_bytes: u64,
    pub data_stored: u64,
    /// As much of that as is coded against other chunks.
    pub delta_bytes: u64,
    pub delta_stored: u64,
    /// The same of catalog and recipe nodes.
    pub metadata_bytes: u64,
    pub metadata_stored: u64,
    /// Whole objects put: packs with trailers and padding, index objects.
    pub packs: u64,
    pub pack_bytes: u64,
    pub index_bytes: u64,
}

/// The one writer of a backup. After its first error it does nothing any more.
pub struct StoreWriter {
    encoder: Arc<Encoder>,
    pack_target: usize,
    data: Option<PackBuilder>,
    metadata: Option<PackBuilder>,
    uploader: Uploader,
    written: Written,
}

impl StoreWriter {
    pub fn new(encoder: Arc<Encoder>, uploads: Uploads, pack_target: usize) -> Self {
        let (vault, known) = (Arc::clone(&encoder.vault), Arc::clone(&encoder.known));
        let uploader = Uploader::new(uploads, vault, known);
        Self {
            encoder,
            pack_target,
            data: None,
            metadata: None,
            uploader,
            written: Written::default(),
        }
    }

    /// Stores the new chunks of a segment.
    pub fn add_segment(&mut self, segment: &CodedSegment) -> Result<(), StoreError> {
        for block in &segment.blocks {
            let added = self.add_data_block(segment, block);
            self.poisoned_by(added)?;
        }
        Ok(())
    }

    /// Stores a node of a catalog or recipe, unless it is known.
    pub fn put_node(&mut self, node: &[u8]) -> Result<NodeRef, StoreError> {
        self.put_node_after(node, &[], [0; 4])
    }

    /// Likewise, one that is likely to be much like these nodes of an older snapshot. `lineage` is the same for
    /// the nodes that take its place night by night.
    pub(in crate::store) fn put_node_after(
        &mut self,
        node: &[u8],
        old: &[NodeRef],
        lineage: [u8; 4],
    ) -> Result<NodeRef, StoreError> {
        let put = self.try_put_node(node, old, lineage);
        self.poisoned_by(put)
    }

    /// Everything is in packs, the packs and the index objects that list them are durable.
    pub fn finish(mut self) -> Result<Written, StoreError> {
        let closed = self.close();
        self.poisoned_by(closed)?;
        let uploaded = self.uploader.finish()?;
        self.written.packs = uploaded.packs;
        self.written.pack_bytes = uploaded.pack_bytes;
        self.written.index_bytes = uploaded.index_bytes;
        Ok(self.written)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        for pack in [self.data.take(), self.metadata.take()].into_iter().flatten() {
            self.uploader.send(pack)?;
        }
        Ok(())
    }

    fn add_data_block(
        &mut self,
        segment: &CodedSegment,
        block: &CodedBlock,
    ) -> Result<(), StoreError> {
        let refs = segment.refs.get(block.chunks.clone()).unwrap_or_default();
        let chunks: Vec<_> =
            refs.iter().map(|chunk| ChunkRecord { id: chunk.id, len: chunk.len }).collect();
        self.written.new_chunks += chunks.len() as u64;
        let raw = chunks.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>();
        let coded = NewBlock {
            codec: block.codec,
            depth: block.depth,
            bases: &block.bases,
            coded: segment.block_bytes(block),
        };
        let stored = self.add(PackKind::Data, coded, chunks)?;
        self.written.new_bytes += raw;
        self.written.data_stored += stored;
        if block.codec == Codec::ZstdDelta {
            self.written.delta_bytes += raw;
            self.written.delta_stored += stored;
        }
        Ok(())
    }

    fn try_put_node(
        &mut self,
        node: &[u8],
        old: &[NodeRef],
        lineage: [u8; 4],
    ) -> Result<NodeRef, StoreError> {
        let reference = self.encoder.reference(node, CutKind::End);
        let stored_as = NodeRef { id: reference.id, len: reference.len };
        let claim = self.encoder.known.claim_node(&reference.id)?;
        if claim == Claim::Known {
            return Ok(stored_as);
        }
        let mut coded = Vec::new();
        let whole = |old: &NodeRef| Piece { id: old.id, skip: 0, len: old.len };
        let mut old: Vec<Piece> = old.iter().map(whole).collect();
        if claim == Claim::Lost {
            old.clear();
        }
        let against = self.encoder.against(node, &old, lineage, &mut coded)?;
        let block = match &against {
            Some(Against { depth, bases }) => {
                NewBlock { codec: Codec::ZstdDelta, depth: *depth, bases, coded: &coded }
            }
            None => {
                let shrank = crate::codec::compress(self.encoder.level, node, &mut coded)
                    .map_err(|e| StoreError::codec("new node", e))?;
                let (codec, coded) =
                    if shrank { (Codec::Zstd, &*coded) } else { (Codec::Raw, node) };
                NewBlock { codec, depth: 0, bases: &[], coded }
            }
        };
        let chunk = ChunkRecord { id: reference.id, len: reference.len };
        let stored = self.add(PackKind::Metadata, block, vec![chunk])?;
        self.written.metadata_bytes += node.len() as u64;
        self.written.metadata_stored += stored;
        Ok(stored_as)
    }

    fn add(
        &mut self,
        kind: PackKind,
        block: NewBlock<'_>,
        chunks: Vec<ChunkRecord>,
    ) -> Result<u64, StoreError> {
        if !self.uploader.is_open() {
            return Err(StoreError::Poisoned);
        }
        let (slot, target) = match kind {
            PackKind::Data => (&mut self.data, self.pack_target),
            PackKind::Metadata => (&mut self.metadata, PACK_TARGET_MIN as usize),
        };
        let mut pack = match slot.take() {
            Some(pack) => pack,
            None => {
                // Metadata packs are small; a large buffer waits for the next data pack.
                let is_data = kind == PackKind::Data;
                let spent = is_data.then(|| self.uploader.spent_buffer()).flatten();
                PackBuilder::new(&self.encoder.vault, kind, spent.unwrap_or_default())?
            }
        };
        let stored = pack.add(block, chunks)? as u64;
        if pack.is_full(target) {
            self.uploader.send(pack)?;
        } else {
            *slot = Some(pack);
        }
        Ok(stored)
    }

    fn poisoned_by<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.data = None;
            self.metadata = None;
            self.uploader.close();
        }
        result
    }
}
