//! Single rules where they are delicate.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};

use crate::format::Time;
use crate::repo::Standing;

use super::super::plan::{Policies, Question, Sizes, plan};
use super::super::policy::{Age, Period, Reach, RetentionPolicy};
use super::super::verdict::{Candidate, Fate, KeepReason};
use super::{
    BERLIN, LORD_HOWE, NEW_YORK, at, days, every, group, kept, last, names, planned, taken,
    taken_at,
};

/// Every half hour from a moment on.
fn half_hours(from: &str, count: u32) -> Vec<Candidate> {
    let (start, of) = (from.parse::<Timestamp>().unwrap(), group("atlas", "/srv"));
    let moment = |number: u32| start + SignedDuration::from_mins(30 * i64::from(number));
    (0..count).map(|number| taken(number, &of, moment(number))).collect()
}

#[test]
fn a_day_of_25_hours_is_one_day_of_25_hours() {
    // 2026-10-25 in Berlin: from 22:00 UTC of the 24th to 23:00 UTC of the 25th; an hour either side.
    let all = half_hours("2026-10-24T21:00:00Z", 54);
    let now = at("2026-10-26T00:00:00Z", BERLIN);
    // Numbers 0 and 1 are of the 24th, 2 to 51 of the 25th, 52 and 53 of the 26th.
    assert_eq!(kept(&all, &every(Period::Day, 3), &now), names([1, 51, 53]));
    assert_eq!(kept(&all, &every(Period::Day, 2), &now), names([51, 53]));
    // One of the 26th, 25 of the 25th, and the last of the 24th: the later half hour of each.
    let each_hour = |first: u32| (0..27).map(|hour| hour * 2 + 1).filter(move |it| *it >= first);
    assert_eq!(kept(&all, &every(Period::Hour, 26), &now), names(each_hour(3)));
    assert_eq!(kept(&all, &every(Period::Hour, 27), &now), names(each_hour(1)));
    // The day before, by the calendar: noon to noon is 25 hours. 2026-10-24T10:00Z to 2026-10-25T11:00Z.
    let all = half_hours("2026-10-24T09:30:00Z", 52);
    let now = at("2026-10-25T11:00:00Z", BERLIN);
    let within = RetentionPolicy { within: Some(days(1)), ..RetentionPolicy::nothing() };
    assert_eq!(kept(&all, &within, &now), names(1..52));
    let hours: Age = "24h".parse().unwrap();
    let within = RetentionPolicy { within: Some(hours), ..RetentionPolicy::nothing() };
    assert_eq!(kept(&all, &within, &now), names(3..52));
}

#[test]
fn a_day_of_23_hours_is_one_day() {
    // 2026-03-29 in Berlin: from 23:00 UTC of the 28th to 22:00 UTC of the 29th.
    let all = half_hours("2026-03-28T22:00:00Z", 50);
    let now = at("2026-03-30T00:00:00Z", BERLIN);
    assert_eq!(kept(&all, &every(Period::Day, 5), &now), names([1, 47, 49]));
    assert_eq!(kept(&all, &every(Period::Hour, 24), &now).len(), 24);
    // A week that loses an hour: Monday 00:00 to Monday 00:00.
    let within =
        RetentionPolicy { within: Some("1w".parse().unwrap()), ..RetentionPolicy::nothing() };
    let week = taken_at(&["2026-03-22T22:59:59Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"]);
    assert_eq!(kept(&week, &within, &at("2026-03-29T22:00:00Z", BERLIN)), names([1, 2]));
}

#[test]
fn clocks_that_change_by_half_an_hour() {
    // Lord Howe, 2026-04-05: at 02:00 (15:00 UTC of the 4th) it is 01:30 again.
    let all = half_hours("2026-04-04T13:00:00Z", 50);
    let now = at("2026-04-05T14:00:00Z", LORD_HOWE);
    // 00:00 is 13:00 UTC; the day has 24 h 30 min: numbers 0 to 48; 49 is of the next.
    assert_eq!(kept(&all, &every(Period::Day, 9), &now), names([48, 49]));
}

