//! Which packs go, and which of them are copied from before: a function of their weights and nothing else.

use std::collections::HashSet;
use std::time::SystemTime;

use crate::id::PackId;

use super::packs::{PackPlace, Packs};
use super::weigh::Weight;

/// What becomes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackFate {
    Stays,
    /// Nobody needs anything of it.
    Goes,
    /// It is mostly waste: what is needed of it is copied, then it goes.
    Emptied,
}

/// Rewritten is never more than so many times what that frees.
pub(super) const REWRITE_MAX: u64 = 3;

/// A pack as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub len: u64,
    /// Its share of blocks that are needed; what is copied if it goes.
    pub live: u64,
    pub is_needed: bool,
    /// It may not be copied from.
    pub is_fixed: bool,
    /// It may not go.
    pub is_young: bool,
    /// It is to be compacted.
    pub is_wanted: bool,
    pub leans_on: Vec<u32>,
}

/// Packs stored before a moment are emptied, whatever waste they hold, if they were not yet compacted at this level or if
/// chains through them have become much longer than they need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compaction {
    pub before: SystemTime,
    pub level: i32,
    /// Whether bases are merged into what is coded against them.
    pub merges: bool,
}

/// Packs in `fixed` are not copied from: something in them cannot be read. Those that are `wanted` are to be compacted.
pub(super) fn facts(
    packs: &Packs,
    fixed: &HashSet<PackId>,
    weights: &[Weight],
    wanted: &[bool],
) -> Vec<Facts> {
    packs
        .iter()
        .zip(weights)
        .map(|((number, pack), weight)| Facts {
            is_wanted: wanted.get(number as usize).copied().unwrap_or(false),
            len: pack.len,
            live: share(pack.len, weight),
            is_needed: !pack.live.is_empty(),
            is_fixed: pack.place != PackPlace::Here || fixed.contains(&pack.id),
            // What two index objects tell in two ways is not touched.
            is_young: pack.is_young || pack.is_disputed,
            leans_on: weight.leans_on.iter().copied().collect(),
        })
        .collect()
}

/// A pack's trailer and padding go with its blocks.
fn share(len: u64, weight: &Weight) -> u64 {
    let part = u128::from(len) * u128::from(weight.live) / u128::from(weight.sealed.max(1));
    u64::try_from(part).unwrap_or(u64::MAX).min(len)
}

/// Decides for all packs at once.
pub(super) fn choose(facts: &[Facts]) -> Vec<PackFate> {
    // Emptying a pack so that others may go is worth it only as long as it frees enough.
    let eager = Choice::new(facts).settle(true);
    match eager.is_worth_it() {
        true => eager.fates,
        false => Choice::new(facts).settle(false).fates,
    }
}

struct Choice<'f> {
    facts: &'f [Facts],
    fates: Vec<PackFate>,
    /// These were to go, but others lean on them.
    held: Vec<bool>,
}

impl<'f> Choice<'f> {
    fn new(facts: &'f [Facts]) -> Self {
        let fates = facts
            .iter()
            .map(|pack| match pack {
                pack if pack.is_young => PackFate::Stays,
                pack if !pack.is_needed => PackFate::Goes,
                pack if pack.is_fixed => PackFate::Stays,
                pack if pack.is_wanted => PackFate::Emptied,
                pack if pack.live <= REWRITE_MAX * (pack.len - pack.live) => PackFate::Emptied,
                _ => PackFate::Stays,
            })
            .collect();
        Self { facts, fates, held: vec![false; facts.len()] }
    }

    fn fate(&self, pack: u32) -> PackFate {
        self.fates.get(pack as usize).copied().unwrap_or(PackFate::Stays)
    }

    fn set(&mut self, pack: usize, fate: PackFate) {
        if let Some(there) = self.fates.get_mut(pack) {
            *there = fate;
        }
    }

    /// Until no pack that stays leans on one that goes. Each pack changes twice at most: it is emptied, or it is held.
    fn settle(mut self, eager: bool) -> Self {
        let mut todo: Vec<usize> = (0..self.facts.len()).collect();
        // Who leans on a pack has to be looked at again when it turns out to go.
        let mut leaning: Vec<Vec<usize>> = vec![Vec::new(); self.facts.len()];
        for (number, facts) in self.facts.iter().enumerate() {
            for on in &facts.leans_on {
                if let Some(there) = leaning.get_mut(*on as usize) {
                    there.push(number);
                }
            }
        }
        while let Some(number) = todo.pop() {
            let Some(facts) = self.facts.get(number) else { continue };
            if self.fate(number as u32) != PackFate::Stays {
                continue;
            }
            let going: Vec<u32> = facts
                .leans_on
                .iter()
                .copied()
                .filter(|on| self.fate(*on) != PackFate::Stays)
                .collect();
            if going.is_empty() {
                continue;
            }
            let is_held = self.held.get(number).copied().unwrap_or(true);
            if eager && facts.is_needed && !facts.is_fixed && !is_held {
                self.set(number, PackFate::Emptied);
                todo.extend(leaning.get(number).into_iter().flatten());
                continue;
            }
            for on in going {
                self.set(on as usize, PackFate::Stays);
                if let Some(held) = self.held.get_mut(on as usize) {
                    *held = true;
                }
                todo.push(on as usize);
            }
        }
        self
    }

