//! Randomness of the operating system: salts, ids, keys.

use super::CodecError;

/// `N` fresh random bytes. From the system itself: AWS-LC's own generator measures jitter for a long moment
/// before its first byte.
pub fn random<const N: usize>() -> Result<[u8; N], CodecError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|_| CodecError::NoRandom)?;
    Ok(bytes)
}
