//! Compactions that re-base, explored: a slice in every test run, the whole by `make model`.

use super::compactions::{
    A, ALL, M, REBASE, REBASE_AGAINST, REBASE_ALONE, REBASE_BELOW, REBASE_LONG, REBASE_MIXED,
    REBASE_PLAIN, X, Y,
};
use super::explore::{REBUILDS, caught, holds};
use super::objects::{Block, Pack};
use super::plan::{Aims, Plan, Seen, plan};
use super::scenario::{Rules, Scenario};
use super::variants::{NOT_BY_THEMSELVES, REBASING};

/// What a compaction plans if nobody is about and these chunks need not be kept as bases.
fn planned(scenario: &Scenario, wanted: &[u8]) -> Plan {
    let state = scenario.initial();
    let seen = Seen {
        contents: &state.contents,
        located: state.packs,
        listed: state.packs,
        needed: scenario.needed_by(state.manifests),
        takes_first: false,
    };
    let aims = Aims {
        old: state.packs,
        repacks: scenario.repacks,
        compacts: scenario.compacts,
        wanted: wanted.iter().fold(0, |all, chunk| all | 1 << chunk),
        copies_apart: scenario.copies_apart,
    };
    plan(&seen, &Rules::ALL, &aims, 8)
}

const A_IS_PLAIN: (u8, Block) = (A, Block::PLAIN);

#[test]
fn what_is_coded_against_a_chunk_that_collapses_is_coded_against_its_base() {
    let of = |blocks: &[(u8, Block)]| Pack::of(blocks);
    let both = [A_IS_PLAIN, (X, Block::delta(A, 1))];
    assert_eq!(planned(&REBASE, &[M]).copies, of(&both));
    assert_eq!(planned(&REBASE, &[M]).condemned, 0b111);
    let as_they_were = [A_IS_PLAIN, (M, Block::delta(A, 1)), (X, Block::delta(M, 2))];
    assert_eq!(planned(&REBASE, &[]).copies, of(&as_they_were));
    // A snapshot needs them.
    assert_eq!(planned(&REBASE, &[A, X]).copies, of(&as_they_were));
    // Nobody needs A, but as what X is coded against now.
    assert_eq!(planned(&REBASE_ALONE, &[M]).copies, of(&both));
    assert_eq!(planned(&REBASE_ALONE, &[A, M]).copies, of(&[(X, Block::PLAIN)]));
    // What others are coded against is coded anew by itself.
    let long = planned(&REBASE_LONG, &[A, X]);
    assert_eq!(long.copies, of(&[(M, Block::PLAIN), (Y, Block::delta(M, 1))]));
    assert_eq!(long.late, Pack::EMPTY);
    let long = planned(&REBASE_LONG, &[X]);
    assert_eq!(long.copies, of(&[(Y, Block::delta(M, 2))]));
    assert_eq!(long.late, of(&[A_IS_PLAIN, (M, Block::delta(A, 1))]));
}

#[test]
fn a_chunk_does_not_collapse_under_what_stays() {
    // A needed block that stays is coded against M: it is copied as it was.
    let plain = planned(&REBASE_PLAIN, &[M]);
    assert_eq!(plain.copies, Pack::of(&[(M, Block::PLAIN), (X, Block::delta(M, 1))]));
    assert_eq!(plain.condemned, 0b011);
    // One that nobody needs is: X can do without M, but M stays.
    let waste = planned(&Scenario { second: 0, ..REBASE_PLAIN }, &[M]);
    assert_eq!(waste.copies, Pack::of(&[(X, Block::PLAIN)]));
    assert_eq!(waste.condemned, 0b010);
    // The pack it is in goes, too.
    let mixed = planned(&REBASE_MIXED, &[M]);
    let needed = [A_IS_PLAIN, (X, Block::delta(A, 1)), (Y, Block::PLAIN)];
    assert_eq!((mixed.copies, mixed.condemned), (Pack::of(&needed), 0b011));
    // X may be coded anew only as M's dependent: Y stays as it is, and finds X as shallow as it was.
    let below = planned(&REBASE_BELOW, &[X]);
    assert_eq!(below.copies.get(X), Some(Block::delta(M, 2)));
    assert_eq!(
        planned(&Scenario { second: 0, ..REBASE_BELOW }, &[M]).copies.get(X),
        Some(Block::delta(A, 1))
    );
}

#[test]
fn small_scenarios_hold_where_prunes_re_base() {
    for scenario in ALL {
        for rules in [Rules::ALL, Rules::LETTER] {
            let found = holds(scenario.with(1, 1), rules);
            assert!(found.states > 5000 && found.quiet > 500, "{found:?}");
        }
        holds(scenario.with(0, 2), Rules::ALL);
    }
}

#[test]
fn broken_variants_of_re_basing_are_caught() {
    REBASING.iter().for_each(|variant| drop(caught(variant)));
    for variant in NOT_BY_THEMSELVES {
        let mut rules = Rules::LETTER;
        (variant.breaks)(&mut rules);
        print!("{} is not caught in: ", variant.name);
        holds(variant.scenario, rules);
    }
}

#[test]
#[ignore = "minutes: make model"]
fn whole_model_with_re_basing() {
    let mut states = 0;
    let mut hold = |scenario, rules| states += holds(scenario, rules).states;
    for scenario in ALL {
        hold(scenario.with(1, 1).in_two_parts().two_deletes(), Rules::ALL);
        hold(scenario.with(0, 2).in_two_parts().two_deletes(), Rules::ALL);
        hold(scenario.with(1, 1).with_a_reader(), Rules::ALL);
        hold(scenario.with(1, 2).calm(), Rules::ALL);
        for rebuild in REBUILDS {
            hold(
                scenario.with(0, 2).in_two_parts().two_deletes().with_a_rebuild(rebuild),
                Rules::ALL,
            );
        }
    }
    for scenario in [REBASE_PLAIN, REBASE] {
        hold(scenario.with(2, 1).in_two_parts(), Rules::ALL);
        hold(scenario.with(0, 2).with_a_reader(), Rules::ALL);
    }
    for scenario in [REBASE_PLAIN, REBASE, REBASE_AGAINST] {
        hold(scenario.with(1, 2), Rules::ALL);
        hold(scenario.with(1, 2), Rules::LETTER);
    }
    println!("{states} states in all");
}
