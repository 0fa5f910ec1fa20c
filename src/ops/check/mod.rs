//! Checking: object names without a key; with one, that every snapshot can be restored.

mod chunks;
mod names;
mod verdicts;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::ErrorKind;
use crate::format::{Bytes, Problem, name};
use crate::id::{PackId, SnapshotId};
use crate::index::PackEntry;
use crate::options::options;
use crate::progress::{Cancel, Observer};
use crate::repo::{Filter, RepoError, Repository, Selector, Snapshot, Standing};

use self::chunks::ChunkStates;
use super::OpError;
use super::steady::{NextTry, Steady};

pub use self::names::check_names;

/// Packs as the index lists them, which may be in more than one way.
type Listed = BTreeMap<PackId, Vec<PackEntry>>;

options! {
    /// How thorough a check is.
    #[derive(Debug, Clone, Default)]
    pub struct CheckOptions {
        /// Read, open and decode every block and recompute every chunk's id.
        pub read_data: bool,
        /// One snapshot instead of all.
        pub snapshot: Option<Selector>,
    }
}

/// An entry that does not come back whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDamage {
    /// Path of the entry in the snapshot.
    pub path: Bytes,
    /// What is wrong with it.
    pub message: String,
}

/// A snapshot that does not come back whole.
#[derive(Debug, Clone)]
pub struct SnapshotDamage {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its name.
    pub name: String,
    /// The first damaged entries, and how many there are.
    pub entries: Vec<EntryDamage>,
    /// All damaged entries.
    pub count: u64,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// Objects whose names were checked.
    pub objects: u64,
    /// Packs that were checked.
    pub packs: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Chunks that were decoded and verified.
    pub chunks_read: u64,
    /// Snapshots that were checked.
    pub snapshots: u64,
    /// Objects that are missing, unreadable, of a wrong length or name.
    pub objects_damaged: Vec<Problem>,
    /// Snapshots that cannot be restored completely.
    pub snapshots_damaged: Vec<SnapshotDamage>,
    /// Packs no index object lists: left by an interrupted backup. No damage.
    pub unindexed_packs: u64,
    /// Those of them that a prune means to delete. Where a snapshot needs them an index object was lost that listed them.
    pub unindexed_condemned: u64,
}

fn snapshot_name(id: &SnapshotId) -> Bytes {
    Bytes::from(name::snapshot(id).as_bytes())
}

impl CheckReport {
    /// True where nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.objects_damaged.is_empty() && self.snapshots_damaged.is_empty()
    }

    /// The names of what is damaged.
    fn damaged(&self) -> BTreeSet<Bytes> {
        let objects = self.objects_damaged.iter().map(|problem| problem.path.clone());
        let snapshots = self.snapshots_damaged.iter();
        objects.chain(snapshots.map(|damage| snapshot_name(&damage.id))).collect()
    }

    /// Drops what is not among these.
    fn keep_only(&mut self, names: &BTreeSet<Bytes>) {
        self.objects_damaged.retain(|problem| names.contains(&problem.path));
        self.snapshots_damaged.retain(|damage| names.contains(&snapshot_name(&damage.id)));
    }

    fn object(&mut self, object: &str, message: impl ToString) {
        let path = Bytes::from(object.as_bytes());
        self.objects_damaged.push(Problem { path, message: message.to_string() });
    }
}

/// Where no two looks in a row agree.
const LOOKS_MORE: u32 = 20;

/// Checks that what the snapshots refer to is there; with `read_data`, that it is what was written.
///
/// A snapshot whose writer was taken for dead is looked at only by itself. If all of it is there then, with
/// `read_data`, that is noted, and it counts from then on.
pub fn check(
    repository: &Repository,
    options: &CheckOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<CheckReport, OpError> {
    let (mut steady, mut before, mut more_looks) = (Steady::new(repository)?, None, LOOKS_MORE);
    loop {
        let mut found = check_once(repository, options, observer, cancel);
        if cancel.is_cancelled() || found.as_ref().is_ok_and(CheckReport::is_clean) {
            return found;
        }
        let next = steady.next(&found)?;
        // What is damaged stays so. What was only moved is found in its new place, while something else is moved.
        let now = found.as_ref().ok().map(CheckReport::damaged);
        match (next, &mut found, &before) {
            (NextTry::Again, ..) if now.is_none() || now != before => before = now,
            (NextTry::Enough, Ok(report), Some(last)) => {
                // Something new in each of so many looks may as well be damage that came meanwhile.
                let is_all_new = report.damaged().is_disjoint(last);
                match is_all_new && more_looks > 0 {
                    true => (more_looks, before) = (more_looks - 1, now),
                    false if is_all_new => return found,
                    false => {
                        report.keep_only(last);
                        return found;
                    }
                }
            }
            _ => return found,
        }
    }
}

fn check_once(
    repository: &Repository,
    options: &CheckOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<CheckReport, OpError> {
    let mut report = CheckReport::default();
    // Before the index is listed: what a backup beside us commits later is not looked for in it.
    let snapshots = chosen(repository, options, &mut report)?;
    if cancel.is_cancelled() {
        return Err(OpError::Interrupted);
    }
    // Before anything is read: what is condemned later is condemned by a prune that sees these snapshots.
    let is_void = |snapshot: &Snapshot| snapshot.standing == Standing::Void;
    let may_go = snapshots.iter().any(is_void) && !repository.condemned()?.is_empty();
    let index = repository.verified_index()?;
    let reader = repository.reader(&index);
    let mut packs: Listed = BTreeMap::new();
    for entry in index.packs() {
        packs.entry(entry.id).or_default().push(entry);
    }
    let mut states = ChunkStates::new(reader);
    states.compare_packs(repository, &index, &packs, &mut report)?;
    for (id, error) in index.unreadable {
        report.object(&name::index(&id), known(error)?);
    }
    if options.read_data {
        states.read_packs(repository, &packs, observer, cancel, &mut report)?;
    }
    walk::snapshots(&snapshots, &mut states, observer, cancel, &mut report)?;
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.standing == Standing::Void) {
        if may_go {
            tracing::warn!(
                "a prune has to finish before {} can count: prune, check again",
                snapshot.id
            );
        } else if options.read_data && report.snapshots_damaged.is_empty() {
            repository.note_verified(&snapshot.id)?;
            tracing::info!("snapshot {} is whole, and counts from now on", snapshot.id);
        }
    }
    Ok(report)
}

/// What a newer restow wrote is no damage: nothing can be said of it here.
fn known(error: RepoError) -> Result<RepoError, OpError> {
    if error.kind() == ErrorKind::TooNew { Err(error.into()) } else { Ok(error) }
}

fn chosen(
    repository: &Repository,
    options: &CheckOptions,
    report: &mut CheckReport,
) -> Result<Vec<Snapshot>, OpError> {
    if let Some(selector) = &options.snapshot {
        return Ok(vec![repository.find(selector, &Filter::default())?]);
    }
    let (mut snapshots, unreadable) = repository.snapshots()?;
    for (id, error) in unreadable {
        report.object(&name::snapshot(&id), known(error)?);
    }
    for (object, error) in repository.notes()?.unreadable() {
        report.object(object, error);
    }
    // Nobody was promised that those are whole.
    snapshots.retain(|snapshot| snapshot.standing != Standing::Void);
    Ok(snapshots)
}
