//! `accepts`, on traces written by hand and on those of the model.

use super::accepts::accepts;
use super::compactions;
use super::events::{Act, ActorName, Kind, ObjectEvent, Role};
use super::model::Model;
use super::projected::{deletes, walk};
use super::scenario::{Rules, Scenario};
use super::scenarios;

use Act::{Delete, List, Put};
use Kind::{Active, Beat, Condemned, Index, Manifest, Pack, Void};

fn actor(role: Role, name: &str) -> ActorName {
    ActorName { role, name: name.into() }
}

fn by(role: Role) -> impl Fn(Act, Kind, &str) -> ObjectEvent {
    move |act, kind, name| ObjectEvent::new(&actor(role, "me"), act, kind, name)
}

/// A backup of two packs with a sign of life.
fn writer() -> Vec<ObjectEvent> {
    let did = by(Role::Writer);
    vec![
        did(Put, Active, "me"),
        did(List, Condemned, ""),
        did(List, Pack, ""),
        did(List, Index, ""),
        did(List, Void, ""),
        did(List, Manifest, ""),
        did(Put, Pack, "k1"),
        did(Put, Beat, "me"),
        did(Put, Pack, "k2"),
        did(Put, Index, "i").naming(&["k1", "k2"]),
        did(Put, Manifest, "m"),
        did(List, Void, "").finding(&["another"]),
        did(Delete, Active, "me"),
        did(Delete, Beat, "me"),
    ]
}

/// A prune that takes a writer for dead, copies, condemns, waits for nobody, rescues and deletes.
fn prune() -> Vec<ObjectEvent> {
    let did = by(Role::Prune);
    let index = |others: &[(&str, &[&str])]| {
        let first: [(&str, &[&str]); 2] = [("i1", &["k1", "k2", "k5"]), ("i2", &["k6", "gone"])];
        did(List, Index, "").listing(&[&first, others].concat())
    };
    let packs = |others: &[&str]| {
        did(List, Pack, "").finding(&[&["k1", "k2", "k5", "k6"], others].concat())
    };
    let actors = ObjectEvent {
        actors: vec![actor(Role::Prune, "me"), actor(Role::Writer, "dead")],
        ..did(List, Active, "")
    };
    let nobody = ObjectEvent { actors: vec![actor(Role::Prune, "me")], ..did(List, Active, "") };
    vec![
        did(Put, Active, "me"),
        actors,
        did(List, Beat, ""),
        did(Put, Void, "dead"),
        did(Delete, Active, "dead"),
        did(Delete, Beat, "dead"),
        did(List, Condemned, ""),
        index(&[]),
        index(&[]),
        packs(&[]),
        did(List, Manifest, ""),
        did(List, Void, "").finding(&["dead"]),
        did(Put, Pack, "k3"),
        did(Put, Index, "i3").naming(&["k3"]),
        did(List, Void, ""),
        did(Put, Condemned, "c").naming(&["k1", "k2"]),
        nobody,
        did(List, Void, ""),
        did(List, Condemned, "").listing(&[("c", &["k1", "k2"])]),
        index(&[("i3", &["k3"])]),
        index(&[("i3", &["k3"])]),
        packs(&["k3"]),
        did(List, Manifest, ""),
        did(Put, Pack, "k4"),
        did(Put, Index, "i4").naming(&["k4"]),
        did(List, Void, ""),
        did(Put, Index, "i5").naming(&["k5"]),
        did(Delete, Index, "i1"),
        did(Delete, Pack, "k1"),
        did(Delete, Pack, "k2"),
        did(Delete, Condemned, "c"),
        did(Delete, Active, "me"),
        did(Delete, Beat, "me"),
    ]
}

fn without(mut trace: Vec<ObjectEvent>, at: usize) -> Vec<ObjectEvent> {
    trace.remove(at);
    trace
}

fn swapped(mut trace: Vec<ObjectEvent>, a: usize, b: usize) -> Vec<ObjectEvent> {
    trace.swap(a, b);
    trace
}

#[test]
fn a_trace_may_end_anywhere() {
    for trace in [writer(), prune()] {
        for len in 0..=trace.len() {
            assert_eq!(accepts(&trace[..len]), Ok(()), "{len}");
        }
    }
}

#[test]
fn a_writer_that_leaves_a_step_out_is_found_out() {
    // Where it is noticed, if that step is missing.
    for (step, noticed) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (6, 8), (9, 9), (11, 11)] {
        let trace = without(writer(), step);
        assert_eq!(accepts(&trace).unwrap_err().at, noticed, "without {:?}", writer()[step]);
    }
    // These a writer can do without: a parent, a sign of life, one pack of two.
    for step in [5, 7] {
        assert_eq!(accepts(&without(writer(), step)), Ok(()));
    }
}

#[test]
fn a_writer_in_another_order_is_found_out() {
    for (a, b) in [(1, 2), (2, 3), (3, 4), (4, 6), (8, 9), (9, 10), (10, 11), (11, 12), (12, 13)] {
        assert!(accepts(&swapped(writer(), a, b)).is_err(), "{a} and {b} swapped");
    }
}

