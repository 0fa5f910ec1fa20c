//! restow: a content-addressed, deduplicating backup engine for databases and files.
//!
//! Exporters read sources as streams; streams are cut into chunks (FastCDC), named by a keyed BLAKE3, stored
//! once each in sealed packs, and recorded in a manifest per snapshot. `docs/ARCHITECTURE.md` walks the way
//! of a byte and back.
//!
//! The layers, from the ground up (a file imports from its own folder and from layers below):
//! ids, limits, progress · [`chunk`] [`codec`] [`mod@format`] · [`storage`] [`index`] · [`store`] · [`repo`] ·
//! [`source`] · [`ops`] · [`manager`].
//!
//! Most programs need [`SnapshotManager`] (or [`AsyncSnapshotManager`], feature `async`) and what stands
//! beside it here; the modules are for those who bring sources, targets or storages of their own.
//!
//! ```
//! use std::sync::Arc;
//! use restow::{
//!     BackupOptions, CreateOptions, FolderExporter, FolderOptions, Identity, Local, Secret,
//!     SnapshotManager,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let place = home.path().join("backups");
//! # std::fs::create_dir(&place)?;
//! let storage = Arc::new(Local::open(&place)?);
//! let secret = Secret::Passphrase("correct horse battery staple".into());
//! restow::create(&*storage, &secret, &CreateOptions::default(), &Identity::of_this_process())?;
//!
//! let manager = SnapshotManager::open(storage, &secret)?;
//! let folder = FolderExporter::new("src/chunk", FolderOptions::default())?;
//! let report = manager.create(&[&folder], &BackupOptions::default())?;
//! println!("{} entries", report.manifest.statistics.entries);
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

pub mod manager;

pub use codec::Secret;
pub use fault::ErrorKind;
pub use id::{ObjectId, RepositoryId, SnapshotId};
#[cfg(feature = "async")]
pub use manager::AsyncSnapshotManager;
pub use manager::{Confirmed, Deletion, Overwrite, SnapshotList, SnapshotManager};
pub use ops::{
    BackupOptions, BackupReport, CheckOptions, CheckReport, CompactOptions, DeleteOptions,
    DeletePlan, DeleteReport, ExportOptions, ExportReport, OpError as Error, PruneOptions,
    PrunePlan, PruneReport, RebuildOptions, RebuildReport, RestoreOptions, RestorePlan,
    RestoreReport, RetentionOptions, RetentionPlan, RetentionPolicy, RetentionReport, Selection,
    StatsOptions, StatsReport,
};
pub use progress::{Cancel, Event, Observer};
pub use repo::{
    CreateOptions, Filter, Identity, KeyOptions, NoteChange, OpenOptions, Repository, Selector,
    Snapshot, SnapshotView, Standing, create,
};
#[cfg(feature = "servers")]
pub use source::arangodb::{ArangodumpExporter, ArangodumpOptions};
pub use source::command::{CommandExporter, CommandOptions, StdinExporter};
pub use source::files::{FolderExporter, FolderImporter, FolderOptions};
#[cfg(feature = "servers")]
pub use source::qdrant::{QdrantExporter, QdrantLoader, QdrantOptions};
pub use source::sqlite::{SqliteExporter, SqliteOptions};
pub use source::{Exporter, Importer, Loader};
pub use storage::{Local, Memory, Storage};
