//! The one integration test binary: linking is paid for once.

// A test says what it expects by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice)]

mod arangodb;
mod arangodump;
mod cli;
mod command;
mod contracts;
mod deltas;
mod files;
mod hostile;
mod index;
mod layers;
mod loaders;
mod manager;
mod ops;
mod protocol;
mod prune;
mod qdrant;
mod rebuild_index;
mod repo;
mod source;
mod sqlite;
mod storage;
mod store;
mod support;
mod troubled_target;
