//! The protocol broken in one place each: the model has to find out.

use super::scenario::{Rules, Scenario};
use super::scenarios::{COPIES, DELTAS, HITS, REPACK};

pub struct Variant {
    pub name: &'static str,
    pub breaks: fn(&mut Rules),
    /// Where it is caught.
    pub scenario: Scenario,
    /// In no time.
    pub is_quick: bool,
}

const fn quick(name: &'static str, scenario: Scenario, breaks: fn(&mut Rules)) -> Variant {
    Variant { name, breaks, scenario, is_quick: true }
}

const ONE_EACH: Scenario = HITS.with(1, 1);

pub const VARIANTS: &[Variant] = &[
    quick("writer without 2", ONE_EACH, |rules| rules.writer_lists_condemned = false),
    quick("writer without 6", ONE_EACH, |rules| rules.writer_checks_void = false),
    quick("prune without 5", ONE_EACH, |rules| rules.prune_waits_for_writers = false),
    quick("prune without 6", ONE_EACH, |rules| rules.prune_relists = false),
    quick("neither closed at 4 nor at 6", ONE_EACH, |rules| {
        (rules.closure_at_4, rules.closure_at_6) = (false, false);
    }),
    quick("not closed at 4: copied twice", ONE_EACH, |rules| rules.closure_at_4 = false),
    quick("live without its bases", ONE_EACH, |rules| rules.bases_are_live = false),
    quick("c's packs deleted before copies are indexed", ONE_EACH, |rules| {
        rules.copies_indexed_before_deleting = false;
    }),
    quick("the deeper copy kept", COPIES.with(1, 1), |rules| rules.shallowest_kept = false),
];

pub const REDUNDANT: &[Variant] = &[];
const _: [Scenario; 2] = [DELTAS, REPACK];