#[test]
fn a_zone_says_where_a_day_ends() {
    let all = taken_at(&["2026-06-01T22:30:00Z", "2026-06-02T03:00:00Z", "2026-06-02T21:30:00Z"]);
    let now = "2026-06-03T00:00:00Z";
    let policy = every(Period::Day, 5);
    assert_eq!(kept(&all, &policy, &at(now, BERLIN)), names([2]));
    assert_eq!(kept(&all, &policy, &at(now, "UTC0")), names([0, 2]));
    assert_eq!(kept(&all, &policy, &at(now, NEW_YORK)), names([1, 2]));
}

#[test]
fn weeks_begin_on_monday_and_belong_to_one_year() {
    let all = taken_at(&[
        "2025-12-28T12:00:00Z", // Sunday, week 52
        "2025-12-29T12:00:00Z", // Monday, week 1 of 2026
        "2026-01-04T12:00:00Z", // Sunday, week 1
        "2026-01-05T12:00:00Z", // Monday, week 2
    ]);
    let now = at("2026-01-06T00:00:00Z", BERLIN);
    assert_eq!(kept(&all, &every(Period::Week, 9), &now), names([0, 2, 3]));
    assert_eq!(kept(&all, &every(Period::Year, 9), &now), names([1, 3]));
    let verdicts = planned(&all, &every(Period::Week, 2), &now);
    let [.., sunday, _] = &verdicts[..] else { panic!("{verdicts:?}") };
    let expected =
        ("keep-weekly", "the newest of week 2026-W01, one of the last 2 weeks".to_owned());
    assert_eq!(sunday.rules(), [expected]);
    assert_eq!(verdicts[0].rules(), [("no-rule", "no rule keeps it".to_owned())]);
}

#[test]
fn periods_without_a_snapshot_do_not_count() {
    let all = taken_at(&["2024-02-29T01:00:00Z", "2025-07-01T01:00:00Z", "2026-06-01T01:00:00Z"]);
    let now = at("2026-06-30T00:00:00Z", "UTC0");
    assert_eq!(kept(&all, &every(Period::Day, 3), &now), names(0..3));
    assert_eq!(kept(&all, &every(Period::Month, 2), &now), names([1, 2]));
}

/// Of one that lost half, and one that is whole, of the same day the whole one is the day's.
#[test]
fn an_incomplete_one_takes_no_place_of_a_complete_one() {
    let mut all = taken_at(&[
        "2026-06-01T01:00:00Z",
        "2026-06-01T23:00:00Z",
        "2026-06-02T01:00:00Z",
        "2026-06-03T01:00:00Z",
    ]);
    for number in [1, 2, 3] {
        all[number].standing = Standing::Incomplete;
    }
    let now = at("2026-06-04T00:00:00Z", "UTC0");
    assert_eq!(kept(&all, &every(Period::Day, 9), &now), names([0, 2, 3]));
    // Three newer ones, none of them good.
    assert_eq!(kept(&all, &last(2), &now), names([0, 2, 3]));
    let alone =
        RetentionPolicy { older_than: Some("1h".parse().unwrap()), ..RetentionPolicy::nothing() };
    assert_eq!(kept(&all, &alone, &now), names([0]));
    // Where there never was a good one, the newest is better than nothing.
    all[0].standing = Standing::Incomplete;
    assert_eq!(kept(&all, &alone, &now), names([3]));
}

#[test]
fn void_ones_are_as_if_they_were_not_there() {
    let mut all =
        taken_at(&["2026-06-01T01:00:00Z", "2026-06-02T01:00:00Z", "2026-06-03T01:00:00Z"]);
    all[2].standing = Standing::Void;
    let now = at("2026-06-04T00:00:00Z", "UTC0");
    let verdicts = planned(&all, &last(1), &now);
    let said: Vec<_> =
        verdicts.iter().map(|it| (it.snapshot.name.as_str(), it.is_dropped())).collect();
    assert_eq!(said, [("s0", true), ("s1", false)]);
}

