//! `accepts`, on compactions written by hand: what they code anew, and what goes.

use super::accepts::accepts;
use super::compactions;
use super::events::{Act, ActorName, Kind, ObjectEvent, Rejection, Role};
use super::scenario::Rules;
use super::traces::is_rejected;

use Act::{Delete, List, Put};
use Kind::{Active, Condemned, Index, Manifest, Pack, Void};

/// A pack of one block: its chunk, what it is coded against, and how deep.
type Told<'t> = (&'t str, &'t str, &'t [&'t str], u8);

/// X is coded against M, M against A, Y against X; each in a pack of its own.
const CHAIN: [Told<'static>; 4] =
    [("ka", "A", &[], 0), ("km", "M", &["A"], 1), ("kx", "X", &["M"], 2), ("ky", "Y", &["X"], 3)];
/// Another that is coded against M.
const BESIDE: Told<'static> = ("kz", "Z", &["M"], 2);
const X_ON_A: Told<'static> = ("k1", "X", &["A"], 1);

fn did(act: Act, kind: Kind, name: &str) -> ObjectEvent {
    ObjectEvent::new(&ActorName { role: Role::Prune, name: "me".into() }, act, kind, name)
}

fn telling(event: ObjectEvent, packs: &[Told<'_>]) -> ObjectEvent {
    let told = |event: ObjectEvent, (pack, chunk, bases, depth): &Told<'_>| {
        event.telling(pack, chunk, (bases, *depth))
    };
    packs.iter().fold(event, told)
}

fn names<'t>(packs: &[Told<'t>]) -> Vec<&'t str> {
    packs.iter().map(|(pack, ..)| *pack).collect()
}

