//! A writer's steps.

use super::model::{Model, Next, Op, Step};
use super::objects::{ANY_DEPTH, Block, DEPTH_MAX, Pack, Packs, decodes, members, shallowest};
use super::state::{EMPTY_INDEX, IndexObject, Part, State, Writer, WriterAt};

/// The numbers of its packs.
const FIRST_PACK: usize = 4;
/// The origins of its index objects.
const FIRST_ORIGIN: u8 = 4;

impl Model {
    pub(super) fn writer(&self, state: &State, number: usize, next: &mut Next) {
        let writer = state.writers[number];
        let (actor, bit) = (number as u8, 1u8 << number);
        let mut go = |op, change: &dyn Fn(&mut State)| {
            let mut after = *state;
            change(&mut after);
            next.push((Step { actor, op }, after));
        };
        let at = |after: &mut State, at| after.writers[number].at = at;
        match writer.at {
            WriterAt::Start => go(Op::PutActive, &|after| {
                after.active |= bit;
                after.older[number] = after.packs;
                at(
                    after,
                    match self.rules.writer_lists_condemned {
                        true => WriterAt::ListCondemned,
                        false => WriterAt::ListPacks(self.first_part()),
                    },
                );
            }),
            WriterAt::ListCondemned => go(Op::ListCondemned, &|after| {
                let all = after.condemned.iter().fold(0, |all, packs| all | packs);
                (after.writers[number].condemned, after.writers[number].any_condemned) =
                    (all, all != 0);
                at(after, WriterAt::ListPacks(self.first_part()));
            }),
            WriterAt::ListPacks(part) => go(Op::ListPacks(part), &|after| {
                after.writers[number].listed |= after.packs & packs_in(part);
                at(
                    after,
                    match part {
                        Part::First => WriterAt::ListPacks(Part::Second),
                        _ if self.rules.void_listed_last => WriterAt::ListIndex(self.first_part()),
                        _ => WriterAt::ListVoid,
                    },
                );
            }),
            WriterAt::ListIndex(part) => go(Op::ListIndex(part), &|after| {
                let there = after.index;
                after.writers[number].index.see(&there, part);
                match part {
                    Part::First => at(after, WriterAt::ListIndex(Part::Second)),
                    _ if self.rules.void_listed_last => at(after, WriterAt::ListVoid),
                    _ => self.looked(after, number),
                }
            }),
            WriterAt::ListVoid => go(Op::ListVoid, &|after| {
                after.writers[number].void = after.void;
                match self.rules.void_listed_last {
                    true => self.looked(after, number),
                    false => at(after, WriterAt::ListIndex(self.first_part())),
                }
            }),
            WriterAt::ListManifests => go(Op::ListManifests(Part::All), &|after| {
                let hidden =
                    if self.rules.void_gives_nothing { after.writers[number].void } else { 0 };
                let parents = after.manifests & !(hidden << 1);
                self.choose(after, number, parents);
            }),
            WriterAt::PutPack => go(Op::PutPack(slot(number, writer.put)), &|after| {
                let pack = usize::from(slot(number, writer.put));
                after.contents[pack] = writer.new[usize::from(writer.put)];
                after.packs |= 1 << pack;
                at(after, WriterAt::PutIndex);
            }),
            WriterAt::PutIndex => self.put_writers_index(state, number, next),
            WriterAt::PutManifest => go(Op::PutManifest(actor + 1), &|after| {
                after.manifests |= bit << 1;
                match self.rules.writer_checks_void {
                    true => at(after, WriterAt::CheckVoid),
                    false => report(after, number),
                }
            }),
            WriterAt::CheckVoid => go(Op::CheckVoid, &|after| match after.void & bit {
                0 => report(after, number),
                _ => at(after, WriterAt::DeleteManifest),
            }),
            WriterAt::DeleteManifest => go(Op::DeleteManifest(actor + 1), &|after| {
                after.manifests &= !(bit << 1);
                at(after, WriterAt::Ended);
            }),
            WriterAt::Retire => go(Op::DeleteActive(actor), &|after| {
                after.active &= !bit;
                at(after, WriterAt::Ended);
            }),
            WriterAt::Ended | WriterAt::Crashed => {}
        }
        if self.is_running(state, actor) && state.crashes_left > 0 {
            let mut after = *state;
            after.crashes_left -= 1;
            after.writers[number] = Writer { at: WriterAt::Crashed, ..Writer::NEW };
            next.push((Step { actor, op: Op::Crash }, after));
            // Or gives up: what it put stays, and is not void.
            if matches!(writer.at, WriterAt::PutPack | WriterAt::PutIndex | WriterAt::PutManifest) {
                after.active &= !bit;
                after.writers[number] = Writer { at: WriterAt::Ended, ..Writer::NEW };
                next.push((Step { actor, op: Op::DeleteActive(actor) }, after));
            }
        }
    }

