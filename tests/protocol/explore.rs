//! The model explored: a slice in every test run, the whole by `make model`.

use std::time::Instant;

use super::model::Model;
use super::properties::How;
use super::scenario::{Rebuild, Rules, Scenario};
use super::scenarios::{self, COPIES, DELTAS, HITS, MOVED, REPACK, TWICE, UNLISTED, WANTED_AGAIN};
use super::search::{Explored, explore, shortest};
use super::variants::{REDUNDANT, VARIANTS, Variant};

/// So many states fit into 6 GB.
const STATES_MAX: usize = 150_000_000;

pub fn holds(scenario: Scenario, rules: Rules) -> Explored {
    let started = Instant::now();
    let found = explore(&Model { scenario, rules }, STATES_MAX);
    let Explored { states, steps, quiet, prunes, violation } = &found;
    println!(
        "{:16} {} writers {} prunes{}{}{}{} hits {}: {states} states, {steps} steps, {quiet} quiet, {prunes} prunes to rest, {:.1} s",
        scenario.name,
        scenario.writers.len(),
        scenario.prunes,
        scenario.rebuild.map_or(String::new(), |rebuild| format!(", a rebuild: {rebuild:?}")),
        if scenario.two_parts { ", listings in two parts" } else { "" },
        if scenario.deletes > 1 { ", two deletes" } else { "" },
        if scenario.reader { ", a reader" } else { "" },
        if rules.hits_closed_over_bases { "closed" } else { "by pack" },
        started.elapsed().as_secs_f64(),
    );
    assert!(*states < STATES_MAX, "not explored to the end");
    if violation.is_some() {
        let found = shortest(&Model { scenario, rules }, 20_000_000);
        panic!("{}: {:#?}", scenario.name, found.violation);
    }
    found
}

/// Finds the shortest way to a violation.
pub fn caught(variant: &Variant) -> Explored {
    let mut rules = Rules::LETTER;
    (variant.breaks)(&mut rules);
    let found = shortest(&Model { scenario: variant.scenario, rules }, 20_000_000);
    let length = found.violation.as_ref().map_or(0, |violation| violation.trace.len());
    println!(
        "{:45} {:16} {:8} states, {length} steps",
        variant.name, variant.scenario.name, found.states
    );
    let violation = found.violation.as_ref();
    let violation = violation.unwrap_or_else(|| panic!("{} is not caught", variant.name));
    assert_eq!(violation.broken.how(), variant.how, "{}: {:?}", variant.name, violation.broken);
    found
}

const NAMED: [Scenario; 7] = scenarios::ALL;

#[test]
fn small_scenarios_hold() {
    for rules in [Rules::ALL, Rules::LETTER] {
        for scenario in NAMED {
            let found = holds(scenario.with(1, 1).in_two_parts(), rules);
            assert!(found.states > 1000 && found.quiet > 100, "{found:?}");
        }
        holds(HITS.with(0, 2).with_a_reader(), rules);
        holds(TWICE.with(0, 3).in_two_parts().calm(), rules);
    }
    holds(HITS.with(2, 1), Rules::LETTER);
}

pub const REBUILDS: [Rebuild; 2] = [Rebuild::Unlisted, Rebuild::All];

/// One of the prunes makes the index from the packs, beside a writer and another prune.
#[test]
fn rebuilds_hold() {
    for rebuild in REBUILDS {
        for scenario in [UNLISTED, HITS, DELTAS] {
            holds(scenario.with(1, 1).in_two_parts().with_a_rebuild(rebuild), Rules::ALL);
        }
        holds(UNLISTED.with(1, 2).with_a_rebuild(rebuild), Rules::ALL);
        holds(HITS.with(0, 2).with_a_reader().with_a_rebuild(rebuild), Rules::ALL);
    }
}

/// That hits are closed over bases is what makes it safe to list a pack without knowing who put it.
#[test]
#[ignore = "minutes: make model"]
fn rebuilds_would_lose_something_were_hits_not_closed() {
    let scenario = DELTAS.with(2, 2).with_garbage_only().calm().with_a_rebuild(Rebuild::Unlisted);
    let found = shortest(&Model { scenario, rules: Rules::LETTER }, 20_000_000);
    let violation = found.violation.unwrap();
    println!("{} states, {} steps: {:?}", found.states, violation.trace.len(), violation.trace);
    assert_eq!(violation.broken.how(), How::Lost, "{:?}", violation.broken);
}

#[test]
fn broken_variants_are_caught() {
    let quickly = VARIANTS.iter().filter(|variant| variant.is_quick);
    assert!(quickly.map(caught).count() > 10);
}

/// The same scenarios as the variants', unbroken: it is the variant that is caught.
#[test]
fn where_quick_variants_are_caught_the_protocol_holds() {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for variant in VARIANTS.iter().filter(|variant| variant.is_quick) {
        let told = format!("{:?}", variant.scenario);
        if scenarios.iter().all(|scenario| format!("{scenario:?}") != told) {
            scenarios.push(variant.scenario);
        }
    }
    scenarios.into_iter().for_each(|scenario| drop(holds(scenario, Rules::LETTER)));
}

#[test]
#[ignore = "minutes: make model"]
fn all_variants() {
    VARIANTS.iter().for_each(|variant| drop(caught(variant)));
    for variant in REDUNDANT {
        let mut rules = Rules::ALL;
        (variant.breaks)(&mut rules);
        print!("{} is not caught in: ", variant.name);
        holds(variant.scenario, rules);
    }
}

#[test]
#[ignore = "minutes: make model"]
fn whole_model_with_rebuilds() {
    let mut states = 0;
    let mut hold = |scenario, rules| states += holds(scenario, rules).states;
    for rebuild in REBUILDS {
        for scenario in [UNLISTED, HITS, DELTAS, REPACK, COPIES, TWICE] {
            hold(scenario.with(1, 2).in_two_parts().with_a_rebuild(rebuild), Rules::ALL);
        }
        let garbage = DELTAS.with_garbage_only().calm();
        hold(garbage.with_a_rebuild(rebuild), Rules::ALL);
        hold(MOVED.with_a_rebuild(rebuild), Rules::ALL);
    }
    println!("{states} states in all");
}

#[test]
#[ignore = "minutes: make model"]
fn whole_model() {
    let mut states = 0;
    let mut hold = |scenario, rules| states += holds(scenario, rules).states;
    for scenario in NAMED {
        for rules in [Rules::ALL, Rules::LETTER] {
            hold(scenario.with(2, 1).in_two_parts(), rules);
            hold(scenario.with(1, 2).in_two_parts(), rules);
        }
        hold(scenario.with(0, 2).in_two_parts().with_a_reader(), Rules::ALL);
        hold(scenario.with(1, 1).in_two_parts().with_a_reader(), Rules::ALL);
        hold(scenario.with(0, 3).in_two_parts().two_expiries(), Rules::LETTER);
    }
    hold(MOVED, Rules::ALL);
    // Two writers, two prunes and a delete.
    hold(WANTED_AGAIN, Rules::ALL);
    hold(WANTED_AGAIN, Rules::LETTER);
    hold(DELTAS.with_garbage_only().calm(), Rules::LETTER);
    hold(HITS.calm().without_expiry(), Rules::LETTER);
    println!("{states} states in all");
}
