//! Why a chunk ends where it ends.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutKind {
    /// The content said so: the end fingerprint anchors an alignment.
    Content,
    /// The chunk reached the maximum: the place means nothing.
    Forced,
    /// The stream ended.
    End,
}
