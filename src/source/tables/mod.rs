//! What every source needs that consists of tables: collections of documents or points, tables of rows.
//!
//! A restore goes through these steps, in this order:
//!
//! 1. `selection`: the chosen names, and the name that each table gets at the target.
//! 2. `decide`: one action for each table, from what is at the target and the conflict policy. Pure.
//! 3. `consent`: the target is looked at a second time. Nothing is replaced that was not shown before.
//! 4. `rebuild`: tables are created, filled, counted, and put in the place of others.
//! 5. `journal`: if the restore fails half-way, the error tells what was done until then.
//!
//! A kind of source implements [`TableTarget`]: some ten short verbs. `counts` weighs the number of rows that came
//! against the number that a server counts, in a backup and in a restore.

mod consent;
mod counts;
mod decide;
mod flags;
mod journal;
mod nouns;
mod rebuild;
mod selection;

pub(super) use consent::Consent;
pub(super) use counts::{Counted, Recorded, RowCounts, Verdict, judge};
pub(super) use decide::{
    ConflictPolicy, ExistingTable, TableAction, TableStep, WantedTable, decide,
};
pub(super) use flags::{ReadTables, WrittenTables};
use journal::Deed;
pub(super) use journal::Journal;
pub(super) use nouns::Nouns;
pub(super) use rebuild::{Rebuild, Replacement, Stop, TableTarget};
pub use selection::Rename;
pub(super) use selection::{TableSelection, new_name, renames};
