//! Retention over a repository: what is refused, what is measured, what goes.

use jiff::{Timestamp, Zoned};
use restow::fault::ErrorKind;
use restow::format::{Manifest, ObjectKind, Time, name};
use restow::id::{ActorId, SnapshotId};
use restow::ops::{
    Fate, KeepReason, OpError, RetentionGroup, RetentionOptions, RetentionPlan, RetentionPolicy,
    RetentionReport, apply_retention, plan_retention,
};
use restow::progress::{Cancel, Silent};
use restow::repo::{Filter, NoteChange, Repository, SourceMatch};
use restow::storage::{Key, Memory, Storage};

use super::{damage, marked, objects, one_file, with_snapshot};
use crate::support::memory_source::MemorySource;
use crate::support::model::{noise, path};
use crate::support::{back_up, default_chunks, memory_repository, open, restore_to_memory};

fn only(policy: RetentionPolicy) -> RetentionOptions {
    RetentionOptions::default().policy(policy)
}

fn last(count: u32) -> RetentionPolicy {
    RetentionPolicy { last: Some(count), ..RetentionPolicy::nothing() }
}

fn planned(repository: &Repository, options: &RetentionOptions) -> Result<RetentionPlan, OpError> {
    plan_retention(repository, options, &Cancel::new())
}

fn done(repository: &Repository, plan: &RetentionPlan) -> Result<RetentionReport, OpError> {
    apply_retention(repository, plan, &Silent, &Cancel::new())
}

fn dropped(plan: &RetentionPlan) -> Vec<SnapshotId> {
    plan.dropped().map(|verdict| verdict.snapshot.id).collect()
}

fn listed(repository: &Repository) -> Vec<SnapshotId> {
    repository.snapshots().unwrap().0.iter().map(|found| found.id).collect()
}

/// A copy of a snapshot's manifest, changed: as another host, or another day, would have written it.
fn copy_of(
    repository: &Repository,
    id: &SnapshotId,
    change: impl FnOnce(&mut Manifest),
) -> SnapshotId {
    let mut manifest = repository.manifest(id).unwrap();
    change(&mut manifest);
    let object = repository.vault().seal(ObjectKind::Manifest, &manifest).unwrap();
    let id = SnapshotId::new(object.name);
    repository.storage().put(&Key::new(name::snapshot(&id)).unwrap(), &object.bytes).unwrap();
    id
}

/// Five nights of one source, each in a snapshot.
fn nights() -> (Memory, Repository, Vec<SnapshotId>) {
    let (storage, repository, first) = with_snapshot(one_file());
    let more = (0..4).map(|_| marked(&repository, &[], false));
    let all = [first].into_iter().chain(more).collect();
    (storage, repository, all)
}

#[test]
fn what_no_rule_keeps_goes_and_the_rest_is_whole() {
    let (storage, repository, all) = nights();
    let note = NoteChange::default().add_tags(vec!["x".into()]);
    repository.change_notes(&all[0], &note).unwrap();
    let plan = planned(&repository, &only(last(2))).unwrap();
    assert_eq!(dropped(&plan), all[..3]);
    assert_eq!(listed(&repository), all, "a plan changes nothing");
    let report = done(&repository, &plan).unwrap();
    assert_eq!((report.deleted.as_slice(), report.notes), (&all[..3], 1));
    assert_eq!(listed(&repository), all[3..]);
    assert!(objects(&storage, "notes").is_empty());
    assert!(restore_to_memory(&repository, all[4]).contents().contains_key(&path("a")));
    let again = planned(&repository, &only(last(2))).unwrap();
    assert_eq!(done(&repository, &again).unwrap(), RetentionReport::default());
}

