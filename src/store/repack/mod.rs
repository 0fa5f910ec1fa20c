//! Moves blocks from old packs into new ones, for prune and compaction.

pub(in crate::store) mod block;
pub(in crate::store) mod copier;
pub(in crate::store) mod rebase;
