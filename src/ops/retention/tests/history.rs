//! 400 snapshots of three sources on two hosts, over 14 months and three changes of clocks.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::repo::Standing;

use super::super::policy::{Age, Period, Reach, RetentionPolicy};
use super::super::verdict::{Candidate, RetentionGroup};
use super::{
    BERLIN, NEW_YORK, ZONES, at, days, every, group, kept, last, months, names, reference, taken,
};

/// When everything is planned.
const NOW: &str = "2026-10-31T11:00:00Z";

/// Every so many minutes from 2025-09-01 on, as many as are wanted.
fn series(first: u32, of: &RetentionGroup, every: i64, count: u32) -> Vec<Candidate> {
    let start: Timestamp = "2025-09-01T00:30:00Z".parse().unwrap();
    let each = (0..count).map(|number| {
        let moment = start + SignedDuration::from_mins(every * i64::from(number));
        taken(first + number, of, moment)
    });
    each.collect()
}

/// 200 of a database on one host, 120 of a folder there, 80 of the same folder on another host. Some are
/// incomplete, permanent, tagged, void.
fn history() -> Vec<Candidate> {
    let mut all = series(0, &group("atlas", "sqlite:/srv/app.db"), 51 * 60, 200);
    all.extend(series(200, &group("atlas", "/srv/site"), 85 * 60, 120));
    all.extend(series(320, &group("bree", "/srv/site"), 127 * 60 + 30, 80));
    for (number, one) in all.iter_mut().enumerate() {
        if number % 13 == 6 || (190..199).contains(&number) {
            one.standing = Standing::Incomplete;
        }
        if number % 57 == 5 {
            one.standing = Standing::Void;
        }
        one.permanent = number % 40 == 3;
        if number % 25 == 7 {
            one.tags = vec!["release".into(), "web".into()];
        }
    }
    assert_eq!(all.len(), 400);
    all
}

fn policies() -> Vec<RetentionPolicy> {
    let nothing = RetentionPolicy::nothing;
    let mut all = vec![RetentionPolicy::default(), last(1), last(10), last(1000)];
    for period in Period::ALL {
        all.extend([1, 3, 30].map(|count| every(period, count)));
        let periods = [(period, Reach::Within(months(5)))].into();
        all.push(RetentionPolicy { periods, ..nothing() });
    }
    all.push(RetentionPolicy { within: Some(days(45)), ..nothing() });
    all.push(RetentionPolicy { within: Some("36h".parse().unwrap()), ..nothing() });
    all.push(RetentionPolicy { older_than: Some(days(90)), ..nothing() });
    all.push(RetentionPolicy { tags: vec!["none".into(), "web".into()], ..last(2) });
    all.push(RetentionPolicy { older_than: Some(months(2)), ..every(Period::Month, 6) });
    let ladder = [
        (Period::Hour, Reach::Count(24)),
        (Period::Day, Reach::Count(7)),
        (Period::Week, Reach::Within("8w".parse().unwrap())),
        (Period::Month, Reach::Count(12)),
        (Period::Year, Reach::Count(3)),
    ];
    all.push(RetentionPolicy {
        periods: ladder.into(),
        within: Some(days(3)),
        tags: vec!["release".into()],
        older_than: Some(days(5)),
        ..last(4)
    });
    all
}

fn as_the_reference_says(all: &[Candidate], policy: &RetentionPolicy, now: &Zoned) -> usize {
    let is_judged = |one: &&Candidate| one.in_scope && one.standing != Standing::Void;
    let expected: BTreeSet<String> = all
        .iter()
        .filter(is_judged)
        .filter(|one| reference::stays(one, all, policy, now))
        .map(|one| one.name.clone())
        .collect();
    assert_eq!(kept(all, policy, now), expected, "{policy:?} {now}");
    expected.len()
}

#[test]
fn each_rule_and_combinations_in_every_zone() {
    let mut counts = BTreeSet::new();
    let in_every_zone = ZONES.map(|zone| at(NOW, zone));
    // While clocks change, before the end of the history, long after it.
    let moments = ["2026-10-25T00:59:59Z", "2026-03-29T01:00:00Z", "2029-01-01T00:00:00Z"];
    for now in in_every_zone.into_iter().chain(moments.map(|moment| at(moment, BERLIN))) {
        for policy in policies() {
            counts.insert(as_the_reference_says(&history(), &policy, &now));
        }
    }
    assert!(counts.len() > 30, "{counts:?}");
}

#[test]
fn by_tag_source_and_host() {
    let scopes: [fn(&Candidate) -> bool; 4] = [
        |one| one.tags.contains(&"web".to_owned()),
        |one| one.group.sources[0].1.contains("site"),
        |one| one.group.host == "bree",
        |one| one.group.host == "atlas" && !one.tags.is_empty(),
    ];
    let (now, all) = (at(NOW, BERLIN), history());
    for scope in scopes {
        let mut some = all.clone();
        some.iter_mut().for_each(|one| one.in_scope = scope(one));
        for policy in policies() {
            as_the_reference_says(&some, &policy, &now);
        }
    }
}

