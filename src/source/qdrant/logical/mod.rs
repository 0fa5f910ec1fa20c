//! Collections as points: read page by page, written batch by batch.
//!
//! A line of `<collection>.points.jsonl` is a point, `{"id":…,"payload":…,"vector":…}`, with its `shard_key` where
//! it has one, ordered by id. Numbers stand as the server wrote them.

mod import;
mod point;
mod points;

pub use import::Imported;
pub(super) use import::import;
pub(super) use points::Points;
