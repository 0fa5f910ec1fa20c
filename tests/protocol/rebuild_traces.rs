//! `accepts`, on rebuilds of the index written by hand.

use super::accepts::accepts;
use super::events::{Act, ActorName, Kind, ObjectEvent, Role};

use Act::{Delete, List, Put};
use Kind::{Active, Condemned, Index, Manifest, Pack, Void};

fn me() -> ActorName {
    ActorName { role: Role::Prune, name: "me".into() }
}

fn did(act: Act, kind: Kind, name: &str) -> ObjectEvent {
    ObjectEvent::new(&me(), act, kind, name)
}

/// What there is: `k1` and `k2` are condemned, and `gone` is not there any more.
fn begun(index: &ObjectEvent, writers: &[&str]) -> Vec<ObjectEvent> {
    let writers = writers.iter();
    let writers = writers.map(|name| ActorName { role: Role::Writer, name: (*name).into() });
    let actors = [me()].into_iter().chain(writers).collect();
    vec![
        did(Put, Active, "me"),
        ObjectEvent { actors, ..did(List, Active, "") },
        did(List, Condemned, "").listing(&[("c", &["k1", "k2"])]),
        index.clone(),
        index.clone(),
        did(List, Pack, "").finding(&["k1", "k2", "k3", "k4"]),
        did(List, Void, ""),
    ]
}

fn readable() -> ObjectEvent {
    did(List, Index, "").listing(&[("i1", &["k1", "gone"]), ("i2", &["k3"])])
}

/// One of them is found, and says nothing.
fn damaged() -> ObjectEvent {
    let mut listing = did(List, Index, "").listing(&[("i2", &["k3"])]);
    listing.found.push("i1".into());
    listing
}

fn then(begun: Vec<ObjectEvent>, more: &[ObjectEvent]) -> Vec<ObjectEvent> {
    [&begun, more, &[did(Delete, Active, "me")]].concat()
}

fn rejected(trace: &[ObjectEvent]) -> Option<usize> {
    accepts(trace).err().map(|rejected| rejected.at)
}

fn looked() -> ObjectEvent {
    did(List, Void, "")
}

/// All are replaced, and what is condemned is listed.
fn all() -> Vec<ObjectEvent> {
    let put = |name, packs: &[&str]| did(Put, Index, name).naming(packs);
    let more = [
        looked(),
        put("n1", &["k1", "gone", "k3"]),
        looked(),
        put("n2", &["k2", "k4"]),
        looked(),
        did(Delete, Index, "i1"),
        did(Delete, Index, "i2"),
    ];
    then(begun(&readable(), &[]), &more)
}

#[test]
fn a_rebuild_may_list_what_is_condemned() {
    let trace = all();
    for len in 0..=trace.len() {
        assert_eq!(accepts(&trace[..len]), Ok(()), "{len}");
    }
    // It may also leave what it does not have to list.
    let left = [looked(), did(Put, Index, "n").naming(&["k4"])];
    assert_eq!(accepts(&then(begun(&readable(), &[]), &left)), Ok(()));
    let mended = [
        looked(),
        did(Put, Index, "n").naming(&["k1", "k2", "k4"]),
        looked(),
        did(Delete, Index, "i1"),
    ];
    assert_eq!(accepts(&then(begun(&damaged(), &[]), &mended)), Ok(()));
    let none = did(List, Index, "");
    let anew = [looked(), did(Put, Index, "n").naming(&["k1", "k2", "k3", "k4"])];
    assert_eq!(accepts(&then(begun(&none, &[]), &anew)), Ok(()));
}

#[test]
fn what_is_condemned_is_not_listed_without_a_reason() {
    let anew = [looked(), did(Put, Index, "n").naming(&["k2", "k4"])];
    assert_eq!(rejected(&then(begun(&readable(), &[]), &anew)), Some(8));
    assert_eq!(accepts(&then(begun(&damaged(), &[]), &anew)), Ok(()));
    // Of two that are replaced, one is left out; beside a writer that may be one it put.
    let mut trace = all();
    trace[8].packs = vec!["k1".into(), "gone".into()];
    trace.remove(13);
    assert_eq!(rejected(&trace), Some(10));
    let begun = begun(&readable(), &["w"]);
    trace.splice(..begun.len(), begun);
    assert_eq!(accepts(&trace), Ok(()));
}

/// A prune that goes on could not copy it.
#[test]
fn what_is_condemned_does_not_go_off_the_index() {
    for left_out in ["k1", "gone", "k3"] {
        let mut trace = all();
        trace[8].packs.retain(|pack| pack != left_out);
        assert!(accepts(&trace).is_err(), "{left_out}");
        // Where nothing new that is condemned is listed, it is found out when it goes.
        trace[10].packs.retain(|pack| pack != "k2");
        let at = if left_out == "k3" { 13 } else { 12 };
        assert_eq!(rejected(&trace), Some(at), "{left_out}");
    }
    for (writers, left_out, is_rejected) in
        [(&[][..], "k2", true), (&[], "k4", true), (&["w"], "k2", true), (&["w"], "k4", false)]
    {
        let mut put = did(Put, Index, "n").naming(&["k1", "k2", "k4"]);
        put.packs.retain(|pack| pack != left_out);
        let more = [looked(), put, looked(), did(Delete, Index, "i1")];
        let trace = then(begun(&damaged(), writers), &more);
        assert_eq!(rejected(&trace), is_rejected.then_some(10), "{left_out} beside {writers:?}");
    }
}

#[test]
fn a_rebuild_looks_for_its_own_end_before_each_put_and_before_it_deletes() {
    // The listing of the void actors there are counts as a look.
    for step in [9, 11] {
        let mut trace = all();
        trace.remove(step);
        assert_eq!(rejected(&trace), Some(step), "{step}");
    }
    for step in [7, 9, 11] {
        let mut trace = all();
        trace[step].found.push("me".into());
        assert_eq!(rejected(&trace), Some(step + 1), "{step}");
    }
}

#[test]
fn a_rebuild_does_nothing_else() {
    for odd in [
        did(Put, Index, "late").naming(&["k4"]),
        did(Delete, Index, "of another"),
        did(Delete, Pack, "k1"),
        did(Delete, Condemned, "c"),
        did(Put, Condemned, "d").naming(&["k3"]),
        did(Put, Pack, "k5"),
        did(List, Manifest, ""),
        did(List, Index, ""),
    ] {
        let mut trace = all();
        trace.insert(13, odd.clone());
        assert_eq!(rejected(&trace), Some(13), "{odd:?}");
    }
    let mut trace = all();
    trace[8].packs.push("k9".into());
    assert_eq!(rejected(&trace), Some(8), "it is not there");
    // Who finds something condemned goes on with it, or is a rebuild; it plans nothing.
    let mut trace = all();
    trace.insert(6, did(List, Manifest, ""));
    assert_eq!(rejected(&trace), Some(6));
}