/// Counted by hand, to check the reference as well. The database's last snapshot is number 199, taken
/// 199 x 51 h after 2025-09-01T00:30Z.
#[test]
fn the_last_ten_of_each() {
    // Permanent are 3, 43, 83…; void are 5, 62, 119…, 404 not being there.
    let permanent = (0..400).filter(|number| number % 40 == 3 && number % 57 != 5);
    // Of 190 to 199 the first nine are incomplete, the last one is good: nothing void among them.
    let of_database = 190..200;
    // 310 to 319, and none is void: 290 and 347 are.
    let of_site = 310..320;
    let on_bree = 390..400;
    let expected = names(permanent.chain(of_database).chain(of_site).chain(on_bree));
    assert_eq!(kept(&history(), &last(10), &at(NOW, BERLIN)), expected);
}

/// Nights at 02:00 UTC from 2025-09-27 to 2026-10-31: number 399 is the last.
fn nights() -> Vec<Candidate> {
    let start: Timestamp = "2025-09-27T02:00:00Z".parse().unwrap();
    let of = group("atlas", "/srv");
    let night = |number: u32| start + SignedDuration::from_hours(24 * i64::from(number));
    (0..400).map(|number| taken(number, &of, night(number))).collect()
}

/// Dates of what stays.
fn dates(policy: &RetentionPolicy) -> Vec<String> {
    let (all, now) = (nights(), at(NOW, BERLIN));
    let stay = kept(&all, policy, &now);
    let some = all.iter().filter(|one| stay.contains(&one.name));
    some.map(|one| {
        let moment = Timestamp::from_second(one.time.seconds).unwrap();
        moment.to_zoned(now.time_zone().clone()).strftime("%Y-%m-%d").to_string()
    })
    .collect()
}

#[test]
fn the_default_is_ten_nights_and_sundays_for_three_months() {
    // 2026-07-31, three months back, is a Friday; the newest of that week is of Sunday, 2 August.
    let sundays = [
        "08-02", "08-09", "08-16", "08-23", "08-30", "09-06", "09-13", "09-20", "09-27", "10-04",
        "10-11", "10-18",
    ];
    let last =
        ["10-22", "10-23", "10-24", "10-25", "10-26", "10-27", "10-28", "10-29", "10-30", "10-31"];
    let expected: Vec<String> =
        sundays.iter().chain(&last).map(|day| format!("2026-{day}")).collect();
    assert_eq!(dates(&RetentionPolicy::default()), expected);
}

#[test]
fn a_ladder_of_days_weeks_months_and_years() {
    let ladder = [
        (Period::Day, Reach::Count(7)),
        (Period::Week, Reach::Count(4)),
        (Period::Month, Reach::Count(12)),
        (Period::Year, Reach::Count(3)),
    ];
    let policy = RetentionPolicy { periods: ladder.into(), ..RetentionPolicy::nothing() };
    let expected = [
        "2025-11-30",
        "2025-12-31",
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
        "2026-05-31",
        "2026-06-30",
        "2026-07-31",
        "2026-08-31",
        "2026-09-30",
        "2026-10-11",
        "2026-10-18",
        "2026-10-25",
        "2026-10-26",
        "2026-10-27",
        "2026-10-28",
        "2026-10-29",
        "2026-10-30",
        "2026-10-31",
    ];
    assert_eq!(dates(&policy), expected);
}

#[test]
fn only_what_is_older() {
    // 30 days before 2026-10-31 12:00 is 2026-10-01 12:00: that day's night is older.
    let policy = RetentionPolicy { older_than: Some(days(30)), ..every(Period::Month, 3) };
    let mut expected = vec!["2026-08-31".to_owned(), "2026-09-30".to_owned()];
    expected.extend((2..=31).map(|day| format!("2026-10-{day:02}")));
    assert_eq!(dates(&policy), expected);
    let alone = RetentionPolicy { older_than: Some(days(30)), ..RetentionPolicy::nothing() };
    assert_eq!(dates(&alone), expected[2..]);
    let all_of_it: Age = "2y".parse().unwrap();
    let alone = RetentionPolicy { older_than: Some(all_of_it), ..RetentionPolicy::nothing() };
    assert_eq!(dates(&alone).len(), 400);
}

/// The same history, looked at from elsewhere.
#[test]
fn a_zone_decides_which_day_it_is() {
    // 02:00 UTC is the evening before in New York, so October's last night is that of the 31st in UTC, seen there
    // on the 30th, and September's is that of 1 October.
    let policy = every(Period::Month, 2);
    assert_eq!(kept(&nights(), &policy, &at(NOW, BERLIN)), names([399, 368]));
    assert_eq!(kept(&nights(), &policy, &at(NOW, NEW_YORK)), names([399, 369]));
}
