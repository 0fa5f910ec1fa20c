//! The protocol broken in one place each: the model has to find out.

use super::compactions::{REBASE, REBASE_ALONE, REBASE_BELOW, REBASE_LONG, REBASE_PLAIN};
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
    quick("not closed at 4", ONE_EACH, |rules| rules.closure_at_4 = false).by(How::Restless),
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

const ALONE: usize = 0;

/// Re-basing broken. What one net misses the other holds, so that most are found out by the work that makes, and lose
/// something only without the other.
pub const REBASING: &[Variant] = &[
    quick("(a) collapsed under what is not coded anew", REBASE_PLAIN.with(ALONE, 1), |rules| {
        rules.dependents_coded_anew = false;
    })
    .by(How::Restless),
    quick("(a), and without 6", REBASE_PLAIN.with(ALONE, 1), |rules| {
        (rules.dependents_coded_anew, rules.prune_relists) = (false, false);
    }),
    quick("(b) X' indexed after M is deleted", REBASE.with(ALONE, 1), |rules| {
        (rules.copies_indexed_before_4, rules.copies_indexed_before_7) = (false, false);
    }),
    quick("(c) X' deeper than X", REBASE_BELOW.with(ALONE, 1), |rules| rules.never_deeper = false)
        .by(How::Restless),
    quick("(c), and without 6", REBASE_BELOW.with(ALONE, 1), |rules| {
        (rules.never_deeper, rules.prune_relists) = (false, false);
    }),
    quick("(d) X' against what goes", REBASE_ALONE.with(ALONE, 1), |rules| {
        rules.new_bases_kept = false;
    })
    .by(How::Restless),
    quick("(d), and without 6", REBASE_ALONE.with(ALONE, 1), |rules| {
        (rules.new_bases_kept, rules.prune_relists) = (false, false);
    }),
    quick("(d), and (e)", REBASE_ALONE.with(ALONE, 1), |rules| {
        (rules.new_bases_kept, rules.copies_closed_at_6) = (false, false);
    }),
    quick("(e) not closed over X' at 6", REBASE_LONG.with(ALONE, 2), |rules| {
        rules.copies_closed_at_6 = false;
    }),
    quick("(f) M taken for kept at 4", REBASE_PLAIN.with(ALONE, 1), |rules| {
        rules.collapsed_before_4 = false;
    })
    .by(How::Restless),
    quick("(f), and not closed at 6", REBASE_PLAIN.with(1, 1), |rules| {
        (rules.collapsed_before_4, rules.closure_at_6) = (false, false);
    }),
];

/// Each of these alone loses nothing there, nor makes work: with re-basing broken it does.
pub const NOT_BY_THEMSELVES: &[Variant] = &[
    quick("without 6", REBASE_PLAIN.with(ALONE, 1), |rules| rules.prune_relists = false),
    quick("without 6", REBASE_BELOW.with(ALONE, 1), |rules| rules.prune_relists = false),
    quick("without 6", REBASE_ALONE.with(ALONE, 1), |rules| rules.prune_relists = false),
    quick("(e)", REBASE_ALONE.with(ALONE, 1), |rules| rules.copies_closed_at_6 = false),
    quick("not closed at 6", REBASE_PLAIN.with(1, 1), |rules| rules.closure_at_6 = false),
    // What is condemned and needed is copied at 6, by whoever goes on.
    quick("X' indexed after M is condemned", REBASE.with(1, 1), |rules| {
        rules.copies_indexed_before_4 = false;
    }),
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
