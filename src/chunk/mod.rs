//! Chunks: where a stream is cut, and what a chunk is called. Pure.

mod cutter;
mod fingerprint;
mod guess;

#[cfg(test)]
pub use cutter::GEAR_BYTES;
pub use cutter::{ChunkSizes, Cut, Cutter};
pub use fingerprint::{chunk_id, end_fingerprint};
pub use guess::Guess;
