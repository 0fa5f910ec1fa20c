//! Packs, chunks and trees: read back, damaged, and made by somebody who lies.

mod deltas_near;
mod deltas_of_several;
pub mod deltas_read;
mod lost_catalog;
mod lying_trees;
mod newer_packs;
mod uploads;
