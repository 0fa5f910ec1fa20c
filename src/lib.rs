//! restow: a content-addressed, deduplicating backup engine for databases and files.
//!
//! The layers, from the ground up (a file imports from its own folder and from layers below):
//! ids, limits, progress · `chunk` `codec` `format` · `storage` `index` · `store` · `repo` · `source` · `ops`.

pub mod cut;
pub mod fault;
pub mod id;
pub mod limits;
pub mod progress;

pub mod chunk;
pub mod codec;
pub mod format;

pub mod index;
pub mod storage;

pub mod store;

pub mod repo;

pub mod source;

pub mod ops;
