//! Deleting snapshots.

use restow::fault::ErrorKind;
use restow::id::SnapshotId;
use restow::ops::{DeleteOptions, DeleteReport, OpError, delete, plan_delete};
use restow::progress::{Cancel, Silent};
use restow::repo::{NoteChange, Repository};
use restow::storage::{Key, Storage};

use super::{damage, marked, objects, one_file, with_snapshot};
use crate::support::model::path;
use crate::support::restore_to_memory;

fn gone(
    repository: &Repository,
    ids: &[SnapshotId],
    options: DeleteOptions,
) -> Result<DeleteReport, OpError> {
    let plan = plan_delete(repository, ids)?;
    delete(repository, &plan, &options, &Silent, &Cancel::new())
}

fn force() -> DeleteOptions {
    DeleteOptions::default().force(true)
}

#[test]
fn one_goes_with_its_notes_and_the_others_are_whole() {
    let (storage, repository, first) = with_snapshot(one_file());
    let second = marked(&repository, &["kept"], false);
    let note = NoteChange::default().add_tags(vec!["x".into()]);
    repository.change_notes(&first, &note).unwrap();
    let report = gone(&repository, &[first, first], DeleteOptions::default()).unwrap();
    assert_eq!((report.deleted.as_slice(), report.notes), (&[first][..], 1));
    assert_eq!(objects(&storage, "snapshots").len(), 1);
    assert!(objects(&storage, "notes").is_empty());
    // The second took its chunks from the first.
    assert!(restore_to_memory(&repository, second).contents().contains_key(&path("a")));
    let error = gone(&repository, &[first], DeleteOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn a_dry_run_deletes_nothing_and_refuses_what_would_be_refused() {
    let (storage, repository, plain) = with_snapshot(one_file());
    let permanent = marked(&repository, &[], true);
    let dry = DeleteOptions::default().dry_run(true);
    assert_eq!(gone(&repository, &[plain], dry).unwrap().deleted, [plain]);
    let error = gone(&repository, &[plain, permanent], dry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(objects(&storage, "snapshots").len(), 2);
}

#[test]
fn with_a_permanent_one_among_them_nothing_goes_without_force() {
    let (storage, repository, plain) = with_snapshot(one_file());
    let permanent = marked(&repository, &[], true);
    let error = gone(&repository, &[plain, permanent], DeleteOptions::default()).unwrap_err();
    assert!(error.to_string().contains(&permanent.short()), "{error}");
    assert_eq!(objects(&storage, "snapshots").len(), 2);
    assert_eq!(gone(&repository, &[plain, permanent], force()).unwrap().deleted.len(), 2);
    assert!(objects(&storage, "snapshots").is_empty());
}

#[test]
fn what_becomes_permanent_after_the_plan_stays() {
    let (_, repository, id) = with_snapshot(one_file());
    let plan = plan_delete(&repository, &[id]).unwrap();
    let note = NoteChange::default().permanent(Some(true));
    repository.change_notes(&id, &note).unwrap();
    let options = DeleteOptions::default();
    let error = delete(&repository, &plan, &options, &Silent, &Cancel::new()).unwrap_err();
    assert!(matches!(error, OpError::Protected { .. }), "{error}");
    assert!(repository.snapshot(&id).is_ok());
}

#[test]
fn what_somebody_else_deleted_meanwhile_is_said_to_be_gone() {
    let (_, repository, id) = with_snapshot(one_file());
    let plan = plan_delete(&repository, &[id]).unwrap();
    repository.delete_snapshot(&id).unwrap();
    let options = DeleteOptions::default();
    let report = delete(&repository, &plan, &options, &Silent, &Cancel::new()).unwrap();
    assert_eq!((report.gone.as_slice(), report.deleted.len()), (&[id][..], 0));
}

/// Nobody can tell whether it is permanent.
#[test]
fn a_damaged_manifest_needs_force() {
    let (storage, repository, id) = with_snapshot(one_file());
    damage(&storage, &objects(&storage, "snapshots")[0]);
    let error = gone(&repository, &[id], DeleteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert_eq!(gone(&repository, &[id], force()).unwrap().deleted, [id]);
    assert!(objects(&storage, "snapshots").is_empty());
}

#[test]
fn notes_that_an_interrupted_deletion_left_go_with_the_next() {
    let (storage, repository, first) = with_snapshot(one_file());
    let second = marked(&repository, &[], false);
    let note = NoteChange::default().add_tags(vec!["x".into()]);
    repository.change_notes(&first, &note).unwrap();
    // As after a crash between the two.
    storage.delete(&Key::new(format!("snapshots/{first}")).unwrap()).unwrap();
    let report = gone(&repository, &[second], DeleteOptions::default()).unwrap();
    assert_eq!(report.notes, 1);
    assert!(objects(&storage, "notes").is_empty());
}

#[test]
fn stopped_before_it_began_it_deletes_nothing() {
    let (storage, repository, id) = with_snapshot(one_file());
    let plan = plan_delete(&repository, &[id]).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = delete(&repository, &plan, &force(), &Silent, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(objects(&storage, "snapshots").len(), 1);
}