#[test]
fn a_void_writer_withdraws_and_no_other_does() {
    let did = by(Role::Writer);
    let mut trace = writer();
    trace[11] = did(List, Void, "").finding(&["me"]);
    assert_eq!(accepts(&trace).unwrap_err().at, 12, "it stays");
    trace.insert(12, did(Delete, Manifest, "m"));
    assert_eq!(accepts(&trace), Ok(()));
    trace[12] = did(Delete, Manifest, "another");
    assert_eq!(accepts(&trace).unwrap_err().at, 12, "another's");
    trace[12] = did(Delete, Manifest, "m");
    trace[11] = did(List, Void, "");
    assert_eq!(accepts(&trace).unwrap_err().at, 12, "without need");
}

#[test]
fn a_writer_does_what_writers_do() {
    let did = by(Role::Writer);
    for odd in [
        did(Delete, Pack, "k1"),
        did(Delete, Index, "i"),
        did(Put, Condemned, "c").naming(&["k1"]),
        did(Put, Void, "another"),
        did(Delete, Active, "another"),
        did(Put, Active, "me"),
        did(Put, Beat, "another"),
        did(Put, Index, "j").naming(&["of another"]),
        did(List, Condemned, ""),
        ObjectEvent { actor: actor(Role::Writer, "another"), ..did(List, Manifest, "") },
    ] {
        let mut trace = writer();
        trace.insert(9, odd.clone());
        let rejected = accepts(&trace).unwrap_err();
        assert_eq!((rejected.at, &rejected.event), (9, &odd), "{}", rejected.why);
    }
}

#[test]
fn a_prune_that_leaves_a_step_out_is_found_out() {
    // Without dead actors' signs of life, copies at 3 and at 6, and from 26 on what a crash would leave undone.
    let spared = [2, 4, 5, 27, 28, 29, 30, 31, 32];
    let with_another = [(3, 3), (12, 12), (13, 14), (23, 23), (24, 25)];
    for step in (0..prune().len()).filter(|step| !spared.contains(step)) {
        let rejected = accepts(&without(prune(), step)).map_err(|rejected| rejected.at);
        let at = with_another.iter().find(|(other, _)| *other == step).map_or(step, |(_, at)| *at);
        assert!(rejected.is_err_and(|found| found >= at), "without {:?}", prune()[step]);
    }
    for step in spared.into_iter().filter(|step| *step != 31) {
        assert_eq!(accepts(&without(prune(), step)), Ok(()), "without {:?}", prune()[step]);
    }
}

#[test]
fn a_prune_in_another_order_is_found_out() {
    for (a, b) in [
        (3, 4),   // void/ before active/ is deleted
        (8, 9),   // index settled before packs
        (9, 10),  // packs before manifests
        (13, 15), // copies indexed before packs are condemned
        (15, 16), // condemned before writers are looked for
        (17, 18), // void/ looked for before step 6
        (24, 25), // rescued chunks indexed before void/ is looked for and anything goes
        (26, 27), // new index objects before old ones go
        (27, 28), // index objects before packs
        (29, 30), // packs before condemned/
        (30, 31), // condemned/ before active/
    ] {
        assert!(accepts(&swapped(prune(), a, b)).is_err(), "{a} and {b} swapped");
    }
}

#[test]
fn a_prune_makes_way_for_another_and_waits_for_writers() {
    let did = by(Role::Prune);
    let other = |role| vec![actor(Role::Prune, "me"), actor(role, "other")];
    let mut trace = prune();
    trace[1].actors.push(actor(Role::Prune, "other"));
    assert_eq!(accepts(&trace).unwrap_err().at, 6);
    let withdrawn = [&trace[..2], &[did(Delete, Active, "me")]].concat();
    assert_eq!(accepts(&withdrawn), Ok(()));

    let mut trace = prune();
    trace[16].actors = other(Role::Writer);
    assert_eq!(accepts(&trace).unwrap_err().at, 19, "it goes on beside a writer");
    let stopped = [&trace[..17], &[did(Delete, Active, "me")]].concat();
    assert_eq!(accepts(&stopped).unwrap_err().at, 17, "without a note");
    let noted =
        |note: ObjectEvent| accepts(&[&trace[..17], &[note, did(Delete, Active, "me")]].concat());
    let note = || did(Put, Condemned, "note");
    assert_eq!(noted(note().noting("c", &["other"])), Ok(()));
    assert_eq!(noted(note().noting("c", &[])).unwrap_err().at, 17, "one is left out");
    assert_eq!(noted(note().noting("d", &["other"])).unwrap_err().at, 17, "beside nothing");

    // Who was noted by an earlier prune is waited for until it is gone, and nobody else is; where nobody was noted, all are.
    let found = |noted: &[&str]| {
        let found = did(List, Condemned, "").listing(&[("c", &["k1", "k2"])]);
        if noted.is_empty() { found } else { found.noting("c", noted) }
    };
    let resumed = |noted: &[&str]| [&trace[..6], &[found(noted)], &trace[16..]].concat();
    assert_eq!(accepts(&resumed(&["gone"])), Ok(()));
    assert_eq!(accepts(&resumed(&["gone", "other"])).unwrap_err().at, 10, "it is still at work");
    assert_eq!(accepts(&resumed(&[])).unwrap_err().at, 10, "nobody was noted");
    let stops = |noted: &[&str]| {
        accepts(
            &[&trace[..6], &[found(noted)], &trace[16..17], &[did(Delete, Active, "me")]].concat(),
        )
    };
    assert_eq!(stops(&["other"]), Ok(()));
    assert_eq!(stops(&[]).unwrap_err().at, 8, "without a note");
}

