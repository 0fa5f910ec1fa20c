//! The integration tests, one binary: linking is paid for once.

// A test says what it expects by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod files;