    fn put_writers_index(&self, state: &State, number: usize, next: &mut Next) {
        let writer = state.writers[number];
        let object = IndexObject {
            origin: FIRST_ORIGIN + 2 * number as u8 + writer.put,
            version: 0,
            writer: number as u8,
            packs: 1 << slot(number, writer.put),
        };
        let mut after = *state;
        after.index.put(object);
        let me = &mut after.writers[number];
        me.put += 1;
        let more = me.new.get(usize::from(me.put)).is_some_and(|pack| !pack.is_empty());
        *me = match more {
            true => Writer { at: WriterAt::PutPack, ..*me },
            false => Writer { at: WriterAt::PutManifest, ..Writer::NEW },
        };
        let IndexObject { origin, version, packs, .. } = object;
        let op = Op::PutIndex { origin, version, packs };
        next.push((Step { actor: number as u8, op }, after));
    }

    /// Step 3 is done but for the parent.
    fn looked(&self, after: &mut State, number: usize) {
        match self.scenario.writers[number].parent {
            true => after.writers[number].at = WriterAt::ListManifests,
            false => self.choose(after, number, 0),
        }
    }

    /// Step 4: what is hit, what is new, and against what it is coded.
    fn choose(&self, after: &mut State, number: usize, parents: u8) {
        let source = self.scenario.writers[number];
        let me = after.writers[number];
        let void = if self.rules.void_gives_nothing { me.void } else { 0 };
        let usable = me.listed & !me.condemned & me.index.packs(void);
        let counts = |chunk: u8, from: Packs| match self.rules.hits_closed_over_bases {
            true => shallowest(&after.contents, chunk, ANY_DEPTH, from),
            false => shallowest_by_pack(after, chunk, from),
        };
        let all = !me.any_condemned && usable == me.index.packs(0);
        let is_whole = all || !self.rules.parent_only_if_whole;
        let inherited = if is_whole { self.scenario.needed_by(parents) } else { 0 };
        let mut packs = [Pack::EMPTY; 2];
        let mut put = 0;
        let wanted = source.chunks & !inherited;
        for chunk in members(u16::from(wanted)).filter(|chunk| counts(*chunk, usable).is_none()) {
            let base = source.bases[usize::from(chunk)];
            // Its own chunks, put before, are as good as those it found.
            let own = |base: u8| packs.iter().find_map(|pack: &Pack| pack.get(base));
            let found = base.and_then(|base| {
                // Whoever codes against a chunk has read it.
                let there = after.packs & me.index.packs(0);
                let found = counts(base, usable).map(|(_, block)| block);
                let read = found.filter(|_| decodes(&after.contents, base, ANY_DEPTH, there));
                Some((base, own(base).or(read)?.depth + 1))
            });
            let block = match found {
                Some((base, depth)) if depth <= DEPTH_MAX => Block::delta(base, depth),
                _ => Block::PLAIN,
            };
            packs[put].put(chunk, block);
            put = usize::from(source.two_packs);
        }
        let at = if packs[0].is_empty() { WriterAt::PutManifest } else { WriterAt::PutPack };
        after.writers[number] = Writer { at, new: packs, index: EMPTY_INDEX, ..Writer::NEW };
    }
}

/// As the protocol had it at first: any copy in a pack that counts.
fn shallowest_by_pack(state: &State, chunk: u8, from: Packs) -> Option<(u8, Block)> {
    let copies = members(from)
        .filter_map(|pack| Some((pack, state.contents[usize::from(pack)].get(chunk)?)));
    copies.min_by_key(|(_, block)| block.depth)
}

fn report(after: &mut State, number: usize) {
    after.done |= 1 << number;
    after.writers[number] = Writer { at: WriterAt::Retire, ..Writer::NEW };
}

fn slot(writer: usize, put: u8) -> u8 {
    (FIRST_PACK + 2 * writer) as u8 + put
}

/// Which half of a listing shows a pack: as with index objects, those that replace others come first.
pub(super) fn packs_in(part: Part) -> Packs {
    const NEW: Packs = !0 << FIRST_PACK;
    match part {
        Part::All => !0,
        Part::First => NEW,
        Part::Second => !NEW,
    }
}
