//! One step of anybody: what may happen next in a state.

use super::scenario::{Rules, Scenario};
use super::state::{
    PRUNES, Part, PruneAt, ReaderAt, SECOND, State, WRITERS, WriterAt, prune_actor,
};

/// A step: who did what. All but `Crash` and `Reported` is one operation on the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub actor: u8,
    pub op: Op,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    PutActive,
    ListActive,
    /// And the beats: these are taken for dead.
    ListActiveExpired(u8),
    PutVoid(u8),
    DeleteActive(u8),
    ListCondemned,
    ListPacks(Part),
    ListIndex(Part),
    ListManifests(Part),
    ListVoid,
    /// Whether void/<self> is there.
    CheckVoid,
    PutPack(u8),
    PutIndex {
        origin: u8,
        version: u8,
        packs: u16,
    },
    PutManifest(u8),
    PutCondemned(u16),
    PutNote(u8),
    DeleteManifest(u8),
    DeleteIndex {
        origin: u8,
        version: u8,
    },
    DeletePack(u8),
    DeleteCondemned(u8),
    Read,
    Crash,
}

pub const DELETER: u8 = 6;
pub const READER: u8 = 7;

/// A scenario under certain rules.
#[derive(Clone, Copy)]
pub struct Model {
    pub scenario: Scenario,
    pub rules: Rules,
}

/// What may happen next, by everybody.
pub type Next = Vec<(Step, State)>;

impl Model {
    pub fn next(&self, state: &State, next: &mut Next) {
        next.clear();
        for writer in 0..self.scenario.writers.len().min(WRITERS) {
            self.writer(state, writer, next);
        }
        for prune in 0..self.scenario.prunes.min(PRUNES - 1) {
            // They are alike: the one that begins first may as well be called the first.
            let is_next = prune == 0 || state.prunes[prune - 1].at != PruneAt::Start;
            if is_next || self.is_rebuild(prune - 1) {
                self.prune(state, prune, next);
            }
        }
        if self.scenario.reader {
            self.reader(state, next);
        }
        if state.deletes_left > 0 {
            let committed = super::properties::committed(state);
            for manifest in super::objects::members(u16::from(committed)) {
                let mut after = *state;
                after.deletes_left -= 1;
                after.manifests &= !(1 << manifest);
                next.push((Step { actor: DELETER, op: Op::DeleteManifest(manifest) }, after));
            }
        }
    }

    /// A listing is one step, or two.
    pub(super) fn first_part(&self) -> Part {
        if self.scenario.two_parts { Part::First } else { Part::All }
    }

    /// Whether an actor is at work, as far as it knows itself.
    pub fn is_running(&self, state: &State, actor: u8) -> bool {
        match usize::from(actor).checked_sub(WRITERS) {
            None => !matches!(
                state.writers[usize::from(actor)].at,
                WriterAt::Start | WriterAt::Ended | WriterAt::Crashed
            ),
            Some(prune) => !matches!(
                state.prunes[prune].at,
                PruneAt::Start | PruneAt::Ended | PruneAt::Crashed
            ),
        }
    }

    /// Nobody will do anything any more.
    pub fn is_quiet(&self, state: &State) -> bool {
        (0..WRITERS + PRUNES - 1).all(|actor| !self.is_running(state, actor as u8))
    }

    /// Packs that are there and that some index object lists.
    pub fn located(state: &State) -> u16 {
        state.packs & state.index.packs(0)
    }

    fn reader(&self, state: &State, next: &mut Next) {
        let reader = &state.reader;
        let mut go = |op, change: &dyn Fn(&mut State)| {
            let mut after = *state;
            change(&mut after);
            next.push((Step { actor: READER, op }, after));
        };
        match reader.at {
            ReaderAt::Start => {
                for manifest in super::objects::members(u16::from(state.manifests)) {
                    let writer = manifest.checked_sub(1);
                    let is_done = |writer: u8| state.done & !state.void & (1u8 << writer) != 0;
                    if manifest == SECOND || writer.is_none_or(is_done) {
                        go(Op::ListManifests(Part::All), &|after| {
                            after.reader.manifest = manifest;
                            after.reader.at = ReaderAt::ListIndex(self.first_part());
                        });
                    }
                }
            }
            ReaderAt::ListIndex(part) => go(Op::ListIndex(part), &|after| {
                let there = after.index;
                after.reader.index.see(&there, part);
                after.reader.at = match part {
                    Part::First => ReaderAt::ListIndex(Part::Second),
                    _ => ReaderAt::Read,
                };
            }),
            ReaderAt::Read => go(Op::Read, &|after| {
                let from = after.packs & after.reader.index.packs(0);
                let reads = |chunk| {
                    super::objects::decodes(&after.contents, chunk, super::objects::ANY_DEPTH, from)
                };
                let chunks = self.scenario.chunks_of(after.reader.manifest);
                let is_whole = super::objects::members(u16::from(chunks)).all(reads);
                let is_there = after.manifests & (1 << after.reader.manifest) != 0;
                let reader = &mut after.reader;
                let settled = match self.rules.readers_refresh_until_settled {
                    true => reader.refreshes > 0 && reader.before == reader.index,
                    false => reader.refreshes > 0,
                };
                if is_whole || !is_there {
                    *reader =
                        super::state::Reader { at: ReaderAt::Ended, ..super::state::Reader::NEW };
                } else if settled {
                    reader.at = ReaderAt::Failed;
                } else {
                    (reader.before, reader.index) = (reader.index, super::state::EMPTY_INDEX);
                    (reader.refreshes, reader.at) = (1, ReaderAt::ListIndex(self.first_part()));
                }
            }),
            ReaderAt::Failed | ReaderAt::Ended => {}
        }
    }
}

/// The name of an actor in a trace.
pub fn actor_name(actor: u8) -> String {
    match actor {
        DELETER => "delete".into(),
        READER => "reader".into(),
        writer if usize::from(writer) < WRITERS => format!("writer {writer}"),
        prune => format!("prune {}", usize::from(prune) - WRITERS),
    }
}

const _: () = assert!(prune_actor(PRUNES - 1) < DELETER);
