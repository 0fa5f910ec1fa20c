//! The rules once more, slowly: each snapshot is asked by itself, and everything is counted anew.

use std::collections::BTreeSet;

use jiff::civil::date;
use jiff::{Timestamp, Zoned};

use crate::repo::Standing;

use super::super::policy::{Period, Reach, RetentionPolicy};
use super::super::verdict::Candidate;

fn moment(one: &Candidate) -> Timestamp {
    Timestamp::from_second(one.time.seconds).unwrap()
}

/// Newer, as a listing sorts them.
fn is_newer(one: &Candidate, than: &Candidate) -> bool {
    (one.time, one.id) > (than.time, than.id)
}

/// A number for the period that a moment lies in, counted with plain arithmetic.
fn period_number(period: Period, of: Timestamp, now: &Zoned) -> (i64, i64) {
    let local = of.to_zoned(now.time_zone().clone());
    let offset = i64::from(local.offset().seconds());
    let local_seconds = of.as_second() + offset;
    let day = local_seconds.div_euclid(86_400);
    let (year, month) = (i64::from(local.year()), i64::from(local.month()));
    match period {
        Period::Hour => (local_seconds.div_euclid(3600), offset),
        Period::Day => (day, 0),
        // 1970 began on a Thursday.
        Period::Week => ((day + 3).div_euclid(7), 0),
        Period::Month => (year * 12 + month, 0),
        Period::Year => (year, 0),
    }
}

/// Whether it stays.
pub fn stays(one: &Candidate, all: &[Candidate], policy: &RetentionPolicy, now: &Zoned) -> bool {
    assert!(policy.max_size.is_none(), "budgets are not looked at here");
    let of_group: Vec<&Candidate> = all
        .iter()
        .filter(|other| other.group == one.group && other.standing != Standing::Void)
        .collect();
    let scope: Vec<&Candidate> = of_group.iter().copied().filter(|other| other.in_scope).collect();
    let newest_complete = |until: Timestamp| {
        let some =
            of_group.iter().filter(|it| it.standing == Standing::Good && moment(it) <= until);
        some.copied().reduce(|a, b| if is_newer(a, b) { a } else { b })
    };
    let ends = [Timestamp::MAX, now.timestamp()].map(newest_complete);
    if one.permanent || ends.into_iter().flatten().any(|newest| newest.id == one.id) {
        return true;
    }
    let has_complete = of_group.iter().any(|it| it.standing == Standing::Good);
    let newest_at = |until: Timestamp| {
        let some = of_group.iter().filter(|it| moment(it) <= until);
        some.copied().reduce(|a, b| if is_newer(a, b) { a } else { b }).map(|it| it.id)
    };
    let newest_of_all = [Timestamp::MAX, now.timestamp()].map(newest_at);
    if !has_complete && newest_of_all.contains(&Some(one.id)) {
        return true;
    }
    if let Some(age) = &policy.older_than
        && moment(one) >= age.before(now)
    {
        return true;
    }
    if policy.is_nothing() {
        return true;
    }
    let ends = of_group.iter().filter(|it| it.standing == Standing::Good || !has_complete);
    let newest = ends.map(|it| moment(it)).max().unwrap();
    let from = newest.min(now.timestamp()).to_zoned(now.time_zone().clone());
    let newer = scope.iter().filter(|it| is_newer(it, one));
    policy.last.is_some_and(|count| newer.count() < count as usize)
        || policy.within.is_some_and(|age| moment(one) >= age.before(&from))
        || policy.tags.iter().any(|tag| one.tags.contains(tag))
        || policy
            .periods
            .iter()
            .any(|(period, reach)| is_of_period(one, &scope, *period, *reach, &from))
}

fn is_of_period(
    one: &Candidate,
    scope: &[&Candidate],
    period: Period,
    reach: Reach,
    from: &Zoned,
) -> bool {
    let since = match reach {
        Reach::Count(_) => Timestamp::MIN,
        Reach::Within(age) => age.before(from),
    };
    if moment(one) < since {
        return false;
    }
    let number = |it: &Candidate| period_number(period, moment(it), from);
    let beside = || scope.iter().filter(|it| it.id != one.id && number(it) == number(one));
    let is_complete = |it: &Candidate| it.standing == Standing::Good;
    let loses = beside().any(|it| {
        moment(it) >= since
            && match (is_complete(it), is_complete(one)) {
                (true, false) => true,
                (false, true) => false,
                _ => is_newer(it, one),
            }
    });
    let later: BTreeSet<_> = scope
        .iter()
        .filter(|it| is_newer(it, one) && number(it) != number(one))
        .map(|it| number(it))
        .collect();
    !loses && !matches!(reach, Reach::Count(count) if later.len() >= count as usize)
}

#[test]
fn the_numbers_are_those_of_a_calendar() {
    let now = super::at("2026-01-05T12:00:00Z", "UTC0");
    let number = |period, day: jiff::civil::Date| {
        let noon = day.at(12, 0, 0, 0).to_zoned(now.time_zone().clone()).unwrap();
        period_number(period, noon.timestamp(), &now).0
    };
    let week = |day| number(Period::Week, day);
    // Monday to Sunday, over the end of a year.
    assert_eq!(week(date(2025, 12, 29)), week(date(2026, 1, 4)));
    assert_eq!(week(date(2025, 12, 28)) + 1, week(date(2025, 12, 29)));
    assert_eq!(week(date(2026, 1, 4)) + 1, week(date(2026, 1, 5)));
    assert_eq!(
        number(Period::Month, date(2026, 1, 1)) - 1,
        number(Period::Month, date(2025, 12, 1))
    );
}
