//! restow: a content-addressed, deduplicating backup engine for databases and files.
//!
//! Exporters read sources as streams; streams are cut into chunks (FastCDC), named by a keyed BLAKE3, stored
//! once each in sealed packs, and recorded in a manifest per snapshot. `docs/ARCHITECTURE.md` walks the way
//! of a byte and back.
//!
//! The layers, from the ground up (a file imports from its own folder and from layers below):
//! ids, limits, progress · [`chunk`] [`codec`] [`mod@format`] [`timing`] · [`storage`] [`index`] · [`store`] · [`repo`] ·
//! [`source`] · [`ops`] · [`manager`].
//!
//! Most programs need [`SnapshotManager`] (or [`AsyncSnapshotManager`], feature `async`) and what stands
//! beside it here; the modules are for those who bring sources, targets or storages of their own.
//!
//! ```
//! use std::sync::Arc;
//! use restow::{
//!     BackupOptions, CreateOptions, FolderExporter, FolderOptions, Local, Secret,
//!     SnapshotManager,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let place = home.path().join("backups");
//! # std::fs::create_dir(&place)?;
//! let storage = Arc::new(Local::open(&place)?);
//! let secret = Secret::Passphrase("correct horse battery staple".into());
//! SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
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
mod options;
pub mod progress;
pub mod text;
pub mod timing;

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
pub use format::{
    BadPath, Entry, EntryKind, EntryPath, Manifest, Problem, SourceRecord, Statistics, Time,
};
pub use id::{ObjectId, RepositoryId, SnapshotId};
pub use limits::KEY_FILE_MIN;
#[cfg(feature = "async")]
pub use manager::AsyncSnapshotManager;
pub use manager::{Confirmed, NotesChanged, Overwrite, SnapshotList, SnapshotManager, Viewable};
pub use ops::{
    Age, BackupOptions, BackupReport, Budget, Candidate, CheckOptions, CheckReport, ChunkTotals,
    CompactOptions, Costs, DeleteOptions, DeletePlan, DeleteReport, DropReason, EntryCost,
    EntryDamage, ExportOptions, ExportReport, Fate, Gaps, Growth, KeepReason, Losses, LostStretch,
    ObjectTotals, OpError as Error, PackTotals, Period, PruneOptions, PrunePlan, PruneReport,
    Reach, RebuildOptions, RebuildReport, RepositoryStats, RestoreOptions, RestorePlan,
    RestoreReport, RetentionGroup, RetentionOptions, RetentionPlan, RetentionPolicy,
    RetentionReport, Selection, SnapshotDamage, SnapshotStats, StatsOptions, StatsReport, Verdict,
};
#[cfg(feature = "servers")]
pub use ops::{ExportedSnapshot, NameTemplate, QdrantExportOptions};
pub use progress::{Cancel, Event, Observer, Phase, Silent};
pub use repo::{
    CreateOptions, Filter, Identity, KeyInfo, KeyListing, KeyOptions, NoteChange, OpenOptions,
    Peer, RepoError, Repository, Selector, Snapshot, SnapshotView, Standing,
};
#[cfg(feature = "servers")]
pub use source::arangodb::{ArangodumpExporter, ArangodumpOptions};
pub use source::command::{CommandExporter, CommandOptions, StdinExporter};
pub use source::files::{FolderExporter, FolderImporter, FolderOptions};
#[cfg(feature = "servers")]
pub use source::qdrant::{QdrantExporter, QdrantLoader, QdrantOptions};
pub use source::sqlite::{SqliteExporter, SqliteOptions};
pub use source::{Exporter, Importer, Loader, SourceError};
pub use storage::{Local, Memory, Storage, StorageError};
pub use store::{CatalogCursor, CatalogItem, Lost, StoreError};
pub use timing::{UnknownZone, local_now};
