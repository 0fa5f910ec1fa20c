//! restow: a content-addressed, deduplicating backup engine for databases and files.
//!
//! Exporters read sources as streams; streams are cut into chunks (FastCDC), named by a keyed BLAKE3, stored
//! once each in sealed packs, and recorded in a manifest per snapshot. `docs/ARCHITECTURE.md` walks the way
//! of a byte and back.
//!
//! The layers, from the ground up (a file imports from its own folder and from layers below):
//! ids, limits, progress · [`chunk`] [`codec`] [`mod@format`] · [`storage`] [`index`] · [`store`] · [`repo`] ·
//! [`source`] · [`ops`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use restow::codec::Secret;
//! use restow::ops::{BackupOptions, backup};
//! use restow::progress::{Cancel, Silent};
//! use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, create};
//! use restow::source::files::{FolderExporter, FolderOptions};
//! use restow::storage::Memory;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let storage = Memory::new();
//! let secret = Secret::Passphrase("correct horse battery staple".into());
//! let identity = Identity::of_this_process();
//! create(&storage, &secret, &CreateOptions::default(), &identity)?;
//!
//! let repository = Repository::open(Arc::new(storage), &secret, identity, OpenOptions::default())?;
//! let folder = FolderExporter::new("src/chunk", FolderOptions::default())?;
//! let options = BackupOptions { description: "first night".into(), ..BackupOptions::default() };
//! let report = backup(&repository, &[&folder], &options, &Silent, &Cancel::new())?;
//! assert!(report.id.is_some());
//! # Ok(())
//! # }
//! ```

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
