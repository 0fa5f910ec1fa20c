//! Notes: mutable facts about immutable snapshots. Written once each, merged on read.

use serde::{Deserialize, Serialize};

use super::Time;
use super::record::{Extension, Record};
use crate::id::{ObjectId, SnapshotId};
use crate::limits::SMALL_RECORD_MAX;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoteFact {
    Tag(String),
    Permanent,
    /// `check --read-data` read every byte.
    Verified {
        complete: bool,
    },
    /// A restore drill's verdict.
    Drill {
        passed: bool,
        report: String,
    },
    /// Takes back the notes listed in `off`, and nothing else.
    Off,
    /// Takes back a tag or `permanent` the backup itself set.
    OffTag(String),
    OffPermanent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub snapshot: SnapshotId,
    pub fact: NoteFact,
    /// Notes this one takes back: those its writer had seen. What it had not seen stays (add wins).
    pub off: Vec<ObjectId>,
    pub time: Time,
    pub host: String,
    pub user: String,
    pub ext: Vec<Extension>,
}

impl Record for Note {
    const TAG: u8 = 10;
    const WHAT: &'static str = "note";
    const LIMIT: usize = SMALL_RECORD_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }
}