    fn is_worth_it(&self) -> bool {
        let (mut freed, mut rewritten) = (0u64, 0u64);
        for (facts, fate) in self.facts.iter().zip(&self.fates) {
            match fate {
                PackFate::Stays => {}
                PackFate::Goes => freed += facts.len,
                // It is rewritten for another reason.
                PackFate::Emptied if facts.is_wanted => {}
                PackFate::Emptied => {
                    freed += facts.len - facts.live;
                    rewritten += facts.live;
                }
            }
        }
        rewritten <= REWRITE_MAX * freed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(len: u64, live: u64, leans_on: &[u32]) -> Facts {
        let (is_needed, leans_on) = (live > 0, leans_on.to_vec());
        Facts { len, live, is_needed, leans_on, ..Facts::default() }
    }

    #[test]
    fn what_nobody_needs_goes_and_what_is_mostly_waste_is_emptied() {
        let young = Facts { is_young: true, is_fixed: true, ..pack(100, 0, &[]) };
        let disputed = Facts { is_fixed: true, ..pack(100, 1, &[]) };
        let packs = [
            pack(100, 0, &[]),
            pack(100, 75, &[]),
            pack(100, 76, &[]),
            pack(100, 100, &[]),
            young,
            disputed,
        ];
        let fates = [
            PackFate::Goes,
            PackFate::Emptied,
            PackFate::Stays,
            PackFate::Stays,
            PackFate::Stays,
            PackFate::Stays,
        ];
        assert_eq!(choose(&packs), fates);
    }

    #[test]
    fn one_that_stays_and_leans_on_one_that_goes_is_emptied_if_that_is_worth_it() {
        // 90 are rewritten, 110 freed.
        assert_eq!(
            choose(&[pack(100, 0, &[]), pack(100, 90, &[0])]),
            [PackFate::Goes, PackFate::Emptied]
        );
        // 900 would be rewritten, 200 freed.
        assert_eq!(
            choose(&[pack(100, 0, &[]), pack(1000, 900, &[0])]),
            [PackFate::Stays, PackFate::Stays]
        );
    }

    #[test]
    fn what_is_held_holds_what_it_leans_on() {
        let young = Facts { is_young: true, is_fixed: true, ..pack(10, 0, &[0]) };
        let packs = [pack(100, 0, &[2]), young, pack(100, 0, &[3]), pack(100, 50, &[])];
        assert_eq!(choose(&packs), [PackFate::Stays; 4]);
    }

    prop_compose! {
        fn facts(count: u32)(
            len in 1u64..1000,
            live in 0u64..1000,
            young in 0u8..8,
            leans_on in prop::collection::vec(0..count, 0..3),
        ) -> Facts {
            let is_young = young == 0;
            Facts { is_young, is_fixed: is_young, ..pack(len, live.min(len), &leans_on) }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_stays_leans_on_what_goes(packs in prop::collection::vec(facts(12), 12)) {
            let fates = choose(&packs);
            let (mut freed, mut rewritten) = (0, 0);
            for (facts, fate) in packs.iter().zip(&fates) {
                match fate {
                    PackFate::Stays => {
                        let stays = |on: &u32| fates[*on as usize] == PackFate::Stays;
                        prop_assert!(facts.leans_on.iter().all(stays));
                    }
                    PackFate::Goes => {
                        prop_assert!(!facts.is_needed && !facts.is_young);
                        freed += facts.len;
                    }
                    PackFate::Emptied => {
                        prop_assert!(facts.is_needed && !facts.is_fixed);
                        freed += facts.len - facts.live;
                        rewritten += facts.live;
                    }
                }
            }
            prop_assert!(rewritten <= 3 * freed);
        }

        #[test]
        fn without_ties_every_pack_is_judged_by_itself(packs in prop::collection::vec(facts(1), 12)) {
            let alone: Vec<Facts> =
                packs.into_iter().map(|pack| Facts { leans_on: Vec::new(), ..pack }).collect();
            let one_by_one: Vec<PackFate> =
                alone.iter().map(|pack| choose(std::slice::from_ref(pack))[0]).collect();
            prop_assert_eq!(choose(&alone), one_by_one);
        }
    }
}
