//! Tags and permanence: what hosts say at once is all kept.

use restow::fault::ErrorKind;
use restow::format::{Note, NoteFact};
use restow::repo::{NoteChange, Repository};

use super::{damage, marked, objects, one_file, with_snapshot};

fn add(tags: &[&str]) -> NoteChange {
    let add_tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    NoteChange::default().add_tags(add_tags)
}

fn remove(tags: &[&str]) -> NoteChange {
    let remove_tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    NoteChange::default().remove_tags(remove_tags)
}

fn permanent(on: bool) -> NoteChange {
    NoteChange::default().permanent(Some(on))
}

fn tags(repository: &Repository, id: &restow::id::SnapshotId) -> Vec<String> {
    repository.snapshot(id).unwrap().tags
}

#[test]
fn tags_of_the_backup_and_later_ones_come_and_go() {
    let (_, repository, _) = with_snapshot(one_file());
    let id = marked(&repository, &["own"], false);
    assert_eq!(repository.change_notes(&id, &add(&["later", "own"])).unwrap().len(), 1);
    assert_eq!(tags(&repository, &id), ["later", "own"]);
    // A listing says the same as a look at one.
    let listed = repository.snapshots().unwrap().0;
    assert_eq!(listed.last().unwrap().tags, ["later", "own"]);
    repository.change_notes(&id, &remove(&["own", "later"])).unwrap();
    assert!(tags(&repository, &id).is_empty());
    assert!(repository.change_notes(&id, &remove(&["own", "later"])).unwrap().is_empty());
    repository.change_notes(&id, &add(&["own"])).unwrap();
    assert_eq!(tags(&repository, &id), ["own"]);
}

#[test]
fn permanence_on_and_off_whether_own_or_noted() {
    let (_, repository, plain) = with_snapshot(one_file());
    let own = marked(&repository, &[], true);
    for (id, mut now) in [(plain, false), (own, true)] {
        for wanted in [false, true, true, false, false, true] {
            let written = repository.change_notes(&id, &permanent(wanted)).unwrap();
            assert_eq!(written.is_empty(), now == wanted);
            now = wanted;
            assert_eq!(repository.snapshot(&id).unwrap().permanent, wanted);
        }
    }
}

/// Who takes back names what it had seen: what another host added meanwhile stays.
#[test]
fn a_tag_added_while_another_host_removes_it_stays() {
    let (_, repository, id) = with_snapshot(one_file());
    let seen = repository.change_notes(&id, &add(&["x"])).unwrap();
    let note = |fact, off| Note {
        snapshot: id,
        fact,
        off,
        time: repository.identity().now(),
        host: "other".into(),
        user: String::new(),
        ext: Vec::new(),
    };
    repository.put_note(&note(NoteFact::Tag("x".into()), Vec::new())).unwrap();
    repository.put_note(&note(NoteFact::Off, seen)).unwrap();
    assert_eq!(tags(&repository, &id), ["x"]);
    repository.change_notes(&id, &remove(&["x"])).unwrap();
    assert!(tags(&repository, &id).is_empty());
}

#[test]
fn words_that_are_no_tags_are_refused() {
    let (storage, repository, id) = with_snapshot(one_file());
    for bad in ["", "  ", "two\nlines", &"x".repeat(5000)] {
        let error = repository.change_notes(&id, &add(&[bad])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{bad:?}");
    }
    let both = add(&["x"]).remove_tags(vec!["x".into()]);
    assert_eq!(repository.change_notes(&id, &both).unwrap_err().kind(), ErrorKind::Usage);
    assert!(objects(&storage, "notes").is_empty());
}

#[test]
fn a_note_on_a_snapshot_that_is_gone_is_an_error() {
    let (_, repository, id) = with_snapshot(one_file());
    repository.delete_snapshot(&id).unwrap();
    let error = repository.change_notes(&id, &add(&["x"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn an_unreadable_or_misplaced_note_is_counted_and_protects() {
    let (storage, repository, id) = with_snapshot(one_file());
    repository.change_notes(&id, &add(&["x"])).unwrap();
    damage(&storage, &objects(&storage, "notes")[0]);
    let snapshot = repository.snapshot(&id).unwrap();
    assert_eq!((snapshot.unreadable_notes, snapshot.tags.len()), (1, 0));
    assert!(snapshot.is_protected(), "it may have said: permanent");

    // A note of another snapshot, copied here by someone without a key.
    let (storage, repository, id) = with_snapshot(one_file());
    let other = marked(&repository, &[], false);
    repository.change_notes(&id, &add(&["x"])).unwrap();
    let note = objects(&storage, "notes").remove(0);
    let moved = note.as_str().replace(&id.to_hex(), &other.to_hex());
    let bytes = restow::storage::Storage::get(&storage, &note, 1 << 20).unwrap();
    let moved = restow::storage::Key::new(moved).unwrap();
    restow::storage::Storage::put(&storage, &moved, &bytes).unwrap();
    let snapshot = repository.snapshot(&other).unwrap();
    assert_eq!((snapshot.unreadable_notes, snapshot.tags.len()), (1, 0));
}
