//! What users do: back up, list, restore, check, delete, keep, count, export. Every face (the binary, the library) calls
//! these.

mod backup;
mod blocks;
mod cat;
mod check;
mod delete;
mod error;
mod export;
mod needs;
mod prune;
mod rebuild_index;
mod restore;
mod retention;
mod stats;
mod steady;
mod stored;
mod stream;

pub use backup::{BackupOptions, BackupReport, backup};
pub use cat::cat;
pub use check::{CheckOptions, CheckReport, EntryDamage, SnapshotDamage, check, check_names};
pub use delete::{DeleteOptions, DeletePlan, DeleteReport, delete, plan_delete};
pub use error::OpError;
#[cfg(feature = "servers")]
pub use export::export_arangodump;
pub use export::{ExportOptions, ExportReport, export};
#[cfg(feature = "servers")]
pub use export::{ExportedSnapshot, NameTemplate, QdrantExportOptions, export_qdrant};
pub use prune::{
    CompactOptions, Costs, EntryCost, PackTotals, PruneOptions, PrunePlan, PruneReport, costs,
    entry_costs, plan_prune, prune,
};
pub use rebuild_index::{RebuildOptions, RebuildReport, rebuild_index};
pub use restore::{
    Gaps, Losses, LostStretch, RestoreOptions, RestorePlan, RestoreReport, RestoreTarget,
    Selection, ServerPart, gaps, gaps_in, load, plan_load, plan_restore, restore,
};
pub use retention::{
    Age, Budget, Candidate, DropReason, Fate, KeepReason, Period, Reach, RetentionGroup,
    RetentionOptions, RetentionPlan, RetentionPolicy, RetentionReport, Verdict, apply_retention,
    plan_retention,
};
pub use stats::{
    ChunkTotals, Growth, ObjectTotals, RepositoryStats, SnapshotStats, StatsOptions, StatsReport,
    stats,
};
