//! What users do: back up, list, restore, check. Every face (the binary, the library) calls these.

mod backup;
mod check;
mod error;
mod restore;

pub use backup::{BackupOptions, BackupReport, backup};
pub use check::{CheckOptions, CheckReport, EntryDamage, SnapshotDamage, check, check_names};
pub use error::OpError;
pub use restore::{
    Losses, LostStretch, RestoreOptions, RestorePlan, RestoreReport, RestoreTarget, Selection,
    plan_restore, restore,
};
