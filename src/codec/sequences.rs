//! zstd frames of sequences that were found by others.
//!
//! The only code here that the compiler does not check: zstd believes the sequences, and no safe wrapper of
//! `ZSTD_compressSequences` exists. What it relies on is checked before ([`encode`](SequenceEncoder::encode)).
#![allow(unsafe_code)]

use std::ptr::NonNull;

use zstd_sys::{ZSTD_CCtx, ZSTD_Sequence, ZSTD_cParameter};

use super::CodecError;
use super::matches::Sequence;
use crate::limits::BLOCK_RAW_MAX;

pub(super) struct SequenceEncoder {
    context: NonNull<ZSTD_CCtx>,
    /// As zstd wants them.
    sequences: Vec<ZSTD_Sequence>,
}

/// The shortest match a frame can hold.
const MATCH_MIN: usize = 3;
/// The longest block.
const WINDOW_LOG: i32 = BLOCK_RAW_MAX.next_power_of_two().ilog2() as i32;
/// The smallest that zstd makes.
const TABLE_LOG: i32 = 6;
/// What is kept of memory that few frames need, in sequences.
const KEPT_MAX: usize = 1 << 16;

impl SequenceEncoder {
    pub fn new(level: i32) -> Result<Self, CodecError> {
        // SAFETY: it takes nothing, and gives a context or null.
        let context = NonNull::new(unsafe { zstd_sys::ZSTD_createCCtx() });
        let context = context.ok_or_else(|| CodecError::Compress("no memory".into()))?;
        let encoder = Self { context, sequences: Vec::new() };
        encoder.set(ZSTD_cParameter::ZSTD_c_compressionLevel, level)?;
        encoder.set(ZSTD_cParameter::ZSTD_c_minMatch, MATCH_MIN as i32)?;
        // Matches may go back to the base only as long as no more than a window was decoded (RFC 8878, 5): so all of
        // a frame is one. zstd makes it smaller where the frame is.
        encoder.set(ZSTD_cParameter::ZSTD_c_windowLog, WINDOW_LOG)?;
        // Tables for a search that it does not do.
        encoder.set(ZSTD_cParameter::ZSTD_c_hashLog, TABLE_LOG)?;
        encoder.set(ZSTD_cParameter::ZSTD_c_chainLog, TABLE_LOG)?;
        Ok(encoder)
    }

    fn set(&self, parameter: ZSTD_cParameter, value: i32) -> Result<(), CodecError> {
        // SAFETY: the context is one, and of this thread.
        let result =
            unsafe { zstd_sys::ZSTD_CCtx_setParameter(self.context.as_ptr(), parameter, value) };
        checked(result).map(drop)
    }

    /// Codes `raw` into a frame (`out` is cleared first) whose matches may go back as far as to the beginning of a
    /// base of that length. Refused are sequences that go beyond what there is.
    pub fn encode(
        &mut self,
        base_len: usize,
        raw: &[u8],
        sequences: &[Sequence],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        self.sequences.clear();
        self.sequences.shrink_to(KEPT_MAX);
        let mut at = 0usize;
        for one in sequences {
            let (Some(start), true) = (at.checked_add(one.literals), one.length >= MATCH_MIN)
            else {
                return Err(wrong(one));
            };
            let within = one.offset > 0 && one.offset <= start.saturating_add(base_len);
            let end = start.checked_add(one.length).filter(|end| within && *end <= raw.len());
            at = end.ok_or_else(|| wrong(one))?;
            let number = |it: usize| u32::try_from(it).map_err(|_| wrong(one));
            self.sequences.push(ZSTD_Sequence {
                offset: number(one.offset)?,
                litLength: number(one.literals)?,
                matchLength: number(one.length)?,
                rep: 0,
            });
        }
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        // SAFETY: all pointers are to what the lengths beside them say. The sequences stay within `raw` and the
        // base: seen above. Matches are no shorter than the context was told (`new`).
        let result = unsafe {
            zstd_sys::ZSTD_compressSequences(
                self.context.as_ptr(),
                out.as_mut_ptr().cast(),
                out.capacity(),
                self.sequences.as_ptr(),
                self.sequences.len(),
                raw.as_ptr().cast(),
                raw.len(),
            )
        };
        let written = checked(result)?;
        // SAFETY: zstd wrote so many bytes, within the capacity.
        unsafe { out.set_len(written) };
        Ok(())
    }
}