#[test]
fn a_prune_that_loses_an_index_entry_is_found_out() {
    let did = by(Role::Prune);
    let mut trace = prune();
    trace[26].packs = vec!["k6".into()];
    assert_eq!(accepts(&trace).unwrap_err().at, 27, "k5 is listed nowhere");
    let mut trace = prune();
    trace.insert(28, did(Delete, Index, "i2"));
    assert_eq!(accepts(&trace).unwrap_err().at, 28, "k6 is");
    let mut trace = prune();
    trace[26].packs.push("k6".into());
    trace.insert(28, did(Delete, Index, "i2"));
    assert_eq!(accepts(&trace), Ok(()), "what is gone needs no entry");
    trace[28].name = "of another".into();
    assert_eq!(accepts(&trace).unwrap_err().at, 28);
}

#[test]
fn a_void_prune_does_nothing_more() {
    for step in [11, 14, 17, 25] {
        let mut trace = prune();
        trace[step].found.push("me".into());
        assert_eq!(accepts(&trace).unwrap_err().at, step + 1);
    }
}

#[test]
fn a_prune_deletes_what_is_condemned_only() {
    let did = by(Role::Prune);
    for odd in [
        did(Delete, Pack, "k9"),
        did(Delete, Manifest, "m"),
        did(Delete, Condemned, "of another"),
        did(Delete, Active, "another"),
        did(Delete, Void, "dead"),
        did(Put, Manifest, "m"),
        did(Put, Index, "late").naming(&["k5"]),
    ] {
        let mut trace = prune();
        trace.insert(29, odd.clone());
        assert_eq!(accepts(&trace).unwrap_err().at, 29, "{odd:?}");
    }
    let mut trace = prune();
    trace[26].packs.push("k1".into());
    assert_eq!(accepts(&trace).unwrap_err().at, 26, "a new index object lists what goes");
    let mut trace = prune();
    trace[20].found.push("i3".into());
    assert_eq!(accepts(&trace).unwrap_err().at, 21, "the index changes while it is listed");
}

const WALKS: u64 = 1500;

fn walked() -> impl Iterator<Item = Scenario> {
    scenarios::ALL.into_iter().chain(compactions::ALL).map(Scenario::in_two_parts)
}

#[test]
fn the_models_traces_are_accepted() {
    let mut deleting = 0;
    for scenario in walked() {
        let model = Model { scenario, rules: Rules::ALL };
        for seed in 0..WALKS {
            for trace in walk(&model, seed) {
                assert_eq!(accepts(&trace), Ok(()), "{} {seed}: {trace:#?}", scenario.name);
                deleting += usize::from(deletes(&trace));
            }
        }
    }
    assert!(deleting > 100, "only {deleting} prunes got that far");
}

#[test]
fn traces_of_broken_models_are_not() {
    type Break = fn(&mut Rules);
    let broken: [(&str, Break); 8] = [
        ("writer without 2", |rules| rules.writer_lists_condemned = false),
        ("writer without 6", |rules| rules.writer_checks_void = false),
        ("void listed before the index", |rules| rules.void_listed_last = false),
        ("prune without 5", |rules| rules.prune_waits_for_writers = false),
        ("prune without 6", |rules| rules.prune_relists = false),
        ("copies indexed too late", |rules| rules.copies_indexed_before_deleting = false),
        ("void prunes go on", |rules| rules.prune_checks_void = false),
        ("the index listed once", |rules| rules.settled_listings = false),
    ];
    broken
        .into_iter()
        .for_each(|(name, break_it)| assert!(is_rejected(walked(), break_it), "{name}"));
}

/// Whether some walk through one of these scenarios, broken, is no trace of the protocol.
pub fn is_rejected(mut scenarios: impl Iterator<Item = Scenario>, breaks: fn(&mut Rules)) -> bool {
    let mut rules = Rules::ALL;
    breaks(&mut rules);
    scenarios.any(|scenario| {
        let model = Model { scenario, rules };
        (0..WALKS).any(|seed| walk(&model, seed).iter().any(|trace| accepts(trace).is_err()))
    })
}
