//! A segment of stream bytes to references and coded blocks. Pure but for look-ups; runs on any thread.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use crate::chunk::{chunk_id, end_fingerprint};
use crate::codec;
use crate::cut::CutKind;
use crate::format::{ChunkRef, Codec};
use crate::limits::BLOCK_RAW_TARGET;

use super::{Known, StoreError, Vault};

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

/// A segment with its chunks named and its new chunks coded.
pub struct CodedSegment {
    pub bytes: Vec<u8>,
    pub refs: Vec<ChunkRef>,
    pub(super) blocks: Vec<CodedBlock>,
    pub(super) coded: Vec<u8>,
}

pub(super) struct CodedBlock {
    pub codec: Codec,
    /// Which of the segment's references it holds.
    pub chunks: Range<usize>,
    /// Where the coded bytes are: in the segment itself for `Raw`, in `coded` otherwise.
    pub place: Range<usize>,
}

impl CodedSegment {
    /// Its buffers, to be filled again. What the bytes were stays in them.
    pub fn into_spent(self) -> Segment {
        let mut coded = self.coded;
        coded.clear();
        Segment { bytes: self.bytes, chunks: Vec::new(), coded }
    }

    pub(super) fn block_bytes(&self, block: &CodedBlock) -> &[u8] {
        let from = if block.codec == Codec::Raw { &self.bytes } else { &self.coded };
        from.get(block.place.clone()).unwrap_or_default()
    }
}

/// Names, looks up and codes. Shared by all threads.
pub struct Encoder {
    pub vault: Arc<Vault>,
    pub known: Arc<Known>,
    pub level: i32,
}

impl Encoder {
    pub fn encode(&self, segment: Segment) -> Result<CodedSegment, StoreError> {
        let Segment { bytes, chunks, coded } = segment;
        let mut refs = Vec::with_capacity(chunks.len());
        let mut runs: Vec<Run> = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let raw = bytes.get(chunk.range()).unwrap_or_default();
            let reference = self.reference(raw, chunk.cut);
            refs.push(reference);
            if self.known.claim(&reference.id)? {
                Run::extend(&mut runs, number, chunk);
            }
        }
        let mut coded = CodedSegment { bytes, refs, blocks: Vec::new(), coded };
        self.code_runs(&runs, &mut coded).map_err(|e| StoreError::codec("new block", e))?;
        Ok(coded)
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

    fn code_runs(&self, runs: &[Run], to: &mut CodedSegment) -> Result<(), codec::CodecError> {
        SCRATCH.with_borrow_mut(|scratch| {
            for run in runs {
                let raw = to.bytes.get(run.bytes.clone()).unwrap_or_default();
                let shrank = codec::compress(self.level, raw, scratch)?;
                let (codec, place) = if shrank {
                    let start = to.coded.len();
                    to.coded.extend_from_slice(scratch);
                    (Codec::Zstd, start..to.coded.len())
                } else {
                    (Codec::Raw, run.bytes.clone())
                };
                to.blocks.push(CodedBlock { codec, chunks: run.chunks.clone(), place });
            }
            Ok(())
        })
    }
}

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
    fn extend(runs: &mut Vec<Run>, number: usize, chunk: &SegmentChunk) {
        let end = chunk.start + chunk.len;
        match runs.last_mut() {
            Some(run) if run.chunks.end == number && end - run.bytes.start <= BLOCK_RAW_TARGET => {
                run.chunks.end = number + 1;
                run.bytes.end = end;
            }
            _ => runs.push(Run { chunks: number..number + 1, bytes: chunk.range() }),
        }
    }
}
