//! The snapshots of a repository: manifests, and the notes on them.

use rayon::prelude::*;

use crate::format::{Manifest, ManifestKind, Note, NoteFact, ObjectKind, name};
use crate::id::{ActorId, ObjectId, SnapshotId};
use crate::storage::{Key, StorageError};

use super::objects::{list_ids, read_named};
use super::sync::void_actors;
use super::{RepoError, Repository};

/// How far a snapshot can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Good,
    /// Something could not be read when it was taken.
    Incomplete,
    /// Its writer was taken for dead; hidden until verified.
    Void,
}

/// A manifest, what notes say of it, and its standing.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub manifest: Manifest,
    pub tags: Vec<String>,
    pub permanent: bool,
    pub standing: Standing,
}

/// Snapshots, oldest first, and those whose manifests cannot be read.
pub type Listing = (Vec<Snapshot>, Vec<(SnapshotId, RepoError)>);

impl Repository {
    /// All snapshots, oldest first, without their lists of problems, and those whose manifests cannot be read.
    pub fn snapshots(&self) -> Result<Listing, RepoError> {
        let ids: Vec<SnapshotId> =
            list_ids(&**self.storage(), name::SNAPSHOTS)?.into_iter().map(|(id, _)| id).collect();
        let void = void_actors(&**self.storage())?;
        let notes = self.notes()?;
        let read: Vec<_> = ids.par_iter().map(|id| (*id, self.manifest(id))).collect();
        let (mut snapshots, mut unreadable) = (Vec::new(), Vec::new());
        for (id, manifest) in read {
            match manifest {
                Ok(manifest) if manifest.kind != ManifestKind::Snapshot => {}
                Ok(mut manifest) => {
                    // Thousands of them times thousands of snapshots: those who show one read it again.
                    manifest.problems = Vec::new();
                    let about: Vec<_> =
                        notes.iter().filter(|(_, note)| note.snapshot == id).collect();
                    snapshots.push(Snapshot::new(id, manifest, &about, &void));
                }
                // Deleted between list and read.
                Err(RepoError::Storage(StorageError::Missing { .. })) => {}
                Err(error) => unreadable.push((id, error)),
            }
        }
        snapshots.sort_by_key(|snapshot| (snapshot.manifest.time, snapshot.id));
        Ok((snapshots, unreadable))
    }

    /// One manifest, verified and opened.
    pub fn manifest(&self, id: &SnapshotId) -> Result<Manifest, RepoError> {
        read_named(&**self.storage(), self.vault(), ObjectKind::Manifest, &name::snapshot(id))
    }

    /// Adds a note to a snapshot.
    pub fn put_note(&self, note: &Note) -> Result<ObjectId, RepoError> {
        let object = self.vault().seal(ObjectKind::Note, note)?;
        let id = ObjectId::new(object.name);
        self.storage().put(&Key::new(name::note(&note.snapshot, &id))?, &object.bytes)?;
        Ok(id)
    }

    /// All notes. One that cannot be read is left out: it says nothing a snapshot depends on.
    pub(super) fn notes(&self) -> Result<Vec<(ObjectId, Note)>, RepoError> {
        let mut notes = Vec::new();
        for (id, listed) in list_ids::<ObjectId>(&**self.storage(), name::NOTES)? {
            let object = listed.key.as_str();
            match read_named(&**self.storage(), self.vault(), ObjectKind::Note, object) {
                Ok(note) => notes.push((id, note)),
                Err(error) => tracing::warn!("note {id} is left out: {error}"),
            }
        }
        Ok(notes)
    }
}

impl Snapshot {
    fn new(
        id: SnapshotId,
        manifest: Manifest,
        notes: &[&(ObjectId, Note)],
        void: &std::collections::HashSet<ActorId>,
    ) -> Self {
        let off: Vec<ObjectId> =
            notes.iter().flat_map(|(_, note)| note.off.iter().copied()).collect();
        let facts: Vec<&NoteFact> =
            notes.iter().filter(|(id, _)| !off.contains(id)).map(|(_, note)| &note.fact).collect();
        let mut tags = manifest.tags.clone();
        tags.retain(|tag| {
            !facts.iter().any(|fact| matches!(fact, NoteFact::OffTag(t) if t == tag))
        });
        tags.extend(facts.iter().filter_map(|fact| match fact {
            NoteFact::Tag(tag) => Some(tag.clone()),
            _ => None,
        }));
        tags.sort();
        tags.dedup();
        let own = manifest.permanent && !facts.contains(&&NoteFact::OffPermanent);
        let permanent = own || facts.contains(&&NoteFact::Permanent);
        let verified =
            facts.iter().any(|fact| matches!(fact, NoteFact::Verified { complete: true }));
        let standing = if void.contains(&manifest.writer) && !verified {
            Standing::Void
        } else if manifest.incomplete {
            Standing::Incomplete
        } else {
            Standing::Good
        };
        Self { id, manifest, tags, permanent, standing }
    }
}
