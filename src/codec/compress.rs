//! zstd, one frame a block, plain or against a base.

use std::cell::RefCell;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, get_error_name};

use super::CodecError;
use super::matches::Finder;
use super::sequences::SequenceEncoder;

thread_local! {
    // A context costs far more to make than a block to code.
    static ENCODER: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECODER: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
    static NEARLY: RefCell<Option<Nearly>> = const { RefCell::new(None) };
}

/// Compresses `raw` into `out` (cleared first). `false`: it would not shrink, `out` means nothing.
pub fn compress(level: i32, raw: &[u8], out: &mut Vec<u8>) -> Result<bool, CodecError> {
    let failed = |code| CodecError::Compress(get_error_name(code).into());
    ENCODER.with_borrow_mut(|encoder| {
        encoder.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
        let [hash_log, chain_log] = tables(level);
        encoder.set_parameter(CParameter::HashLog(hash_log)).map_err(failed)?;
        encoder.set_parameter(CParameter::ChainLog(chain_log)).map_err(failed)?;
        out.clear();
        // As much as it may take: with less zstd would copy what it makes.
        out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        let written = encoder.compress2(out, raw).map_err(failed)?;
        Ok(written < raw.len())
    })
}

/// Logarithms of the entries of the encoder's two tables; 0 for what zstd would choose. At level 3 that is 384 KiB
/// for a block of 128, and with half of it both stay in the core's cache: on rows, pages of a database and source
/// code a seventh faster on average, for 0.3 to 1 % more bytes.
fn tables(level: i32) -> [u32; 2] {
    if level == 3 { [15, 14] } else { [0, 0] }
}

/// Compresses `raw` against `base` into `out` (cleared first): a frame that [`decompress_against`] takes.
pub fn compress_against(
    level: i32,
    base: &[u8],
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    if level <= NEARLY_LEVEL {
        match compress_nearly(base, raw, out) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // A mistake of ours: it costs time, no backup.
            Err(error) => {
                debug_assert!(false, "our own search was wrong: {error}");
                tracing::warn!("zstd searches again, for our own search was wrong: {error}");
            }
        }
    }
    compress_unlike(level, base, raw, out)
}

/// Up to this level our own search finds as much as zstd's, in a third of the time.
const NEARLY_LEVEL: i32 = 3;

/// What it takes to code bytes against nearly the same.
struct Nearly {
    finder: Finder,
    encoder: SequenceEncoder,
    /// What was coded, decoded.
    back: Vec<u8>,
}

/// What is kept of memory that few blocks need.
const KEPT_MAX: usize = 1024 * 1024;

/// `false`: they are not nearly the same, `out` means nothing.
fn compress_nearly(base: &[u8], raw: &[u8], out: &mut Vec<u8>) -> Result<bool, CodecError> {
    NEARLY.with_borrow_mut(|kept| {
        let Nearly { finder, encoder, back } = match kept {
            Some(nearly) => nearly,
            None => kept.insert(Nearly {
                finder: Finder::default(),
                encoder: SequenceEncoder::new(NEARLY_LEVEL)?,
                back: Vec::new(),
            }),
        };
        let Some(sequences) = finder.find(base, raw) else { return Ok(false) };
        encoder.encode(base.len(), raw, sequences, out)?;
        // Its matches are nobody's but ours: it is trusted once it was decoded.
        back.clear();
        back.shrink_to(KEPT_MAX);
        decompress_against(base, out, raw.len(), back)?;
        if back != raw {
            return Err(CodecError::Compress("the frame decodes to other bytes".into()));
        }
        Ok(true)
    })
}

/// As zstd does it. The window and the tables cover both, as far as its choice for `level` and their length goes:
/// 512 KiB at level 3.
fn compress_unlike(
    level: i32,
    base: &[u8],
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let failed = |code| CodecError::Compress(get_error_name(code).into());
    out.clear();
    out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
    if base.starts_with(&DICTIONARY_MAGIC) {
        // Such bytes would be taken for a trained dictionary. A prefix never is, but takes a fresh context.
        let mut encoder = CCtx::create();
        encoder.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
        encoder.ref_prefix(base).map_err(failed)?;
        encoder.compress2(out, raw).map_err(failed)?;
        return Ok(());
    }
    ENCODER
        .with_borrow_mut(|encoder| encoder.compress_using_dict(out, raw, base, level))
        .map_err(failed)?;
    Ok(())
}

/// Decodes one frame that must come to exactly `raw_len` bytes, into `out` (cleared first).
pub fn decompress(coded: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.clear();
    out.reserve_exact(raw_len);
    let result = DECODER.with_borrow_mut(|decoder| decoder.decompress(out, coded));
    exactly(raw_len, result, out)
}

