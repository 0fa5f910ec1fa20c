//! What holds whatever the history and the rules.

use std::collections::BTreeSet;
use std::convert::Infallible;

use jiff::{Span, Timestamp, Zoned};
use proptest::prelude::*;

use crate::repo::Standing;

use super::super::plan::{Policies, Question, Sizes, plan};
use super::super::policy::{Age, Period, Reach, RetentionPolicy};
use super::super::verdict::{Candidate, Fate, KeepReason, Verdict};
use super::{ZONES, at, group, kept, planned, reference, taken};

fn candidate() -> impl Strategy<Value = Candidate> {
    // Quarter hours of 500 days, some of them after now; several snapshots fall together.
    let moment = prop_oneof![3 => 0i64..48_000, 1 => 18_000i64..18_100, 1 => Just(47_000i64)];
    let standing = prop_oneof![
        6 => Just(Standing::Good), 3 => Just(Standing::Incomplete), 1 => Just(Standing::Void),
    ];
    (moment, 0usize..3, standing, prop::bool::weighted(0.1), 0u8..4, prop::bool::weighted(0.9))
        .prop_map(|(moment, of, standing, permanent, tag, in_scope)| {
            let group = [("a", "/x"), ("a", "/y"), ("b", "/x")].map(|(h, u)| group(h, u));
            let moment = Timestamp::from_second(1_758_000_000 + moment * 900).unwrap();
            let tags = (tag < 2).then(|| format!("t{tag}")).into_iter().collect();
            let plain = taken(0, &group[of], moment);
            Candidate { standing, permanent, tags, in_scope, ..plain }
        })
}

fn histories() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(candidate(), 0..60).prop_map(|all| {
        let each = (0..).zip(all);
        each.map(|(number, one)| {
            let Candidate { id, name, .. } = taken(number, &one.group, Timestamp::UNIX_EPOCH);
            Candidate { id, name, ..one }
        })
        .collect()
    })
}

fn age() -> impl Strategy<Value = Age> {
    prop_oneof![
        (1i64..80).prop_map(|count| Span::new().days(count)),
        (1i64..100).prop_map(|count| Span::new().hours(count)),
        (1i64..14).prop_map(|count| Span::new().months(count)),
    ]
    .prop_map(|span| Age::new(span).unwrap())
}

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![(1u32..20).prop_map(Reach::Count), age().prop_map(Reach::Within)]
}

fn policies() -> impl Strategy<Value = RetentionPolicy> {
    let periods =
        prop::collection::btree_map(prop::sample::select(&Period::ALL[..]), reach(), 0..4);
    let tags = prop::collection::vec("t[0-2]", 0..2);
    let maybe = || prop::option::weighted(0.3, age());
    (prop::option::weighted(0.4, 1u32..20), maybe(), periods, tags, maybe()).prop_map(
        |(last, within, periods, tags, older_than)| RetentionPolicy {
            last,
            within,
            periods,
            tags,
            older_than,
            max_size: None,
        },
    )
}

fn moments() -> impl Strategy<Value = Zoned> {
    const TIMES: [&str; 3] =
        ["2026-10-25T00:30:00Z", "2026-03-29T00:59:59Z", "2027-06-01T00:00:00Z"];
    (prop::sample::select(&TIMES[..]), prop::sample::select(&ZONES[..]))
        .prop_map(|(time, zone)| at(time, zone))
}

