//! The plan alone, without a repository: what is expected is written down, or found by counting.

mod history;
mod properties;
mod reference;
mod rules;

use std::collections::BTreeSet;
use std::convert::Infallible;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::format::Time;
use crate::id::SnapshotId;
use crate::repo::Standing;

use super::plan::{Policies, Question, Sizes, plan};
use super::policy::{Age, Period, Reach, RetentionPolicy};
use super::verdict::{Candidate, RetentionGroup, Verdict};

/// Zones by their rules: no database of zones is needed.
const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
const AUCKLAND: &str = "NZST-12NZDT,M9.5.0,M4.1.0/3";
/// Clocks change by half an hour.
const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";
const ZONES: [&str; 5] = ["UTC0", BERLIN, NEW_YORK, AUCKLAND, LORD_HOWE];

fn zone(rules: &str) -> TimeZone {
    TimeZone::posix(rules).unwrap()
}

/// A moment as it is said in UTC, seen in a zone.
fn at(utc: &str, rules: &str) -> Zoned {
    utc.parse::<Timestamp>().unwrap().to_zoned(zone(rules))
}

fn days(count: i64) -> Age {
    Age::new(Span::new().days(count)).unwrap()
}

fn months(count: i64) -> Age {
    Age::new(Span::new().months(count)).unwrap()
}

fn group(host: &str, url: &str) -> RetentionGroup {
    RetentionGroup::new(host, [("folder".to_owned(), url.to_owned())])
}

/// The snapshot of this number, complete, with no marks.
fn taken(number: u32, of: &RetentionGroup, moment: Timestamp) -> Candidate {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    Candidate {
        id: SnapshotId::new(id),
        name: format!("s{number}"),
        time: Time {
            seconds: moment.as_second(),
            nanos: moment.subsec_nanosecond().unsigned_abs(),
        },
        zone_offset: 0,
        group: of.clone(),
        tags: Vec::new(),
        permanent: false,
        standing: Standing::Good,
        is_future: false,
        in_scope: true,
    }
}

/// One source's snapshots at these moments in UTC.
fn taken_at(moments: &[&str]) -> Vec<Candidate> {
    let of = group("atlas", "/srv");
    let each = (0..).zip(moments);
    each.map(|(number, moment)| taken(number, &of, moment.parse().unwrap())).collect()
}

fn weightless(question: &Question) -> Result<Sizes, Infallible> {
    Ok(Sizes { kept: 0, droppable: vec![0; question.droppable.len()] })
}

fn planned(candidates: &[Candidate], policy: &RetentionPolicy, now: &Zoned) -> Vec<Verdict> {
    let policies = Policies { common: policy, own: &[] };
    plan(candidates, policies, now, weightless).unwrap().0
}

/// Names of what stays, sorted.
fn kept(candidates: &[Candidate], policy: &RetentionPolicy, now: &Zoned) -> BTreeSet<String> {
    let verdicts = planned(candidates, policy, now);
    assert_eq!(
        verdicts.len(),
        candidates.iter().filter(|it| it.in_scope && it.standing != Standing::Void).count()
    );
    let stay = verdicts.into_iter().filter(|verdict| !verdict.is_dropped());
    stay.map(|verdict| verdict.snapshot.name).collect()
}

fn names(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    numbers.into_iter().map(|number| format!("s{number}")).collect()
}

fn last(count: u32) -> RetentionPolicy {
    RetentionPolicy { last: Some(count), ..RetentionPolicy::nothing() }
}

fn every(period: Period, count: u32) -> RetentionPolicy {
    let periods = [(period, Reach::Count(count))].into();
    RetentionPolicy { periods, ..RetentionPolicy::nothing() }
}
