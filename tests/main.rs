//! All integration tests, as one binary: the libraries are linked once.

// A test that cannot go on has failed: a panic with its place is the report wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod contracts;
#[cfg(feature = "rocksdb")]
mod index_cache;
mod local_storage;
mod support;
