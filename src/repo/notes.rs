//! Notes: mutable facts about snapshots. Each is an object of its own, so that hosts writing at once lose
//! nothing of one another; merged on read. What takes back names what it had seen: add wins.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use crate::format::{Manifest, Note, NoteFact, ObjectKind, name};
use crate::id::{ObjectId, SnapshotId};
use crate::limits::TAG_LEN_MAX;
use crate::options::options;
use crate::storage::{Key, Listed, StorageError};

use super::objects::{list_ids, read_named};
use super::{RepoError, Repository};

options! {
    /// What is to become of a snapshot's tags and permanence.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct NoteChange {
        /// Tags to add.
        pub add_tags: Vec<String>,
        /// Tags to remove.
        pub remove_tags: Vec<String>,
        /// `None` leaves it as it is.
        pub permanent: Option<bool>,
    }
}

/// Notes by the snapshot they are about, and those that cannot be read.
#[derive(Default)]
pub struct Notes {
    good: HashMap<SnapshotId, Vec<(ObjectId, Note)>>,
    unreadable: HashMap<SnapshotId, Vec<(String, RepoError)>>,
}

impl Notes {
    pub fn on(&self, snapshot: &SnapshotId) -> &[(ObjectId, Note)] {
        self.good.get(snapshot).map_or(&[], Vec::as_slice)
    }

    /// Objects that should be notes and cannot be read, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = &(String, RepoError)> {
        self.unreadable.values().flatten()
    }

    /// Whether a snapshot whose writer was taken for dead was found whole.
    pub(super) fn say_verified(&self, snapshot: &SnapshotId, manifest: &Manifest) -> bool {
        Merged::new(manifest, self.on(snapshot)).verified
    }

    pub(super) fn unreadable_on(&self, snapshot: &SnapshotId) -> usize {
        self.unreadable.get(snapshot).map_or(0, Vec::len)
    }
}

/// What manifest and notes say together. The order in which notes were written does not matter.
pub(super) struct Merged<'n> {
    pub tags: Vec<String>,
    pub permanent: bool,
    pub verified: bool,
    /// Notes nobody took back.
    standing: Vec<&'n (ObjectId, Note)>,
}

impl<'n> Merged<'n> {
    pub fn new(manifest: &Manifest, notes: &'n [(ObjectId, Note)]) -> Self {
        let off: HashSet<ObjectId> =
            notes.iter().flat_map(|(_, note)| note.off.iter().copied()).collect();
        let standing: Vec<_> = notes.iter().filter(|(id, _)| !off.contains(id)).collect();
        let says = |wanted: &NoteFact| standing.iter().any(|(_, note)| note.fact == *wanted);
        let mut tags = manifest.tags.clone();
        tags.retain(|tag| !says(&NoteFact::OffTag(tag.clone())));
        tags.extend(standing.iter().filter_map(|(_, note)| match &note.fact {
            NoteFact::Tag(tag) => Some(tag.clone()),
            _ => None,
        }));
        tags.sort();
        tags.dedup();
        let own = manifest.permanent && !says(&NoteFact::OffPermanent);
        let permanent = own || says(&NoteFact::Permanent);
        let verified = standing
            .iter()
            .any(|(_, note)| matches!(note.fact, NoteFact::Verified { complete: true }));
        Self { tags, permanent, verified, standing }
    }

    /// The notes that say `fact`, and whether the manifest's own word, taken back by `off`, still counts.
    fn sources(&self, fact: &NoteFact, off: &NoteFact, own: bool) -> (Vec<ObjectId>, bool) {
        let that_say = |wanted: &NoteFact| -> Vec<ObjectId> {
            let found = self.standing.iter().filter(|(_, note)| note.fact == *wanted);
            found.map(|(id, _)| *id).collect()
        };
        (that_say(fact), own && that_say(off).is_empty())
    }
}

impl Repository {
    /// All notes, as far as they can be read.
    pub fn notes(&self) -> Result<Notes, RepoError> {
        self.read_notes(name::NOTES)
    }

    pub(super) fn notes_on(&self, snapshot: &SnapshotId) -> Result<Notes, RepoError> {
        self.read_notes(&name::notes_of(snapshot))
    }

    fn read_notes(&self, folder: &str) -> Result<Notes, RepoError> {
        let listed = list_ids::<ObjectId>(&**self.storage(), folder)?;
        let read: Vec<_> = listed
            .par_iter()
            .filter_map(|(id, listed)| Some((*id, snapshot_of(listed)?, self.read_note(listed))))
            .collect();
        let mut notes = Notes::default();
        for (id, snapshot, note) in read {
            match note {
                Ok(note) => notes.good.entry(snapshot).or_default().push((id, note)),
                // Deleted, with its snapshot, between list and read.
                Err((_, RepoError::Storage(StorageError::Missing { .. }))) => {}
                Err(wrong) => notes.unreadable.entry(snapshot).or_default().push(wrong),
            }
        }
        Ok(notes)
    }

    fn read_note(&self, listed: &Listed) -> Result<Note, (String, RepoError)> {
        let object = listed.key.as_str();
        let read = read_named(&**self.storage(), self.vault(), ObjectKind::Note, object);
        let note: Note = read.map_err(|error| (object.to_owned(), error))?;
        // Sealed for another snapshot and put here: no repository key is needed for that.
        if snapshot_of(listed) != Some(note.snapshot) {
            let error = RepoError::MisplacedNote { object: object.into(), snapshot: note.snapshot };
            return Err((object.to_owned(), error));
        }
        Ok(note)
    }