/// Whatever it said, it may have said: permanent.
#[test]
fn nothing_is_planned_while_a_note_cannot_be_read() {
    let (storage, repository, all) = nights();
    let note = NoteChange::default().permanent(Some(true));
    repository.change_notes(&all[0], &note).unwrap();
    let object = objects(&storage, "notes").remove(0);
    damage(&storage, &object);
    let error = planned(&repository, &only(last(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage);
    assert!(error.to_string().contains(object.as_str()), "{error}");
    assert_eq!(listed(&repository), all);
    // Other sources and hosts have nothing to do with it.
    let other = only(last(1)).filter(Filter::default().host(Some("elsewhere".into())));
    assert!(planned(&repository, &other).unwrap().verdicts.is_empty());
    // A tag might be what it says: a filter by tags lets nobody off.
    let tagged = only(last(1)).filter(Filter::default().tags(vec!["x".into()]));
    assert!(planned(&repository, &tagged).is_err());
    storage.delete(&object).unwrap();
    assert_eq!(dropped(&planned(&repository, &only(last(1))).unwrap()), all[..4]);
}

#[test]
fn permanent_ones_stay_also_those_that_become_it_after_the_plan() {
    let (_, repository, all) = nights();
    let permanent = NoteChange::default().permanent(Some(true));
    repository.change_notes(&all[1], &permanent).unwrap();
    let plan = planned(&repository, &only(last(1))).unwrap();
    assert_eq!(dropped(&plan), [all[0], all[2], all[3]]);
    assert_eq!(plan.verdicts[1].fate, Fate::Kept(vec![KeepReason::Permanent]));
    repository.change_notes(&all[2], &permanent).unwrap();
    repository.delete_snapshot(&all[0]).unwrap();
    let report = done(&repository, &plan).unwrap();
    assert_eq!(report.spared, [all[2]]);
    assert_eq!(report.gone, [all[0]]);
    assert_eq!(report.deleted, [all[3]]);
    assert_eq!(listed(&repository), [all[1], all[2], all[4]]);
}

#[test]
fn hosts_and_sources_are_looked_at_apart_and_damaged_ones_left_alone() {
    let (storage, repository, all) = nights();
    let elsewhere = copy_of(&repository, &all[0], |manifest| manifest.host = "elsewhere".into());
    let other = MemorySource { name: "other".into(), ..MemorySource::new(one_file()) };
    let other = back_up(&repository, &[&other]).unwrap().id.unwrap();
    let plan = planned(&repository, &only(last(1))).unwrap();
    assert_eq!(plan.verdicts.len(), 7);
    assert_eq!(dropped(&plan), all[..4]);
    let like = only(last(1)).like(Some(other));
    assert_eq!(planned(&repository, &like).unwrap().verdicts.len(), 1);
    let filter = Filter::default().source(Some(SourceMatch::glob("*other*").unwrap()));
    let by_source = only(last(1)).filter(filter);
    assert_eq!(planned(&repository, &by_source).unwrap().verdicts[0].snapshot.id, other);
    // One with a policy of its own.
    let group = RetentionGroup::new("elsewhere", plan.verdicts[0].snapshot.group.sources.clone());
    let copies = [1, 2].map(|night| {
        copy_of(&repository, &all[night], |manifest| manifest.host = "elsewhere".into())
    });
    let own = only(last(1)).own(vec![(group, last(2))]);
    let plan = planned(&repository, &own).unwrap();
    let mut expected = all[..4].to_vec();
    expected.push(elsewhere);
    expected.sort();
    let mut found = dropped(&plan);
    found.sort();
    assert_eq!(found, expected);
    assert!(!found.contains(&copies[0]));

    let newest = Key::new(name::snapshot(&all[4])).unwrap();
    damage(&storage, &newest);
    let plan = planned(&repository, &only(last(1))).unwrap();
    assert_eq!(plan.unreadable.len(), 1);
    done(&repository, &plan).unwrap();
    assert!(storage.get(&newest, 1 << 20).is_ok());
    assert!(listed(&repository).contains(&all[3]), "by now the newest that can be read");
}

/// Of a writer that was taken for dead: hidden, neither counted nor deleted.
#[test]
fn void_ones_are_left_alone() {
    let (storage, repository, all) = nights();
    let writer = ActorId::new([7; ActorId::LEN]);
    let void = copy_of(&repository, &all[4], |manifest| {
        manifest.writer = writer;
        manifest.time.seconds += 3600;
    });
    storage.put(&Key::new(name::void(&writer)).unwrap(), b"").unwrap();
    let plan = planned(&repository, &only(last(1))).unwrap();
    assert_eq!(dropped(&plan), all[..4]);
    assert!(plan.verdicts.iter().all(|verdict| verdict.snapshot.id != void));
    done(&repository, &plan).unwrap();
    let mut left = listed(&repository);
    left.sort();
    let mut expected = [all[4], void];
    expected.sort();
    assert_eq!(left, expected);
}

/// The moment and the zone are the caller's.
#[test]
fn ages_count_from_the_moment_that_is_said() {
    let (_, repository, all) = nights();
    let start: Timestamp = "2026-10-20T22:30:00Z".parse().unwrap();
    let days: Vec<SnapshotId> = (0..4)
        .map(|day| {
            copy_of(&repository, &all[0], |manifest| {
                manifest.host = "elsewhere".into();
                manifest.time = Time { seconds: start.as_second() + day * 86_400, nanos: 0 };
            })
        })
        .collect();
    let now: Zoned = "2026-10-24T00:00:00+02:00[+02:00]".parse().unwrap();
    let policy =
        RetentionPolicy { older_than: Some("2d".parse().unwrap()), ..RetentionPolicy::nothing() };
    let filter = Filter::default().host(Some("elsewhere".into()));
    let options = only(policy).now(now).filter(filter);
    // Taken at 00:30 of the 21st to the 24th there; older than the 22nd, 00:00, is the first.
    assert_eq!(dropped(&planned(&repository, &options).unwrap()), days[..1]);
}

#[test]
fn policies_that_say_nothing_are_refused() {
    let (_, repository, _) = nights();
    let tags = RetentionPolicy { tags: vec!["x".into()], ..RetentionPolicy::nothing() };
    for policy in [RetentionPolicy::nothing(), tags] {
        let error = planned(&repository, &only(policy)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
}

/// Four nights of noise, of which each shares a part with the one before.
fn noisy_nights() -> (Repository, Vec<SnapshotId>) {
    let repository = open(memory_repository(&default_chunks()));
    let nights = (0..4u64).map(|night| {
        let files = [
            (path("always"), noise(4_000_000, 100)),
            (path("since-yesterday"), noise(2_000_000, night / 2)),
            (path("today"), noise(3_000_000, 200 + night)),
        ];
        back_up(&repository, &[&MemorySource::new(files.into())]).unwrap().id.unwrap()
    });
    let nights = nights.collect();
    (repository, nights)
}

/// Noise does not shrink: what a night takes is what it holds that no other night has, and a little more.
#[test]
fn a_budget_counts_what_only_the_dropped_ones_need() {
    let (repository, all) = noisy_nights();
    let with = |max| {
        let policy = RetentionPolicy { max_size: Some(max), ..RetentionPolicy::nothing() };
        planned(&repository, &only(policy)).unwrap()
    };
    let near = |bytes: u64, expected: u64| {
        assert!((expected..expected + expected / 20).contains(&bytes), "{bytes}, not {expected}");
    };
    let plan = with(u64::MAX);
    assert!(dropped(&plan).is_empty());
    // The constant part, two of the next, four of the last.
    near(plan.budgets[0].before, 4_000_000 + 2 * 2_000_000 + 4 * 3_000_000);
    // The first night alone frees its own part; the second one also what both share.
    for (max, count, after) in [
        (19_000_000, 1, 17_000_000),
        (16_000_000, 2, 12_000_000),
        (11_000_000, 3, 9_000_000),
        (1, 3, 9_000_000),
    ] {
        let plan = with(max);
        assert_eq!(dropped(&plan), all[..count], "{max}");
        near(plan.budgets[0].after, after);
    }
    // What rules keep is never given up for a budget.
    let policy = RetentionPolicy { max_size: Some(1), ..last(3) };
    assert_eq!(dropped(&planned(&repository, &only(policy)).unwrap()), all[..1]);
}

#[test]
fn what_is_damaged_is_not_measured() {
    let (storage, repository, _) = nights();
    for pack in objects(&storage, "packs") {
        storage.delete(&pack).unwrap();
    }
    let policy = RetentionPolicy { max_size: Some(1), ..RetentionPolicy::nothing() };
    assert!(planned(&open(storage), &only(policy)).is_err());
    assert!(planned(&repository, &only(last(1))).is_ok(), "without a budget nobody asks");
}

#[test]
fn stopped_before_it_began_it_deletes_nothing() {
    let (_, repository, all) = nights();
    let plan = planned(&repository, &only(last(1))).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = apply_retention(&repository, &plan, &Silent, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(listed(&repository), all);
}