/// A wrong clock must not cost the snapshots of right ones.
#[test]
fn snapshots_of_the_future() {
    let mut all =
        taken_at(&["2026-06-01T01:00:00Z", "2026-06-02T01:00:00Z", "2099-01-01T00:00:00Z"]);
    let now = at("2026-06-03T00:00:00Z", "UTC0");
    let within = RetentionPolicy { within: Some(days(2)), ..RetentionPolicy::nothing() };
    assert_eq!(kept(&all, &within, &now), names([0, 1, 2]), "two days from now, not from 2099");
    assert_eq!(kept(&all, &last(1), &now), names([1, 2]));
    // A time that no calendar has: it stays, and takes nobody's place.
    all[2].time = Time { seconds: i64::MAX, nanos: 0 };
    assert_eq!(kept(&all, &last(1), &now), names([1, 2]));
    let verdicts = planned(&all, &last(1), &now);
    assert_eq!(verdicts[2].fate, Fate::Kept(vec![KeepReason::Timeless]));
}

/// What was not backed up for a year does not go for that.
#[test]
fn a_source_at_rest_keeps_what_it_has() {
    let all = taken_at(&["2025-06-01T01:00:00Z", "2025-06-20T01:00:00Z", "2025-06-21T01:00:00Z"]);
    let now = at("2026-06-21T00:00:00Z", "UTC0");
    let within = RetentionPolicy { within: Some(days(2)), ..RetentionPolicy::nothing() };
    assert_eq!(kept(&all, &within, &now), names([1, 2]));
    let old = RetentionPolicy { older_than: Some(days(2)), ..RetentionPolicy::nothing() };
    assert_eq!(kept(&all, &old, &now), names([2]), "that is counted from now");
}

#[test]
fn what_is_out_of_scope_counts_for_nothing_but_as_newest() {
    let mut all =
        taken_at(&["2026-06-01T01:00:00Z", "2026-06-02T01:00:00Z", "2026-06-03T01:00:00Z"]);
    all[2].in_scope = false;
    let now = at("2026-06-04T00:00:00Z", "UTC0");
    assert_eq!(kept(&all, &last(1), &now), names([1]));
    let old =
        RetentionPolicy { older_than: Some("1h".parse().unwrap()), ..RetentionPolicy::nothing() };
    assert!(kept(&all, &old, &now).is_empty(), "the source has a newer one that is complete");
    all[2].standing = Standing::Incomplete;
    assert_eq!(kept(&all, &old, &now), names([1]));
}

#[test]
fn a_budget_takes_the_oldest_that_no_rule_keeps() {
    let all = half_hours("2026-06-01T00:00:00Z", 10);
    let now = at("2026-06-02T00:00:00Z", "UTC0");
    let mut asked = Vec::new();
    let mut run = |policy: &RetentionPolicy| {
        let policies = Policies { common: policy, own: &[] };
        let measure = |question: &Question| -> Result<Sizes, Infallible> {
            asked.push(question.clone());
            let (kept, droppable) = (question.kept.len(), question.droppable.len());
            Ok(Sizes { kept: kept as u64 * 10, droppable: vec![10; droppable] })
        };
        let (verdicts, budgets) = plan(&all, policies, &now, measure).unwrap();
        let dropped = verdicts.iter().filter(|it| it.is_dropped());
        let dropped: Vec<String> = dropped.map(|it| it.snapshot.name.clone()).collect();
        let [budget] = &budgets[..] else { panic!("{budgets:?}") };
        (dropped, budget.before, budget.after)
    };
    let policy = |max, rest| RetentionPolicy { max_size: Some(max), ..rest };
    let first = |count: u32| (0..count).map(|number| format!("s{number}")).collect::<Vec<_>>();
    assert_eq!(run(&policy(55, last(3))), (first(5), 100, 50));
    assert_eq!(run(&policy(50, last(3))), (first(5), 100, 50));
    assert_eq!(run(&policy(100, last(3))), (first(0), 100, 100));
    // What rules keep stays, whatever the budget.
    assert_eq!(run(&policy(5, last(3))), (first(7), 100, 30));
    assert_eq!(run(&policy(5, RetentionPolicy::nothing())), (first(9), 100, 10));
    // Older than 21 h: taken before 03:00, numbers 0 to 5.
    let age =
        RetentionPolicy { older_than: Some("21h".parse().unwrap()), ..RetentionPolicy::nothing() };
    assert_eq!(run(&policy(5, age)), (first(6), 100, 40));
    let ids =
        |numbers: std::ops::Range<usize>| all[numbers].iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(asked[0], Question { kept: ids(7..10), droppable: ids(0..7) });
}

