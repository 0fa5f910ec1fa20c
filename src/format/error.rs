//! What is wrong with stored bytes.

use crate::fault::ErrorKind;

/// Why bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// They are not what restow writes.
    Damaged,
    /// A newer restow wrote them.
    TooNew,
}

/// Bytes that do not decode: which artefact, where, what was expected and what was there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: at byte {offset}: expected {expected}, found {found}")]
pub struct FormatError {
    pub what: &'static str,
    pub offset: u64,
    pub expected: String,
    pub found: String,
    pub reason: Reason,
}

impl FormatError {
    pub fn damaged(
        what: &'static str,
        offset: usize,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self {
            what,
            offset: offset as u64,
            expected: expected.into(),
            found: found.to_string(),
            reason: Reason::Damaged,
        }
    }

    pub fn too_new(
        what: &'static str,
        offset: usize,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self { reason: Reason::TooNew, ..Self::damaged(what, offset, expected, found) }
    }

    pub fn kind(&self) -> ErrorKind {
        match self.reason {
            Reason::Damaged => ErrorKind::Damage,
            Reason::TooNew => ErrorKind::TooNew,
        }
    }
}
