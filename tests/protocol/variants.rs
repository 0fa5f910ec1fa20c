//! The protocol broken in one place each: the model has to find out.

use super::properties::How;
use super::scenario::{Rules, Scenario};
use super::scenarios::{COPIES, DELTAS, HITS, MOVED, PARENTS, TWICE, WANTED_AGAIN};

pub struct Variant {
    pub name: &'static str,
    pub breaks: fn(&mut Rules),
    /// Where it is caught.
    pub scenario: Scenario,
    /// What breaks there.
    pub how: How,
    /// Whether that is quick enough for every test run.
    pub is_quick: bool,
}

const fn quick(name: &'static str, scenario: Scenario, breaks: fn(&mut Rules)) -> Variant {
    Variant { name, breaks, scenario, how: How::Lost, is_quick: true }
}

const fn slow(name: &'static str, scenario: Scenario, breaks: fn(&mut Rules)) -> Variant {
    Variant { name, breaks, scenario, how: How::Lost, is_quick: false }
}

impl Variant {
    const fn by(self, how: How) -> Self {
        Self { how, ..self }
    }
}

const ONE_EACH: Scenario = HITS.with(1, 1);

/// What [`Rules::LETTER`] cannot do without.
pub const VARIANTS: &[Variant] = &[
    quick("writer without 2", ONE_EACH, |rules| rules.writer_lists_condemned = false),
    quick("writer without 6", ONE_EACH, |rules| rules.writer_checks_void = false),
    quick("prune without 5", ONE_EACH, |rules| rules.prune_waits_for_writers = false),
    quick("prune without 6", ONE_EACH, |rules| rules.prune_relists = false),
    quick("not closed at 4, nor at 6", ONE_EACH, |rules| {
        (rules.closure_at_4, rules.closure_at_6) = (false, false);
    }),
    quick("not closed at 4 (copied twice)", ONE_EACH, |rules| rules.closure_at_4 = false)
        .by(How::Restless),
    slow("not closed at 6", DELTAS.with(2, 1).with_garbage_only().without_expiry(), |rules| {
        rules.closure_at_6 = false;
    }),
    quick("live chunks without their bases", ONE_EACH, |rules| rules.bases_are_live = false),
    quick("packs deleted before copies are indexed", ONE_EACH, |rules| {
        rules.copies_indexed_before_deleting = false;
    }),
    quick("void index objects trusted", DELTAS.with(2, 1).with_garbage_only().calm(), |rules| {
        rules.void_gives_nothing = false;
    }),
    slow("void snapshots as parents", PARENTS.with(2, 1).with_garbage_only().calm(), |rules| {
        (rules.void_gives_nothing, rules.hits_closed_over_bases) = (false, true);
    }),
    slow("void listed before the index", DELTAS.with_garbage_only().calm(), |rules| {
        rules.void_listed_last = false;
    }),
    slow("what is needed is spared", WANTED_AGAIN, |rules| {
        rules.condemned_is_irrevocable = false;
    }),
    quick("the deeper copy kept", COPIES.with(1, 1), |rules| rules.shallowest_kept = false),
    quick("one of two prunes withdraws", TWICE.with(0, 2).calm(), |rules| {
        rules.both_prunes_withdraw = false;
    }),
    quick("void prunes go on", TWICE.with(0, 2).calm(), |rules| rules.prune_checks_void = false),
    quick(
        "prune lists the index once",
        TWICE.with(0, 3).calm().in_two_parts().two_expiries(),
        |rules| {
            rules.settled_listings = false;
        },
    ),
    quick(
        "entries of packs that are gone stay",
        HITS.with(1, 2).with_garbage_only().calm(),
        |rules| {
            rules.stale_entries_go = false;
        },
    )
    .by(How::Restless),
    slow("readers refresh once", MOVED, |rules| rules.readers_refresh_until_settled = false)
        .by(How::ReaderFailed),
];

/// What is there twice over: each alone could go, and what takes its place is named.
pub const REDUNDANT: &[Variant] = &[
    slow(
        "void prunes go on, where what others condemned counts as gone",
        TWICE.with(0, 2).in_two_parts().two_expiries(),
        |rules| rules.prune_checks_void = false,
    ),
    slow(
        "one of two prunes withdraws, where what others condemned counts as gone",
        TWICE.with(0, 2).in_two_parts().two_expiries(),
        |rules| rules.both_prunes_withdraw = false,
    ),
    slow("void index objects trusted, hits closed", DELTAS.with(2, 1), |rules| {
        rules.void_gives_nothing = false;
    }),
    slow("not closed at 6, hits closed", DELTAS.with(2, 1), |rules| rules.closure_at_6 = false),
    slow("packs condemned however new they are", HITS.with(1, 2), |rules| {
        rules.young_packs_stay = false;
    }),
];
