//! Stores new chunks: dedup, coding, packs in order, durable uploads.

pub(in crate::store) mod dedup;
pub(in crate::store) mod encoder;
pub(in crate::store) mod uploader;
pub(in crate::store) mod writer;
