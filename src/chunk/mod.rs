//! Chunks: where a stream is cut, and what a chunk is called. Pure.

mod cutter;
mod fingerprint;
mod guess;

pub use cutter::{BadSizes, ChunkSizes, Cut, Cutter, GEAR_BYTES};
pub use fingerprint::{chunk_id, end_fingerprint};
pub use guess::Guess;
