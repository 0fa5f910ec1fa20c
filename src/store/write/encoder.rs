//! A segment of stream bytes to references and coded blocks. Pure but for look-ups; runs on any thread.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use crate::chunk::{chunk_id, end_fingerprint};
use crate::codec;
use crate::cut::CutKind;
use crate::format::{ChunkRef, Codec};
use crate::index::Base;
use crate::limits::BLOCK_RAW_TARGET;
use crate::store::StoreError;
use crate::store::delta::aligner::Aligned;
use crate::store::delta::base_choice::Bases;
use crate::store::delta::base_range::code_against;
use crate::store::delta::old_stream::Piece;
use crate::store::pack::sealer::Vault;

use super::dedup::{Claim, Known};

/// Bytes of one or several streams, already cut. Chunks lie one after the other, without gaps.
#[derive(Default)]
pub struct Segment {
    pub bytes: Vec<u8>,
    pub chunks: Vec<SegmentChunk>,
    /// Room for what they are coded to.
    coded: Vec<u8>,
}

impl Segment {
    /// `len` bytes of zeros, nothing cut.
    pub fn with_len(len: usize) -> Self {
        Self { bytes: vec![0; len], ..Self::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentChunk {
    pub start: usize,
    pub len: usize,
    pub cut: CutKind,
}

impl SegmentChunk {
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// A segment with its chunks named, and where they stood in the old stream, as far as anybody said so.
pub struct NamedSegment {
    segment: Segment,
    pub refs: Vec<ChunkRef>,
    /// One for each reference, or none at all.
    pub aligned: Vec<Aligned>,
}

/// A segment with its chunks named and its new chunks coded.
pub struct CodedSegment {
    pub bytes: Vec<u8>,
    pub refs: Vec<ChunkRef>,
    pub(in crate::store) blocks: Vec<CodedBlock>,
    pub(in crate::store) coded: Vec<u8>,
}

pub(in crate::store) struct CodedBlock {
    pub codec: Codec,
    /// Which of the segment's references it holds.
    pub chunks: Range<usize>,
    /// Where the coded bytes are: in the segment itself for `Raw`, in `coded` otherwise.
    pub place: Range<usize>,
    pub depth: u8,
    pub bases: Vec<Base>,
}

/// What a delta is coded against.
pub(in crate::store) struct Against {
    pub depth: u8,
    pub bases: Vec<Base>,
}

impl CodedSegment {
    /// Its buffers, to be filled again. What the bytes were stays in them.
    pub fn into_spent(self) -> Segment {
        let mut coded = self.coded;
        coded.clear();
        Segment { bytes: self.bytes, chunks: Vec::new(), coded }
    }

    pub(in crate::store) fn block_bytes(&self, block: &CodedBlock) -> &[u8] {
        let from = if block.codec == Codec::Raw { &self.bytes } else { &self.coded };
        from.get(block.place.clone()).unwrap_or_default()
    }
}

/// Names, looks up and codes. Shared by all threads.
pub struct Encoder {
    pub vault: Arc<Vault>,
    pub known: Arc<Known>,
    bases: Bases,
    pub level: i32,
}

impl Encoder {
    /// `depth`: how many decodes a new block may take before its own.
    pub fn new(vault: Arc<Vault>, known: Arc<Known>, level: i32, depth: u8) -> Self {
        let bases = Bases::new(Arc::clone(&known), depth);
        Self { vault, known, bases, level }
    }

    /// Names, looks up and codes, where no chunk has an old self.
    pub fn encode(&self, segment: Segment) -> Result<CodedSegment, StoreError> {
        self.code(NamedSegment { segment, refs: Vec::new(), aligned: Vec::new() })
    }

    /// Names only: where the chunks stood in an old stream is found out in order.
    pub fn name(&self, segment: Segment) -> NamedSegment {
        let bytes = |chunk: &SegmentChunk| segment.bytes.get(chunk.range()).unwrap_or_default();
        let name = |chunk| self.reference(bytes(chunk), chunk.cut);
        let refs = segment.chunks.iter().map(name).collect();
        NamedSegment { segment, refs, aligned: Vec::new() }
    }

    /// Looks up and codes; names what is not named yet.
    pub fn code(&self, named: NamedSegment) -> Result<CodedSegment, StoreError> {
        let NamedSegment { segment: Segment { bytes, chunks, coded }, refs: names, aligned } =
            named;
        let refs = Vec::with_capacity(chunks.len());
        let mut to = CodedSegment { bytes, refs, blocks: Vec::new(), coded };
        let mut run: Option<Run> = None;
        for (number, chunk) in chunks.iter().enumerate() {
            let raw = to.bytes.get(chunk.range()).unwrap_or_default();
            let name = names.get(number).copied();
            let reference = name.unwrap_or_else(|| self.reference(raw, chunk.cut));
            to.refs.push(reference);
            let aligned = aligned.get(number);
            let is_old = aligned.is_some_and(|aligned| aligned.is_old);
            let claim = match is_old && self.known.still_has_all() {
                true => Claim::Known,
                false => self.known.claim(&reference.id)?,
            };
            let is_new = claim != Claim::Known;
            // A run is coded as soon as it ends: its bytes are still in the core's cache.
            if let Some(ended) = run.take_if(|run| !(is_new && run.takes(number, chunk))) {
                self.code_plain(&ended, &mut to)?;
            }
            if !is_new {
                continue;
            }
            let has_base = |aligned: &&Aligned| claim == Claim::New && !aligned.base.is_empty();
            if let Some(old) = aligned.filter(has_base) {
                if let Some(ended) = run.take() {
                    self.code_plain(&ended, &mut to)?;
                }
                if self.code_delta(number, chunk, &old.base, &mut to)? {
                    continue;
                }
            }
            match &mut run {
                Some(run) => run.extend(number, chunk),
                None => run = Some(Run::of(number, chunk)),
            }
        }
        if let Some(ended) = run {
            self.code_plain(&ended, &mut to)?;
        }
        Ok(to)
    }

    /// The reference to a chunk with these bytes.
    pub fn reference(&self, raw: &[u8], cut: CutKind) -> ChunkRef {
        let keys = self.vault.keys();
        ChunkRef {
            id: chunk_id(keys.chunk_id(), raw),
            // A chunk is at most 4 MiB.
            len: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            cut,
            end: end_fingerprint(keys.fingerprint(), raw),
        }
    }

    /// Compresses, unless that is in vain: noise comes in long stretches, and behind a block of it a sample tells.
    fn shrinks(
        &self,
        raw: &[u8],
        to: &CodedSegment,
        scratch: &mut Vec<u8>,
    ) -> Result<bool, codec::CodecError> {
        let behind_noise = to.blocks.last().is_some_and(|block| block.codec == Codec::Raw);
        if behind_noise && raw.len() > 4 * SAMPLE {
            let pieces = [0, raw.len() / 2, raw.len() - SAMPLE];
            let piece = |at: usize| raw.get(at..at + SAMPLE).unwrap_or_default();
            if !codec::compress(self.level, &pieces.map(piece).concat(), scratch)? {
                return Ok(false);
            }
        }
        codec::compress(self.level, raw, scratch)
    }

    /// Codes a chunk against what it was, in a block of its own: so a chain is one of chunks, and never widens
    /// to what their neighbours once were. `false`: it is better coded by itself.
    fn code_delta(
        &self,
        number: usize,
        chunk: &SegmentChunk,
        old: &[Piece],
        to: &mut CodedSegment,
    ) -> Result<bool, StoreError> {
        let lineage = to.refs.get(number).map(|reference| reference.end).unwrap_or_default();
        SCRATCH.with_borrow_mut(|scratch| {
            let raw = to.bytes.get(chunk.range()).unwrap_or_default();
            let Some(Against { depth, bases }) = self.against(raw, old, lineage, scratch)? else {
                return Ok(false);
            };
            let (codec, start) = (Codec::ZstdDelta, to.coded.len());
            to.coded.extend_from_slice(scratch);
            let place = start..to.coded.len();
            to.blocks.push(CodedBlock { codec, chunks: number..number + 1, place, depth, bases });
            Ok(true)
        })
    }

    /// Codes bytes against these old ones into `out`. `None`: they are better coded by themselves. `lineage` is
    /// the same for what takes the same place night by night.
    pub(in crate::store) fn against(
        &self,
        raw: &[u8],
        old: &[Piece],
        lineage: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<Option<Against>, StoreError> {
        let Some(base) = self.bases.gather(old, lineage)? else { return Ok(None) };
        let shrank = code_against(self.level, &base, raw, out)?;
        Ok(shrank.then_some(Against { depth: base.depth, bases: base.bases }))
    }

    fn code_plain(&self, run: &Run, to: &mut CodedSegment) -> Result<(), StoreError> {
        SCRATCH.with_borrow_mut(|scratch| {
            let raw = to.bytes.get(run.bytes.clone()).unwrap_or_default();
            let shrank =
                self.shrinks(raw, to, scratch).map_err(|e| StoreError::codec("new block", e))?;
            let (codec, place) = if shrank {
                let start = to.coded.len();
                to.coded.extend_from_slice(scratch);
                (Codec::Zstd, start..to.coded.len())
            } else {
                (Codec::Raw, run.bytes.clone())
            };
            let (chunks, bases) = (run.chunks.clone(), Vec::new());
            to.blocks.push(CodedBlock { codec, chunks, place, depth: 0, bases });
            Ok(())
        })
    }
}

/// Bytes of each of the three pieces of a sample.
const SAMPLE: usize = 2048;

thread_local! {
    /// One block, coded.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Consecutive new chunks that share a block.
struct Run {
    chunks: Range<usize>,
    bytes: Range<usize>,
}

impl Run {
    fn of(number: usize, chunk: &SegmentChunk) -> Self {
        Self { chunks: number..number + 1, bytes: chunk.range() }
    }

    /// Whether the chunk follows the run's last and there is room for it in a block.
    fn takes(&self, number: usize, chunk: &SegmentChunk) -> bool {
        let end = chunk.start + chunk.len;
        self.chunks.end == number && end - self.bytes.start <= BLOCK_RAW_TARGET
    }

    fn extend(&mut self, number: usize, chunk: &SegmentChunk) {
        self.chunks.end = number + 1;
        self.bytes.end = chunk.start + chunk.len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Keys, MasterKey};
    use crate::id::RepositoryId;
    use crate::index::{ChunkIndex, MemoryIndex};
    use crate::store::StoreReader;

    fn encoder() -> Encoder {
        let keys = Keys::new(RepositoryId::new([1; 16]), MasterKey::from_bytes([2; 32]));
        let vault = Arc::new(Vault::new(keys));
        let index: Arc<dyn ChunkIndex> = Arc::new(MemoryIndex::new());
        let storage = Arc::new(crate::storage::Memory::new());
        let reader = StoreReader::new(storage, Arc::clone(&vault), Arc::clone(&index));
        let known = Arc::new(Known::new(index, (Default::default(), true), Arc::new(reader)));
        Encoder::new(vault, known, 3, 0)
    }

    #[test]
    fn what_follows_noise_is_compressed_again() {
        const LEN: usize = BLOCK_RAW_TARGET;
        let mut bytes = vec![0; 4 * LEN];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes[..2 * LEN]);
        let text = b"the same words, again and again; ".iter().cycle();
        bytes[2 * LEN..].iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        // Different from block to block.
        bytes[3 * LEN] = 0;
        let chunk = |at| SegmentChunk { start: at * LEN, len: LEN, cut: CutKind::Content };
        let segment = Segment { bytes, chunks: (0..4).map(chunk).collect(), coded: Vec::new() };
        let coded = encoder().encode(segment).unwrap();
        let codecs: Vec<Codec> = coded.blocks.iter().map(|block| block.codec).collect();
        assert_eq!(codecs, [Codec::Raw, Codec::Raw, Codec::Zstd, Codec::Zstd]);
    }
}
