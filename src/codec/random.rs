//! Randomness of the operating system: salts, ids, keys.

use super::CodecError;

/// `N` fresh random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], CodecError> {
    let mut bytes = [0u8; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CodecError::NoRandom)?;
    Ok(bytes)
}
