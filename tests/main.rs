//! The one integration test binary: linking is paid for once.

// A test says what it expects by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice)]

mod arangodb;
mod arangodump;
mod check_cancelled;
mod cleanup;
mod cli;
mod cli_commands;
mod cli_config;
mod cli_every_flag;
mod cli_flags;
mod cli_json;
mod cli_keys;
mod cli_prune;
mod cli_signals;
mod command;
mod concurrency;
mod contracts;
mod damage;
mod deltas;
mod deltas_near;
mod deltas_read;
mod engine;
mod faults;
mod files;
mod full_cache;
mod golden;
mod hostile;
mod incomplete;
#[cfg(feature = "rocksdb")]
mod index_cache;
mod layers;
mod loaders;
mod local_storage;
mod lost_catalog;
mod lying_trees;
mod manager;
mod newer_packs;
mod obstacles;
mod ops;
mod passphrase_command;
mod protocol;
mod prune;
mod qdrant;
mod rebuild_index;
mod refusals;
mod renamed;
mod scale;
mod several_sources;
mod sqlite;
mod support;
mod troubled_target;
mod trust;