/// Decodes one frame coded against `base`.
pub fn decompress_against(
    base: &[u8],
    coded: &[u8],
    raw_len: usize,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    out.clear();
    out.reserve_exact(raw_len);
    let result = if base.starts_with(&DICTIONARY_MAGIC) {
        // Given to a context that is kept, it would be taken for a trained dictionary.
        let mut decoder = DCtx::create();
        decoder.ref_prefix(base).and_then(|_| decoder.decompress(out, coded))
    } else {
        // Unlike a prefix, this is for the one call: a frame that fails leaves nothing behind.
        DECODER.with_borrow_mut(|decoder| decoder.decompress_using_dict(out, coded, base))
    };
    exactly(raw_len, result, out)
}

/// What was coded is decoded before it is trusted: an error unless it comes to `raw`.
pub fn decodes_to(
    raw: &[u8],
    decode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let mut again = Vec::new();
    decode(&mut again)?;
    if again == raw {
        return Ok(());
    }
    let found = "other bytes after coding".to_owned();
    Err(CodecError::Decompress { expected: raw.len(), found })
}

/// What a trained dictionary of zstd begins with.
const DICTIONARY_MAGIC: [u8; 4] = 0xec30_a437_u32.to_le_bytes();

fn exactly(expected: usize, result: Result<usize, usize>, out: &[u8]) -> Result<(), CodecError> {
    match result {
        Ok(_) if out.len() == expected => Ok(()),
        Ok(_) => Err(CodecError::Decompress { expected, found: format!("{} bytes", out.len()) }),
        Err(code) => Err(CodecError::Decompress { expected, found: get_error_name(code).into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let raw: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let (mut coded, mut back) = (Vec::new(), Vec::new());
        assert_eq!(compress(3, &raw, &mut coded), Ok(true));
        decompress(&coded, raw.len(), &mut back).unwrap();
        assert!(back == raw);
        assert!(decompress(&coded, raw.len() - 1, &mut back).is_err());
        assert!(decompress(&coded, raw.len() + 1, &mut back).is_err());
        assert!(decompress(&coded[..coded.len() - 1], raw.len(), &mut back).is_err());
    }

    #[test]
    fn noise_does_not_shrink() {
        let mut raw = vec![0; 70_000];
        blake3::Hasher::new().finalize_xof().fill(&mut raw);
        assert_eq!(compress(3, &raw, &mut Vec::new()), Ok(false));
    }

    #[test]
    fn a_base_makes_the_rest_small() {
        let mut raw = vec![0; 70_000];
        blake3::Hasher::new().finalize_xof().fill(&mut raw);
        let base = raw.clone();
        raw[33_333] ^= 1;
        let (mut coded, mut back) = (Vec::new(), Vec::new());
        compress_against(3, &base, &raw, &mut coded).unwrap();
        assert!(coded.len() < 500, "{}", coded.len());
        decompress_against(&base, &coded, raw.len(), &mut back).unwrap();
        assert!(back == raw);
        let wrong = decompress_against(&base[1..], &coded, raw.len(), &mut back);
        assert!(wrong.is_err() || back != raw);
    }

    /// A base is bytes, whatever they look like.
    #[test]
    fn a_base_that_begins_like_a_dictionary_is_a_base() {
        let mut base = vec![0; 70_000];
        blake3::Hasher::new().finalize_xof().fill(&mut base);
        base[..4].copy_from_slice(&DICTIONARY_MAGIC);
        let mut raw = base.clone();
        raw.rotate_left(100);
        let (mut coded, mut back) = (Vec::new(), Vec::new());
        compress_against(3, &base, &raw, &mut coded).unwrap();
        assert!(coded.len() < 500, "{}", coded.len());
        decompress_against(&base, &coded, raw.len(), &mut back).unwrap();
        assert!(back == raw);
    }

    /// Contexts are kept: what was given to one frame, good or bad, is nothing to the next.
    #[test]
    fn a_base_is_forgotten_with_its_frame() {
        let mut base = vec![0; 40_000];
        blake3::Hasher::new().finalize_xof().fill(&mut base);
        base.extend_from_slice(&[7; 40_000]);
        // A copy: zstd passes over a base that overlaps what it codes.
        let raw = base[5..].to_vec();
        let (mut delta, mut plain, mut back) = (Vec::new(), Vec::new(), Vec::new());
        compress_against(3, &base, &raw, &mut delta).unwrap();
        compress(3, &base, &mut plain).unwrap();
        for cut in [0, delta.len() / 2] {
            let broken = decompress_against(&base, &delta[..delta.len() - cut], 7, &mut back);
            assert!(broken.is_err());
            decompress(&plain, base.len(), &mut back).unwrap();
            assert!(back == base);
            let without = decompress(&delta, raw.len(), &mut back);
            assert!(without.is_err() || back != raw);
            decompress_against(&base, &delta, raw.len(), &mut back).unwrap();
            assert!(back == raw);
        }
    }
}