fn wrong(sequence: &Sequence) -> CodecError {
    CodecError::Compress(format!("a match that is none: {sequence:?}"))
}

fn checked(result: usize) -> Result<usize, CodecError> {
    // SAFETY: these take a number.
    match unsafe { zstd_sys::ZSTD_isError(result) } {
        0 => Ok(result),
        _ => Err(CodecError::Compress(zstd::zstd_safe::get_error_name(result).into())),
    }
}

impl Drop for SequenceEncoder {
    fn drop(&mut self) {
        // SAFETY: the context came from `ZSTD_createCCtx` and is freed once.
        unsafe { zstd_sys::ZSTD_freeCCtx(self.context.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(base_len: usize, raw: &[u8], sequences: &[Sequence]) -> Result<Vec<u8>, CodecError> {
        let mut out = vec![1, 2, 3];
        let mut encoder = SequenceEncoder::new(3)?;
        encoder.encode(base_len, raw, sequences, &mut out).map(|()| out)
    }

    #[test]
    fn sequences_beyond_what_there_is_are_refused() {
        let raw = [7; 1000];
        let one = |literals, length, offset| [Sequence { literals, length, offset }];
        assert!(encode(50, &raw, &one(10, 990, 60)).is_ok());
        assert!(encode(50, &raw, &one(10, 100, 10)).is_ok());
        assert!(encode(50, &raw, &[]).is_ok());
        for (base_len, wrong) in [
            (50, one(10, 990, 61)),
            (50, one(10, 991, 10)),
            (50, one(1001, 3, 10)),
            (50, one(10, 2, 10)),
            (50, one(10, 100, 0)),
            (0, one(0, 100, 1)),
            (50, one(usize::MAX, 3, 10)),
            (50, one(10, usize::MAX, 10)),
            (usize::MAX, one(10, 100, 1 << 33)),
        ] {
            let error = encode(base_len, &raw, &wrong).unwrap_err();
            assert!(matches!(error, CodecError::Compress(_)), "{error}");
        }
    }

    #[test]
    fn frames_of_several_blocks_and_long_matches_decode() {
        let mut base = vec![0; 300_000];
        blake3::Hasher::new().finalize_xof().fill(&mut base);
        let raw = [&base[100_000..], b"between", &base[..250_000], &base[1000..200_000]].concat();
        let sequences = [
            Sequence { literals: 0, length: 200_000, offset: 200_000 },
            Sequence { literals: 7, length: 250_000, offset: 500_007 },
            Sequence { literals: 0, length: 199_000, offset: 749_007 },
        ];
        let coded = encode(base.len(), &raw, &sequences).unwrap();
        assert!(coded.len() < 200, "{}", coded.len());
        let mut back = Vec::new();
        super::super::decompress_against(&base, &coded, raw.len(), &mut back).unwrap();
        assert!(back == raw);
    }

    /// As the standard has it: a decoder need not keep more than the window.
    #[test]
    fn long_frames_are_decoded_as_a_stream() {
        let mut base = vec![0; 4 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut base);
        for len in [100_000, (2 << 20) + 1, 3 << 20, 4 << 20] {
            let raw = &base[..len];
            let half = len / 2;
            let sequences = [
                Sequence { literals: 0, length: half, offset: base.len() },
                Sequence { literals: 5, length: len - half - 5, offset: base.len() },
            ];
            let coded = encode(base.len(), raw, &sequences).unwrap();
            let stream = zstd::stream::read::Decoder::with_ref_prefix(&coded[..], &base).unwrap();
            let back: Result<Vec<u8>, _> = std::io::Read::bytes(stream).collect();
            assert!(back.unwrap() == raw, "{len}");
        }
    }
}
