//! A model's steps as operations on a storage: what `accepts` reads.

use super::events::{Act, ActorName, BlockTold, Kind, Note, ObjectEvent, Role};
use super::model::{DELETER, Model, Op, Step};
use super::objects::{Block, Packs, members};
use super::state::{IndexObject, PRUNES, Part, PruneAt, State, WRITERS};

pub fn name_of(actor: u8) -> ActorName {
    match usize::from(actor).checked_sub(WRITERS) {
        None => ActorName { role: Role::Writer, name: format!("w{actor}") },
        Some(prune) => ActorName { role: Role::Prune, name: format!("p{prune}") },
    }
}

fn named(letter: char, set: u16) -> Vec<String> {
    members(set).map(|number| format!("{letter}{number}")).collect()
}

fn actors(set: u8) -> Vec<ActorName> {
    members(u16::from(set)).map(name_of).collect()
}

fn note(owner: usize, writers: u8) -> Note {
    let writers = actors(writers).into_iter().map(|writer| writer.name).collect();
    Note { condemned: format!("c{owner}"), writers }
}

/// What index objects say of these packs.
fn contents(state: &State, packs: Packs) -> Vec<(String, Vec<BlockTold>)> {
    let chunk = |chunk: u8| format!("chunk {chunk}");
    let told = |(number, block): (u8, Block)| {
        let bases = block.base.map(chunk).into_iter().collect();
        BlockTold { chunks: vec![chunk(number)], bases, depth: block.depth }
    };
    let blocks = |pack: u8| state.contents[usize::from(pack)].blocks().map(told).collect();
    members(packs).map(|pack| (format!("k{pack}"), blocks(pack))).collect()
}

/// A listing of what is condemned.
fn condemned(me: &ActorName, state: &State) -> ObjectEvent {
    let there = || (0..).zip(state.condemned).filter(|(_, packs)| *packs != 0);
    let all = state.condemned.iter().fold(0, |all, packs| all | packs);
    let name = |owner: usize| format!("c{owner}");
    let noted = (0..).zip(state.noted);
    let noted = noted.filter_map(|(owner, writers)| Some((owner, writers?)));
    ObjectEvent {
        packs: named('k', all),
        found: there().map(|(owner, _)| name(owner)).collect(),
        lists: there().map(|(owner, packs)| (name(owner), named('k', packs))).collect(),
        notes: noted.map(|(owner, writers)| note(owner, writers)).collect(),
        ..ObjectEvent::new(me, Act::List, Kind::Condemned, "")
    }
}

