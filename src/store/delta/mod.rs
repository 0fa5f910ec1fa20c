//! Chooses what a new chunk is coded against (docs/DELTAS.md).

pub(in crate::store) mod aligner;
pub(in crate::store) mod base_choice;
pub(in crate::store) mod base_range;
pub(in crate::store) mod old_stream;
