//! What a user says of which snapshots stay.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanFieldwise, SpanRelativeTo, Timestamp, Zoned};

/// A stretch of time as people say it: `36h`, `30d`, `3 months`. Days, weeks, months and years are the
/// calendar's: a day in which clocks change is one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Age(SpanFieldwise);

impl Age {
    /// `None` for one that is empty or goes backwards.
    pub fn new(span: Span) -> Option<Self> {
        (span.is_positive()).then(|| Self(span.fieldwise()))
    }

    /// The moment so long before `now`. Before the beginning of time there is nothing: the beginning.
    pub fn before(&self, now: &Zoned) -> Timestamp {
        now.checked_sub(self.0.0).map_or(Timestamp::MIN, |moment| moment.timestamp())
    }

    /// The same by the clock, with days of 24 hours. `None` where it has months or years, whose lengths differ.
    pub fn by_the_clock(&self) -> Option<Duration> {
        let length = self.0.0.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        length.try_into().ok()
    }
}

/// Whether a text has a bare `m` as a unit: it stands for minutes, and many who write it mean months. In the ISO form
/// (`P6M`, `PT6M`) the place of the letter says which.
fn has_bare_m(text: &str) -> bool {
    let is_iso = text.trim_start_matches(['+', '-']).starts_with(['P', 'p']);
    let mut words = text.split(|letter: char| !letter.is_alphabetic());
    !is_iso && words.any(|word| word.eq_ignore_ascii_case("m"))
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if has_bare_m(text) {
            return Err(format!("{text:?} could mean minutes or months: write min or mo"));
        }
        let span = text.trim().parse::<Span>().ok().and_then(Self::new);
        span.ok_or_else(|| {
            format!("{text:?} is not an age: expected one like 36h, 7d, 8w, 3mo or 1y")
        })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#}", self.0.0)
    }
}

/// What of which the newest snapshot is kept: hours, days, ISO weeks (from Monday), months, years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From minute 0 on.
    Hour,
    /// From midnight on.
    Day,
    /// From Monday on.
    Week,
    /// From the first day of a month on.
    Month,
    /// From the first of January on.
    Year,
}

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The rule's name, as on the command line.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Hour => "keep-hourly",
            Self::Day => "keep-daily",
            Self::Week => "keep-weekly",
            Self::Month => "keep-monthly",
            Self::Year => "keep-yearly",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// What the period that holds a moment is called. No two periods of a zone have the same name: of the hour
    /// that comes twice when clocks go back, each has its own offset.
    pub(super) fn name(self, moment: &Zoned) -> String {
        match self {
            Self::Hour => moment.strftime("%Y-%m-%d %Hh %:z").to_string(),
            Self::Day => moment.strftime("%Y-%m-%d").to_string(),
            Self::Week => {
                let week = moment.date().iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Self::Month => moment.strftime("%Y-%m").to_string(),
            Self::Year => moment.strftime("%Y").to_string(),
        }
    }
}

/// Of how many periods the newest is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Of the last so many that have a snapshot.
    Count(u32),
    /// Of those so far back.
    Within(Age),
}

impl FromStr for Reach {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().bytes().all(|byte| byte.is_ascii_digit()) {
            let count = text.trim().parse().ok().filter(|count| *count > 0);
            return count
                .map(Self::Count)
                .ok_or_else(|| format!("{text:?} is too small: expected 1 or more"));
        }
        text.parse().map(Self::Within).map_err(|error| format!("{error}; or a number of them"))
    }
}

/// Which snapshots stay.
///
/// A snapshot goes only if no keep rule keeps it, and only if it is older than `older_than`, where that is said,
/// and only while those that are looked at take more than `max_size`, where that is said: the oldest goes first.
/// Permanent ones stay, and so does the newest complete one of every source and host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The last so many.
    pub last: Option<u32>,
    /// Those taken so long before the source's newest complete one, or before now, whichever is earlier.
    pub within: Option<Age>,
    /// The newest of each hour, day…
    pub periods: BTreeMap<Period, Reach>,
    /// Those with one of these tags.
    pub tags: Vec<String>,
    /// Drop only snapshots older than this.
    pub older_than: Option<Age>,
    /// Bytes.
    pub max_size: Option<u64>,
}

impl Default for RetentionPolicy {
    /// The last ten, and one a week for three months.
    fn default() -> Self {
        let quarter = Reach::Within(Age(Span::new().months(3).fieldwise()));
        Self { last: Some(10), periods: [(Period::Week, quarter)].into(), ..Self::nothing() }
    }
}

impl RetentionPolicy {
    /// No rule at all: nothing goes.
    pub fn nothing() -> Self {
        Self {
            last: None,
            within: None,
            periods: BTreeMap::new(),
            tags: Vec::new(),
            older_than: None,
            max_size: None,
        }
    }

    /// True for a policy without a rule.
    pub fn is_nothing(&self) -> bool {
        *self == Self::nothing()
    }

    /// Why it is not one to run with.
    pub fn fault(&self) -> Option<&'static str> {
        let only_tags = Self { tags: Vec::new(), ..self.clone() }.is_nothing();
        match (only_tags, self.tags.is_empty()) {
            (true, true) => Some("no rule says what is kept or dropped"),
            (true, false) => Some(
                "with keep-tag alone everything without the tag would go: say also what else is kept \
                 (keep-last…), or what may go (older-than, max-size)",
            ),
            _ => None,
        }
    }

    /// Whether any rule says what is kept. Without one, what may go is all that is said.
    pub(super) fn keeps_something(&self) -> bool {
        self.last.is_some()
            || self.within.is_some()
            || !self.periods.is_empty()
            || !self.tags.is_empty()
    }
}