/// What is there, listed: the index twice, packs, manifests.
fn looked(packs: &[Told<'_>]) -> Vec<ObjectEvent> {
    let names = names(packs);
    let index = telling(did(List, Index, "").listing(&[("i", &names)]), packs);
    let packs = did(List, Pack, "").finding(&names);
    vec![index.clone(), index, packs, did(List, Manifest, ""), did(List, Void, "")]
}

/// Packs and the index object that tells of them.
fn copied(index: &str, packs: &[Told<'_>]) -> Vec<ObjectEvent> {
    let names = names(packs);
    let mut events: Vec<_> = names.iter().map(|pack| did(Put, Pack, pack)).collect();
    if !packs.is_empty() {
        events.push(telling(did(Put, Index, index).naming(&names), packs));
    }
    events.push(did(List, Void, ""));
    events
}

/// A compaction: finds these packs, copies, condemns.
fn planned(there: &[Told<'_>], copies: &[Told<'_>], condemned: &[&str]) -> Vec<ObjectEvent> {
    let begun = vec![did(Put, Active, "me"), did(List, Active, ""), did(List, Condemned, "")];
    let condemns = did(Put, Condemned, "c").naming(condemned);
    [begun, looked(there), copied("i1", copies), vec![condemns]].concat()
}

/// And then: this is there by now, that is rescued, and what is condemned goes.
fn ended(
    mut trace: Vec<ObjectEvent>,
    there: &[Told<'_>],
    rescued: &[Told<'_>],
) -> Vec<ObjectEvent> {
    let Some(condemns) = trace.last().cloned() else { return trace };
    trace.extend([did(List, Active, ""), did(List, Void, ""), did(List, Condemned, "")]);
    trace.extend(looked(there).into_iter().take(4));
    trace.extend(copied("i2", rescued));
    trace.extend(condemns.packs.iter().map(|pack| did(Delete, Pack, pack)));
    trace.extend([did(Delete, Condemned, "c"), did(Delete, Active, "me")]);
    trace
}

fn refused(trace: &[ObjectEvent]) -> (Act, Kind, &'static str) {
    let Rejection { event, why, .. } = accepts(trace).unwrap_err();
    (event.act, event.kind, why)
}

const BASES: &str = "a copy's bases are kept, or copied as well";
const DEPTH: &str = "a copy is of something that was there, and no deeper than that was";
const STAYS: &str = "what stays is coded against something that goes";

#[test]
fn a_compaction_that_re_bases_is_accepted() {
    let gone = ["km", "kx"];
    // Plain, as shallow as can be, and no deeper than it was.
    for copy in [("k1", "X", &[][..], 0), X_ON_A, ("k1", "X", &["A"], 2)] {
        let trace = planned(&CHAIN, &[copy], &gone);
        let there = [&CHAIN[..], &[copy]].concat();
        assert_eq!(accepts(&ended(trace, &there, &[])), Ok(()), "{copy:?}");
    }
    // What it is coded against may be copied as well, and be coded anew itself.
    for depth in [0, 1] {
        let bases: &[&str] = if depth == 0 { &[] } else { &["A"] };
        let copies = [("k1", "Y", &["M"][..], depth + 1), ("k2", "M", bases, depth)];
        let trace = planned(&CHAIN, &copies, &["km", "kx", "ky"]);
        assert_eq!(accepts(&trace), Ok(()), "{depth}");
    }
    // As it was, with what it was coded against.
    let copies = [("k1", "X", &["M"][..], 2), ("k2", "M", &["A"], 1)];
    assert_eq!(accepts(&planned(&CHAIN, &copies, &gone)), Ok(()));
}

#[test]
fn a_copy_that_lies_deeper_is_found_out() {
    for depth in [3, 4] {
        let trace = planned(&CHAIN, &[("k1", "X", &["A"], depth)], &["km", "kx"]);
        assert_eq!(refused(&trace), (Put, Condemned, DEPTH), "{depth}");
    }
    let trace = planned(&CHAIN, &[X_ON_A, ("k2", "another", &[], 0)], &["km", "kx"]);
    assert_eq!(refused(&trace), (Put, Condemned, DEPTH), "it was never there");
}

#[test]
fn a_copy_whose_base_goes_is_found_out() {
    let refused_with =
        |copies: &[Told<'_>], condemned: &[&str]| refused(&planned(&CHAIN, copies, condemned));
    let bases = (Put, Condemned, BASES);
    assert_eq!(refused_with(&[("k1", "X", &["M"], 2)], &["km", "kx"]), bases);
    assert_eq!(refused_with(&[X_ON_A], &["ka", "km", "kx"]), bases);
    assert_eq!(refused_with(&[("k1", "X", &["A", "M"], 2)], &["km", "kx"]), bases);
    // Its base is there, but no shallower than the copy.
    assert_eq!(refused_with(&[("k1", "Y", &["X"], 2)], &["ky"]), bases);
    assert_eq!(refused_with(&[("k1", "M", &["A"], 0)], &["km"]), bases);
    let with_a = [X_ON_A, ("k2", "A", &[], 0)];
    assert_eq!(accepts(&planned(&CHAIN, &with_a, &["ka", "km", "kx"])), Ok(()));
}

#[test]
fn a_chunk_that_goes_while_something_is_coded_against_it_is_found_out() {
    let there = [&CHAIN[..], &[BESIDE]].concat();
    let stays = planned(&there, &[X_ON_A], &["km", "kx"]);
    assert_eq!(refused(&stays), (Put, Condemned, STAYS));
    let as_it_was = [X_ON_A, ("k2", "Z", &["M"], 2)];
    let gone = ["km", "kx", "kz"];
    assert_eq!(refused(&planned(&there, &as_it_was, &gone)), (Put, Condemned, BASES));
    let anew = [X_ON_A, ("k2", "Z", &["A"], 1)];
    assert_eq!(accepts(&planned(&there, &anew, &gone)), Ok(()));
    // M may stay, as waste.
    assert_eq!(accepts(&planned(&there, &[X_ON_A], &["kx"])), Ok(()));
    // X goes, and the one below it had no other.
    assert_eq!(refused(&planned(&CHAIN, &[], &["km", "kx"])), (Put, Condemned, STAYS));
    // What could not be decoded before need not be afterwards.
    let broken = [&there[..], &[("kb", "B", &["nowhere", "M"], 3)]].concat();
    assert_eq!(accepts(&planned(&broken, &anew, &gone)), Ok(()));
}

#[test]
fn what_a_writer_coded_against_it_meanwhile_keeps_it() {
    let trace = || planned(&CHAIN, &[X_ON_A], &["km", "kx"]);
    let there = [&CHAIN[..], &[X_ON_A, ("kw", "W", &["M"], 2)]].concat();
    assert_eq!(refused(&ended(trace(), &there, &[])), (Delete, Pack, STAYS));
    let rescued = [("k2", "M", &["A"][..], 1)];
    assert_eq!(accepts(&ended(trace(), &there, &rescued)), Ok(()));
    let deeper = [("k2", "M", &["X"][..], 2)];
    assert_eq!(refused(&ended(trace(), &there, &deeper)), (Delete, Pack, DEPTH));
    // The copy of step 3 serves what was coded against X.
    let below = [&CHAIN[..], &[X_ON_A, ("kw", "W", &["X"], 3)]].concat();
    assert_eq!(accepts(&ended(trace(), &below, &[])), Ok(()));
    let unlisted = [&CHAIN[..], &[("kw", "W", &["X"], 3)]].concat();
    assert_eq!(refused(&ended(trace(), &unlisted, &[])), (Delete, Pack, STAYS));
}

/// X lies on A by now, as an earlier compaction left it, and A is condemned: by one who knew better, or knew nothing of X.
#[test]
fn what_was_coded_anew_keeps_its_base_when_another_condemned_that() {
    let resumed = |rescued: &[Told<'_>]| {
        let found = did(List, Condemned, "").listing(&[("c", &["ka"])]);
        let begun = [did(Put, Active, "me"), did(List, Active, ""), found.clone()];
        let trace = [&begun[..], &[did(List, Active, ""), did(List, Void, ""), found]].concat();
        let looked = looked(&[CHAIN[0], X_ON_A]).into_iter().take(4);
        let ends = [did(Delete, Pack, "ka"), did(Delete, Condemned, "c")];
        trace.into_iter().chain(looked).chain(copied("i2", rescued)).chain(ends).collect::<Vec<_>>()
    };
    assert_eq!(refused(&resumed(&[])), (Delete, Pack, STAYS));
    assert_eq!(accepts(&resumed(&[("k2", "A", &[], 0)])), Ok(()));
}

#[test]
fn traces_of_models_that_re_base_wrongly_are_not_accepted() {
    type Break = fn(&mut Rules);
    let broken: [(&str, Break); 5] = [
        ("collapsed under what stays", |rules| rules.dependents_coded_anew = false),
        ("deeper than it was", |rules| rules.never_deeper = false),
        ("new bases not kept", |rules| rules.new_bases_kept = false),
        ("M taken for kept at 4", |rules| rules.collapsed_before_4 = false),
        ("indexed after it was condemned", |rules| rules.copies_indexed_before_4 = false),
    ];
    for (name, break_it) in broken {
        assert!(is_rejected(compactions::ALL.into_iter(), break_it), "{name}");
    }
}
