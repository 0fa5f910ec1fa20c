//! What can go wrong between plain and stored bytes.

use crate::fault::ErrorKind;
use crate::limits::KEY_FILE_MIN;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message of a variant is its documentation")]
pub enum CodecError {
    #[error("compression failed: {0}")]
    Compress(String),
    #[error("compressed bytes do not decode to {expected} bytes: {found}")]
    Decompress { expected: usize, found: String },
    /// The bytes were changed, or belong to another object, kind or repository.
    #[error("authentication failed: these {len} bytes were not sealed here")]
    Forged { len: usize },
    #[error("the operating system returned no random bytes")]
    NoRandom,
    #[error("the key file is too short: expected at least {KEY_FILE_MIN} bytes, found {found}")]
    ShortKeyFile { found: usize },
    #[error("key derivation failed: {0}")]
    Kdf(String),
}

impl CodecError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Decompress { .. } | Self::Forged { .. } => ErrorKind::Damage,
            Self::ShortKeyFile { .. } => ErrorKind::Usage,
            Self::Compress(_) | Self::NoRandom | Self::Kdf(_) => ErrorKind::Failed,
        }
    }
}