    pub(super) fn warn_of(&self, notes: &Notes) {
        for (object, error) in notes.unreadable() {
            tracing::warn!("{object} is left out: {error}");
        }
    }

    /// Changes what is said of a snapshot, and gives the notes that were needed: none where it is so already.
    pub fn change_notes(
        &self,
        snapshot: &SnapshotId,
        change: &NoteChange,
    ) -> Result<Vec<ObjectId>, RepoError> {
        check(change)?;
        let gone = |error| self.missing_if_gone(snapshot, error);
        let manifest = self.manifest(snapshot).map_err(gone)?;
        let notes = self.notes_on(snapshot)?;
        let merged = Merged::new(&manifest, notes.on(snapshot));
        let mut written = Vec::new();
        for (fact, off) in facts(&manifest, &merged, change) {
            let (time, identity) = (self.identity().now(), self.identity());
            let (host, user) = (identity.host.clone(), identity.user.clone());
            let note = Note { snapshot: *snapshot, fact, off, time, host, user, ext: Vec::new() };
            written.push(self.put_note(&note)?);
        }
        // Who deletes looks at the notes first; where that was before ours, it is the snapshot that is gone.
        self.manifest(snapshot).map_err(gone)?;
        Ok(written)
    }

    /// Notes that a snapshot whose writer was taken for dead was found whole.
    pub fn note_verified(&self, snapshot: &SnapshotId) -> Result<ObjectId, RepoError> {
        let (time, identity) = (self.identity().now(), self.identity());
        let (host, user) = (identity.host.clone(), identity.user.clone());
        let (fact, off) = (NoteFact::Verified { complete: true }, Vec::new());
        let note = Note { snapshot: *snapshot, fact, off, time, host, user, ext: Vec::new() };
        self.put_note(&note)
    }

    /// Adds a note to a snapshot.
    pub fn put_note(&self, note: &Note) -> Result<ObjectId, RepoError> {
        let object = self.vault().seal(ObjectKind::Note, note)?;
        let id = ObjectId::new(object.name);
        self.storage().put(&Key::new(name::note(&note.snapshot, &id))?, &object.bytes)?;
        Ok(id)
    }

    pub(super) fn delete_notes(&self, snapshot: &SnapshotId) -> Result<u64, RepoError> {
        let folder = name::notes_of(snapshot);
        let notes = list_ids::<ObjectId>(&**self.storage(), &folder)?;
        for (_, listed) in &notes {
            self.storage().delete(&listed.key)?;
        }
        Ok(notes.len() as u64)
    }

    /// Removes notes whose snapshots are gone: a deletion was cut off behind the manifest.
    pub fn sweep_notes(&self) -> Result<u64, RepoError> {
        // Notes first: one that is there has its manifest before it, so a missing one was deleted.
        let notes = list_ids::<ObjectId>(&**self.storage(), name::NOTES)?;
        let there = list_ids::<SnapshotId>(&**self.storage(), name::SNAPSHOTS)?;
        let there: HashSet<SnapshotId> = there.into_iter().map(|(id, _)| id).collect();
        let mut swept = 0;
        for (_, listed) in notes {
            if snapshot_of(&listed).is_some_and(|snapshot| !there.contains(&snapshot)) {
                self.storage().delete(&listed.key)?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// The snapshot a note's place says it is about.
fn snapshot_of(listed: &Listed) -> Option<SnapshotId> {
    listed.key.as_str().split('/').nth(1)?.parse().ok()
}

/// What has to be written for a change to be true.
fn facts(
    manifest: &Manifest,
    merged: &Merged<'_>,
    change: &NoteChange,
) -> Vec<(NoteFact, Vec<ObjectId>)> {
    let mut facts = Vec::new();
    let mut take_back = |fact: NoteFact, off: NoteFact, own: bool| {
        let (notes, own) = merged.sources(&fact, &off, own);
        match (own, notes.is_empty()) {
            (true, _) => facts.push((off, notes)),
            (false, false) => facts.push((NoteFact::Off, notes)),
            (false, true) => {}
        }
    };
    for tag in &change.remove_tags {
        let own = manifest.tags.contains(tag);
        take_back(NoteFact::Tag(tag.clone()), NoteFact::OffTag(tag.clone()), own);
    }
    if change.permanent == Some(false) {
        take_back(NoteFact::Permanent, NoteFact::OffPermanent, manifest.permanent);
    }
    let new = change.add_tags.iter().filter(|tag| !merged.tags.contains(tag));
    facts.extend(new.map(|tag| (NoteFact::Tag(tag.clone()), Vec::new())));
    if change.permanent == Some(true) && !merged.permanent {
        facts.push((NoteFact::Permanent, Vec::new()));
    }
    facts
}

fn check(change: &NoteChange) -> Result<(), RepoError> {
    for tag in change.add_tags.iter().chain(&change.remove_tags) {
        if tag.trim().is_empty() || tag.len() > TAG_LEN_MAX || tag.contains(char::is_control) {
            let message =
                format!("{tag:?} is no tag: 1 to {TAG_LEN_MAX} bytes, nothing unprintable");
            return Err(RepoError::Usage(message));
        }
    }
    match change.add_tags.iter().find(|tag| change.remove_tags.contains(tag)) {
        Some(tag) => Err(RepoError::Usage(format!("tag {tag:?} is to be added and removed"))),
        None => Ok(()),
    }
}