/// The operations of one step. A listing is told of when its last part is read.
pub fn events(before: &State, step: &Step, after: &State) -> Vec<ObjectEvent> {
    if step.actor >= DELETER {
        return Vec::new();
    }
    let me = name_of(step.actor);
    let event = |act, kind, name: String| ObjectEvent::new(&me, act, kind, &name);
    let list = |kind| event(Act::List, kind, String::new());
    let naming =
        |event: ObjectEvent, packs: Packs| ObjectEvent { packs: named('k', packs), ..event };
    let found = match step.op {
        Op::PutActive => event(Act::Put, Kind::Active, me.name.clone()),
        Op::ListActive | Op::ListActiveExpired(_) => {
            ObjectEvent { actors: actors(before.active), ..list(Kind::Active) }
        }
        Op::PutVoid(actor) => event(Act::Put, Kind::Void, name_of(actor).name),
        Op::DeleteActive(actor) => {
            let deleted = event(Act::Delete, Kind::Active, name_of(actor).name);
            let prune = usize::from(step.actor).checked_sub(WRITERS);
            // What it had to note was noted by others: it has looked.
            let has_looked = prune.is_some_and(|prune| before.prunes[prune].at == PruneAt::PutNote);
            return match has_looked {
                true => vec![condemned(&me, before), deleted],
                false => vec![deleted],
            };
        }
        Op::ListCondemned => condemned(&me, before),
        Op::ListPacks(Part::First)
        | Op::ListIndex(Part::First)
        | Op::ListManifests(Part::First) => {
            return Vec::new();
        }
        Op::ListPacks(_) => {
            let prune = usize::from(step.actor).checked_sub(WRITERS);
            let listed = prune.map(|prune| after.prunes[prune].listed).unwrap_or_default();
            ObjectEvent { found: named('k', listed), ..list(Kind::Pack) }
        }
        Op::ListManifests(_) => list(Kind::Manifest),
        Op::ListIndex(part) => {
            let prune = usize::from(step.actor).checked_sub(WRITERS);
            let index = prune.map(|prune| after.prunes[prune].index).unwrap_or_default();
            let name = |there: &IndexObject| format!("i{}.{}", there.origin, there.version);
            let found = index.iter().map(|there| name(&there)).collect();
            let lists = index.iter().map(|there| (name(&there), named('k', there.packs))).collect();
            let contents = contents(before, index.packs(0));
            let event = ObjectEvent { found, lists, contents, ..list(Kind::Index) };
            // At one moment two listings agree.
            return vec![event; if part == Part::All { 2 } else { 1 }];
        }
        Op::ListVoid | Op::CheckVoid => {
            let found = actors(before.void).into_iter().map(|actor| actor.name).collect();
            ObjectEvent { found, ..list(Kind::Void) }
        }
        Op::PutPack(pack) => event(Act::Put, Kind::Pack, format!("k{pack}")),
        Op::PutIndex { origin, version, packs } => {
            let event = event(Act::Put, Kind::Index, format!("i{origin}.{version}"));
            naming(ObjectEvent { contents: contents(before, packs), ..event }, packs)
        }
        Op::PutManifest(manifest) => event(Act::Put, Kind::Manifest, format!("m{manifest}")),
        Op::PutCondemned(packs) => {
            let own = usize::from(step.actor) - WRITERS;
            naming(event(Act::Put, Kind::Condemned, format!("c{own}")), packs)
        }
        Op::PutNote(writers) => {
            let owners = |state: &State| state.prunes[usize::from(step.actor) - WRITERS].owners;
            // Another may have put the very same note.
            let noted = owners(before) & !owners(after);
            let owner = (0..PRUNES).find(|owner| noted & (1 << owner) != 0);
            let event = event(Act::Put, Kind::Condemned, "note".into());
            ObjectEvent {
                notes: owner.map(|owner| note(owner, writers)).into_iter().collect(),
                ..event
            }
        }
        Op::DeleteManifest(manifest) => event(Act::Delete, Kind::Manifest, format!("m{manifest}")),
        Op::DeleteIndex { origin, version } => {
            event(Act::Delete, Kind::Index, format!("i{origin}.{version}"))
        }
        Op::DeletePack(pack) => event(Act::Delete, Kind::Pack, format!("k{pack}")),
        Op::DeleteCondemned(owner) => event(Act::Delete, Kind::Condemned, format!("c{owner}")),
        Op::Read | Op::Crash => return Vec::new(),
    };
    vec![found]
}

/// What each actor does on one way through the model, chosen by a seed.
pub fn walk(model: &Model, seed: u64) -> Vec<Vec<ObjectEvent>> {
    let mut traces = vec![Vec::new(); usize::from(DELETER)];
    let (mut state, mut next, mut random) = (model.scenario.initial(), Vec::new(), seed);
    loop {
        model.next(&state, &mut next);
        if next.is_empty() {
            return traces;
        }
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (step, after) = next.swap_remove((random >> 33) as usize % next.len());
        if step.actor < DELETER {
            traces[usize::from(step.actor)].extend(events(&state, &step, &after));
        }
        state = after;
    }
}

/// Whether a prune got as far as deleting packs: a walk that never does shows little.
pub fn deletes(trace: &[ObjectEvent]) -> bool {
    trace.iter().any(|event| (event.act, event.kind) == (Act::Delete, Kind::Pack))
}
