//! What can go wrong with the index cache. None of it loses data.

use std::path::PathBuf;

use crate::fault::ErrorKind;

#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("index cache {path}: {message}")]
    Cache { path: PathBuf, message: String },
    /// The cache contradicts itself; it is thrown away and rebuilt.
    #[error("index cache {path} is damaged: {message}")]
    Damaged { path: PathBuf, message: String },
}

impl IndexError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }
}
