//! Coding: compression, sealing, keys. Pure but for the operating system's randomness.

mod compress;
mod error;
mod keys;
mod matches;
mod random;
mod seal;
mod sequences;
mod wrap;

pub use compress::{compress, compress_against, decodes_to, decompress, decompress_against};
pub use error::CodecError;
pub use keys::{Keys, MasterKey};
pub use random::random;
pub use seal::{SEAL_OVERHEAD, SealKey};
pub use wrap::{KdfCost, NoPassphrase, Secret, commit_matches, derive, unwrap, wrap};
