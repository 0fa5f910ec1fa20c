//! What becomes of each snapshot, and why.

use std::fmt;

use jiff::Timestamp;

use crate::format::{SourceRecord, Time};
use crate::id::SnapshotId;
use crate::repo::{Snapshot, Standing};

use super::policy::{Age, Period, Reach};

/// The snapshots that retention looks at together: of the same sources, taken on the same host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetentionGroup {
    /// Host that took the snapshots.
    pub host: String,
    /// Kind and URL of each, sorted.
    pub sources: Vec<(String, String)>,
}

impl RetentionGroup {
    /// Makes a group of a host and pairs of kind and URL.
    pub fn new(host: &str, sources: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut sources: Vec<_> = sources.into_iter().collect();
        sources.sort();
        sources.dedup();
        Self { host: host.to_owned(), sources }
    }
}

/// What retention has to know of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its name.
    pub name: String,
    /// When it was taken.
    pub time: Time,
    /// Seconds east of UTC where it was taken.
    pub zone_offset: i32,
    /// The series that it belongs to.
    pub group: RetentionGroup,
    /// All tags it has.
    pub tags: Vec<String>,
    /// A rule may not drop it.
    pub permanent: bool,
    /// Whether it is complete.
    pub standing: Standing,
    /// As [`Snapshot::is_future`]: it stays, and fills no rule.
    pub is_future: bool,
    /// Whether it may go. What is out of scope may still be a source's newest complete one.
    pub in_scope: bool,
}

impl Candidate {
    /// Makes a candidate of a snapshot.
    pub fn new(snapshot: &Snapshot, in_scope: bool) -> Self {
        let manifest = &snapshot.manifest;
        let source = |source: &SourceRecord| (source.kind.clone(), source.url.clone());
        Self {
            id: snapshot.id,
            name: manifest.name.clone(),
            time: manifest.time,
            zone_offset: manifest.zone_offset,
            group: RetentionGroup::new(&manifest.host, manifest.sources.iter().map(source)),
            tags: snapshot.tags.clone(),
            permanent: snapshot.is_protected(),
            standing: snapshot.standing,
            is_future: snapshot.is_future,
            in_scope,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.standing == Standing::Good
    }

    /// `None` where the manifest has a time that no calendar has, or one from a clock that was wrong.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        if self.is_future {
            return None;
        }
        Timestamp::new(self.time.seconds, i32::try_from(self.time.nanos).ok()?).ok()
    }
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// It is exempt from rules.
    Permanent,
    /// Of its sources and host; where none is complete, the newest there is.
    Newest {
        /// It lacks no entry.
        complete: bool,
    },
    /// One of the last so many.
    Last(u32),
    /// Taken within this time before the newest.
    Within(Age),
    /// The newest of a period; the period's name.
    NewestOf(Period, String, Reach),
    /// It has this tag.
    Tag(String),
    /// Not older than that.
    Young(Age),
    /// All that is left takes no more than that.
    Fits(u64),
    /// Its time makes no sense or lies in the future, so none of the rules does.
    Timeless,
    /// No rule says that anything goes.
    NoRule,
}

impl KeepReason {
    /// The rule's name, as on the command line where it stands there.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Newest { .. } => "newest",
            Self::Last(_) => "keep-last",
            Self::Within(_) => "keep-within",
            Self::NewestOf(period, ..) => period.rule(),
            Self::Tag(_) => "keep-tag",
            Self::Young(_) => "older-than",
            Self::Fits(_) => "max-size",
            Self::Timeless => "timeless",
            Self::NoRule => "no-rule",
        }
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent => out.write_str("permanent"),
            Self::Newest { complete: true } => out.write_str("the newest complete one"),
            Self::Newest { complete: false } => {
                out.write_str("the newest one, and none is complete")
            }
            Self::Last(count) => write!(out, "one of the last {count}"),
            Self::Within(age) => write!(out, "within {age}"),
            Self::NewestOf(period, name, reach) => {
                let word = period.word();
                write!(out, "the newest of {word} {name}, ")?;
                match reach {
                    Reach::Count(1) => write!(out, "the last {word}"),
                    Reach::Count(count) => write!(out, "one of the last {count} {word}s"),
                    Reach::Within(age) => write!(out, "within {age}"),
                }
            }
            Self::Tag(tag) => write!(out, "tag {tag:?}"),
            Self::Young(age) => write!(out, "not older than {age}"),
            Self::Fits(max) => write!(out, "all that is left fits into {}", Amount(*max)),
            Self::Timeless => out.write_str("its time makes no sense: a clock was wrong"),
            Self::NoRule => out.write_str("no rule says that anything goes"),
        }
    }
}

/// Why a snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// No rule keeps it.
    Unkept,
    /// No rule keeps it, and it is older than that.
    Older(Age),
    /// No rule keeps it, and with it there would be more bytes than that.
    TooMuch(u64),
}

impl DropReason {
    /// The rule's name, as on the command line.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Unkept => "no-rule",
            Self::Older(_) => "older-than",
            Self::TooMuch(_) => "max-size",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unkept => out.write_str("no rule keeps it"),
            Self::Older(age) => write!(out, "older than {age}, and no rule keeps it"),
            Self::TooMuch(max) => {
                write!(out, "over the budget of {}, and no rule keeps it", Amount(*max))
            }
        }
    }
}

/// Bytes as they were said: in the largest unit of which they are a whole number.
struct Amount(u64);

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if left == 0 || !left.is_multiple_of(1024) {
                return write!(out, "{left} {unit}");
            }
            left /= 1024;
        }
        write!(out, "{left} TiB")
    }
}

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// By all of these.
    Kept(Vec<KeepReason>),
    /// It is deleted, for this reason.
    Dropped(DropReason),
}

/// A snapshot and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: Candidate,
    /// What becomes of it.
    pub fate: Fate,
}

impl Verdict {
    /// True where the snapshot is to be deleted.
    pub fn is_dropped(&self) -> bool {
        matches!(self.fate, Fate::Dropped(_))
    }

    /// Names of the rules, each with its words.
    pub fn rules(&self) -> Vec<(&'static str, String)> {
        match &self.fate {
            Fate::Kept(reasons) => {
                reasons.iter().map(|one| (one.rule(), one.to_string())).collect()
            }
            Fate::Dropped(reason) => vec![(reason.rule(), reason.to_string())],
        }
    }
}
