//! The snapshots of a repository: manifests, and what the notes say of them.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use crate::format::{Manifest, ManifestKind, ObjectKind, Time, name};
use crate::id::{ActorId, SnapshotId};
use crate::storage::{Key, StorageError};

use super::notes::{Merged, Notes};
use super::objects::{list_ids, read_named};
use super::sync::void_actors;
use super::{RepoError, Repository};

/// How far a snapshot can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Complete.
    Good,
    /// Something could not be read when it was taken.
    Incomplete,
    /// Its writer was taken for dead; hidden until verified.
    Void,
}

/// A manifest, what notes say of it, and its standing.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The snapshot's id.
    pub id: SnapshotId,
    /// Its record, as it was put.
    pub manifest: Manifest,
    /// Tags of the backup and of notes.
    pub tags: Vec<String>,
    /// A rule may not delete it.
    pub permanent: bool,
    /// Whether it is complete.
    pub standing: Standing,
    /// Notes on it that cannot be read: what they said is unknown.
    pub unreadable_notes: usize,
    /// Its time is later than the storage's when it was put, or than now: a clock was wrong. It is no parent, counts as
    /// no latest one and fills no retention rule.
    pub is_future: bool,
}

/// Clocks of two machines may differ by this much.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(600);

/// Snapshots, oldest first, and those whose manifests cannot be read.
pub type Listing = (Vec<Snapshot>, Vec<(SnapshotId, RepoError)>);

impl Repository {
    /// All snapshots, oldest first, without their lists of problems, and those whose manifests cannot be read.
    pub fn snapshots(&self) -> Result<Listing, RepoError> {
        let listed: Vec<(SnapshotId, SystemTime)> = list_ids(&**self.storage(), name::SNAPSHOTS)?
            .into_iter()
            .map(|(id, listed)| (id, listed.stored))
            .collect();
        let void = void_actors(&**self.storage())?;
        let notes = self.notes()?;
        self.warn_of(&notes);
        let read: Vec<_> =
            listed.par_iter().map(|(id, stored)| (*id, *stored, self.manifest(id))).collect();
        let now = SystemTime::now();
        let (mut snapshots, mut unreadable) = (Vec::new(), Vec::new());
        for (id, stored, manifest) in read {
            match manifest {
                Ok(manifest) if manifest.kind != ManifestKind::Snapshot => {}
                Ok(mut manifest) => {
                    // Thousands of them times thousands of snapshots: those who show one read it again.
                    manifest.problems = Vec::new();
                    let is_future = is_later(manifest.time, stored.min(now));
                    let snapshot = Snapshot::new(id, manifest, &notes, &void);
                    snapshots.push(Snapshot { is_future, ..snapshot });
                }
                // Deleted between list and read.
                Err(RepoError::Storage(StorageError::Missing { .. })) => {}
                Err(error) => unreadable.push((id, error)),
            }
        }
        snapshots.sort_by_key(|snapshot| (snapshot.manifest.time, snapshot.id));
        tell_future(&mut snapshots);
        Ok((snapshots, unreadable))
    }

    /// One snapshot by its id; an error if it is not there.
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, RepoError> {
        let manifest = self.manifest(id).map_err(|error| self.missing_if_gone(id, error))?;
        if manifest.kind != ManifestKind::Snapshot {
            return Err(RepoError::Usage(format!("{id} is a stretch of a log, not a snapshot")));
        }
        let (notes, void) = (self.notes_on(id)?, void_actors(&**self.storage())?);
        self.warn_of(&notes);
        Ok(Snapshot::new(*id, manifest, &notes, &void))
    }

    /// Removes a snapshot: its manifest first, which makes it gone, then its notes. Gives their number.
    ///
    /// No space is freed: chunks that no snapshot needs any more go with the next prune. Snapshots taken
    /// after it are whole without it.
    pub fn delete_snapshot(&self, id: &SnapshotId) -> Result<u64, RepoError> {
        // The other way round a crash in between would leave a permanent snapshot that looks like any other.
        self.storage().delete(&Key::new(name::snapshot(id))?)?;
        self.delete_notes(id)
    }

    pub(super) fn missing_if_gone(&self, id: &SnapshotId, error: RepoError) -> RepoError {
        match error {
            RepoError::Storage(StorageError::Missing { .. }) => {
                let (place, wanted) = (self.place(), id.to_hex());
                RepoError::NoSnapshot { place, wanted }
            }
            other => other,
        }
    }

    /// One manifest, verified and opened.
    pub fn manifest(&self, id: &SnapshotId) -> Result<Manifest, RepoError> {
        read_named(&**self.storage(), self.vault(), ObjectKind::Manifest, &name::snapshot(id))
    }
}

/// Whether a time is later than a moment, by more than clocks may differ.
pub(super) fn is_later(time: Time, moment: SystemTime) -> bool {
    let moment =
        (moment + CLOCK_TOLERANCE).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i128::from(time.seconds) > i128::from(moment.as_secs())
}

/// Warns of snapshots from the future. Where all are, it is the clock here that is wrong, and none is.
fn tell_future(snapshots: &mut [Snapshot]) {
    let count = snapshots.iter().filter(|snapshot| snapshot.is_future).count();
    if count == 0 {
        return;
    }
    if count == snapshots.len() {
        tracing::warn!("every snapshot is from the future: is the clock of this machine right?");
        snapshots.iter_mut().for_each(|snapshot| snapshot.is_future = false);
        return;
    }
    // One line, however many there are: a clock that is always ahead marks every night.
    let newest = snapshots.iter().rfind(|snapshot| snapshot.is_future);
    if let Some(Snapshot { id, manifest, .. }) = newest {
        let (id, name) = (id.short(), &manifest.name);
        tracing::warn!(
            "{count} of {} snapshots are from the future, a clock was wrong: they do not count as the latest; \
             the last of them is {id} ({name})",
            snapshots.len()
        );
    }
}

impl Snapshot {
    fn new(id: SnapshotId, manifest: Manifest, notes: &Notes, void: &HashSet<ActorId>) -> Self {
        let merged = Merged::new(&manifest, notes.on(&id));
        let standing = if void.contains(&manifest.writer) && !merged.verified {
            Standing::Void
        } else if manifest.incomplete {
            Standing::Incomplete
        } else {
            Standing::Good
        };
        let Merged { tags, permanent, .. } = merged;
        let unreadable_notes = notes.unreadable_on(&id);
        Self { id, manifest, tags, permanent, standing, unreadable_notes, is_future: false }
    }

    /// Whether deleting it takes an explicit word: it is permanent, or a note that cannot be read may say so.
    pub fn is_protected(&self) -> bool {
        self.permanent || self.unreadable_notes > 0
    }
}