#[test]
fn a_group_with_a_policy_of_its_own() {
    let mut all = half_hours("2026-06-01T00:00:00Z", 8);
    let other = group("atlas", "/home");
    all[..4].iter_mut().for_each(|one| one.group = other.clone());
    let now = at("2026-06-02T00:00:00Z", "UTC0");
    let (common, own) = (last(1), [(other, RetentionPolicy { max_size: Some(25), ..last(2) })]);
    let policies = Policies { common: &common, own: &own };
    let measure = |question: &Question| -> Result<Sizes, Infallible> {
        assert_eq!(question.kept.len() + question.droppable.len(), 4, "of that group only");
        Ok(Sizes { kept: 14, droppable: vec![7, 7] })
    };
    let (verdicts, budgets) = plan(&all, policies, &now, measure).unwrap();
    let dropped = verdicts.iter().filter(|it| it.is_dropped());
    let dropped: Vec<_> = dropped.map(|it| it.snapshot.name.as_str()).collect();
    assert_eq!(dropped, ["s0", "s4", "s5", "s6"]);
    assert_eq!((budgets.len(), budgets[0].group.as_ref()), (1, Some(&own[0].0)));
}

#[test]
fn ages_and_reaches_as_people_say_them() {
    let age = |text: &str| text.parse::<Age>();
    for (said, shown) in [("36h", "36h"), ("3 months", "3mo"), ("P1Y", "1y"), ("2 weeks", "2w")] {
        assert_eq!(age(said).unwrap().to_string(), shown);
    }
    for wrong in ["", "7", "-7d", "0d", "7d ago", "soon"] {
        assert!(age(wrong).is_err(), "{wrong}");
    }
    assert_eq!("12".parse(), Ok(Reach::Count(12)));
    assert_eq!("3mo".parse(), Ok(Reach::Within(age("3 months").unwrap())));
    for wrong in ["", "0", "-1", "99999999999", "x"] {
        assert!(wrong.parse::<Reach>().is_err(), "{wrong}");
    }
    // Longer than time.
    let ever =
        RetentionPolicy { within: Some(age("19000y").unwrap()), ..RetentionPolicy::nothing() };
    assert_eq!(
        kept(&taken_at(&["0001-01-01T00:00:00Z"]), &ever, &at("2026-01-01T00:00:00Z", BERLIN))
            .len(),
        1
    );
}

#[test]
fn policies_that_are_not_run() {
    let fault = |policy: RetentionPolicy| policy.fault();
    assert!(fault(RetentionPolicy::nothing()).unwrap().contains("no rule"));
    let tags = RetentionPolicy { tags: vec!["x".into()], ..RetentionPolicy::nothing() };
    assert!(fault(tags.clone()).unwrap().contains("keep-tag alone"));
    assert_eq!(fault(RetentionPolicy { last: Some(1), ..tags.clone() }), None);
    assert_eq!(fault(RetentionPolicy { max_size: Some(1), ..tags }), None);
    assert_eq!(fault(RetentionPolicy::default()), None);
}