/// One rule more, of those that keep.
fn with_one_more(policy: &RetentionPolicy, more: &RetentionPolicy) -> Vec<RetentionPolicy> {
    let mut all = Vec::new();
    if policy.last.is_none() {
        all.push(RetentionPolicy { last: more.last, ..policy.clone() });
    }
    if policy.within.is_none() {
        all.push(RetentionPolicy { within: more.within, ..policy.clone() });
    }
    for (period, reach) in &more.periods {
        let mut wider = policy.clone();
        wider.periods.entry(*period).or_insert(*reach);
        all.push(wider);
    }
    let tags = policy.tags.iter().chain(&more.tags).cloned().collect();
    all.push(RetentionPolicy { tags, ..policy.clone() });
    if policy.older_than.is_none() {
        all.push(RetentionPolicy { older_than: more.older_than, ..policy.clone() });
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn as_the_reference_says(all in histories(), policy in policies(), now in moments()) {
        let expected: BTreeSet<String> = all
            .iter()
            .filter(|one| one.in_scope && one.standing != Standing::Void)
            .filter(|one| reference::stays(one, &all, &policy, &now))
            .map(|one| one.name.clone())
            .collect();
        prop_assert_eq!(kept(&all, &policy, &now), expected);
    }

    #[test]
    fn permanent_ones_and_the_newest_complete_one_of_each_group_stay(
        all in histories(), policy in policies(), now in moments(), max in prop::option::of(0u64..9),
    ) {
        let policy = RetentionPolicy { max_size: max, ..policy };
        let policies = Policies { common: &policy, own: &[] };
        let heavy = |question: &Question| -> Result<Sizes, Infallible> {
            Ok(Sizes { kept: 3, droppable: vec![1; question.droppable.len()] })
        };
        let (verdicts, _) = plan(&all, policies, &now, heavy).unwrap();
        for verdict in verdicts.iter().filter(|verdict| verdict.is_dropped()) {
            let gone = &verdict.snapshot;
            prop_assert!(!gone.permanent && gone.in_scope && gone.standing != Standing::Void);
            if gone.standing == Standing::Good {
                let newer = all.iter().any(|one| {
                    one.group == gone.group
                        && one.standing == Standing::Good
                        && (one.time, one.id) > (gone.time, gone.id)
                });
                prop_assert!(newer, "{:?}", gone);
            }
        }
    }

    #[test]
    fn one_more_rule_that_keeps_never_drops_more(
        all in histories(), policy in policies(), more in policies(), now in moments(),
    ) {
        // The first rule of all is what drops the rest.
        prop_assume!(!policy.is_nothing());
        let before = kept(&all, &policy, &now);
        for wider in with_one_more(&policy, &more) {
            prop_assert!(kept(&all, &wider, &now).is_superset(&before), "{:?}", wider);
        }
    }

    #[test]
    fn what_was_done_once_leaves_nothing_to_do(
        all in histories(), policy in policies(), now in moments(),
    ) {
        let gone: BTreeSet<_> = planned(&all, &policy, &now)
            .into_iter()
            .filter(|verdict| verdict.is_dropped())
            .map(|verdict| verdict.snapshot.id)
            .collect();
        let rest: Vec<Candidate> =
            all.iter().filter(|one| !gone.contains(&one.id)).cloned().collect();
        let again = planned(&rest, &policy, &now);
        prop_assert!(again.iter().all(|verdict| !verdict.is_dropped()), "{:?}", again);
    }

    #[test]
    fn a_budget_is_met_by_as_few_as_it_takes(
        all in histories(), policy in policies(), now in moments(), max in 0u64..80,
    ) {
        let without = planned(&all, &policy, &now);
        let policy = RetentionPolicy { max_size: Some(max), ..policy };
        let policies = Policies { common: &policy, own: &[] };
        let two_each = |question: &Question| -> Result<Sizes, Infallible> {
            let (kept, droppable) = (question.kept.len() as u64, question.droppable.len());
            Ok(Sizes { kept: 2 * kept, droppable: vec![2; droppable] })
        };
        let (verdicts, budgets) = plan(&all, policies, &now, two_each).unwrap();
        let dropped = || verdicts.iter().filter(|verdict| verdict.is_dropped());
        let (count, budget) = (dropped().count() as u64, &budgets[..]);
        if verdicts.is_empty() {
            prop_assert!(budget.is_empty());
            return Ok(());
        }
        let budget = &budget[0];
        prop_assert_eq!(budget.before, 2 * verdicts.len() as u64);
        prop_assert_eq!(budget.after, budget.before - 2 * count);
        prop_assert!(count == 0 || budget.after + 2 > max, "one fewer would have done");
        let is_spared = |it: &&Verdict| it.fate == Fate::Kept(vec![KeepReason::Fits(max)]);
        prop_assert!(budget.after <= max || !verdicts.iter().any(|it| is_spared(&it)));
        // What rules would keep without a budget stays with it.
        let kept_by_rules: BTreeSet<_> = without
            .iter()
            .filter(|it| !it.is_dropped() && it.rules()[0].0 != "no-rule")
            .map(|it| it.snapshot.id)
            .collect();
        prop_assert!(dropped().all(|it| !kept_by_rules.contains(&it.snapshot.id)));
        // The oldest go.
        let newest_gone = dropped().map(|it| (it.snapshot.time, it.snapshot.id)).max();
        let spared = verdicts.iter().filter(is_spared);
        for one in spared {
            prop_assert!(newest_gone < Some((one.snapshot.time, one.snapshot.id)));
        }
    }
}
