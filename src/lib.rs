//! restow: a content-addressed, deduplicating backup engine for databases and files.
//!
//! Exporters read sources as streams; streams are cut into chunks (FastCDC), named by a keyed BLAKE3, stored
//! once each in sealed packs, and recorded in a manifest per snapshot. `docs/ARCHITECTURE.md` walks the way
//! of a byte and back.
//!
//! [`SnapshotManager`] does everything that the `restow` program does; [`AsyncSnapshotManager`] (feature `async`) has
//! the same operations for tokio. The modules are for programs that bring sources, targets or storages of their own:
//! [`source`] and [`storage`]. The modules of the engine are private. Feature `internals` opens them to this project's
//! tests, benches and fuzz targets; it promises nothing.
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

#![cfg_attr(not(feature = "internals"), deny(missing_docs))]

mod options;
pub mod source;
pub mod storage;

#[cfg(feature = "internals")]
pub mod chunk;
#[cfg(not(feature = "internals"))]
mod chunk;
#[cfg(feature = "internals")]
pub mod codec;
#[cfg(not(feature = "internals"))]
mod codec;
#[cfg(feature = "internals")]
pub mod cut;
#[cfg(not(feature = "internals"))]
mod cut;
#[cfg(feature = "internals")]
pub mod fault;
#[cfg(not(feature = "internals"))]
mod fault;
#[cfg(feature = "internals")]
pub mod format;
#[cfg(not(feature = "internals"))]
mod format;
#[cfg(feature = "internals")]
pub mod id;
#[cfg(not(feature = "internals"))]
mod id;
#[cfg(feature = "internals")]
pub mod index;
#[cfg(not(feature = "internals"))]
mod index;
#[cfg(feature = "internals")]
pub mod limits;
#[cfg(not(feature = "internals"))]
mod limits;
#[cfg(feature = "internals")]
pub mod manager;
#[cfg(not(feature = "internals"))]
mod manager;
#[cfg(feature = "internals")]
pub mod ops;
#[cfg(not(feature = "internals"))]
mod ops;
#[cfg(feature = "internals")]
pub mod progress;
#[cfg(not(feature = "internals"))]
mod progress;
#[cfg(feature = "internals")]
pub mod repo;
#[cfg(not(feature = "internals"))]
mod repo;
#[cfg(feature = "internals")]
pub mod store;
#[cfg(not(feature = "internals"))]
mod store;
#[cfg(feature = "internals")]
pub mod text;
#[cfg(not(feature = "internals"))]
mod text;
#[cfg(feature = "internals")]
pub mod timing;
#[cfg(not(feature = "internals"))]
mod timing;

/// What the binary still calls past [`SnapshotManager`]. It goes when the manager does all of it.
#[doc(hidden)]
pub mod pending {
    pub use crate::ops::{RestoreTarget, ServerPart, load, plan_load, plan_restore, restore};
}

pub use codec::{NoPassphrase, Secret};
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
    Peer, RepoError, Selector, Snapshot, SnapshotView, SourceMatch, Standing,
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
