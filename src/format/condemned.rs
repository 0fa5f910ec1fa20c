//! Condemned objects: the mark that precedes deletion.

use serde::{Deserialize, Serialize};

use super::record::{Extension, Record};
use crate::id::{ActorId, ObjectId, PackId};
use crate::limits::INDEX_MAX;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condemnation {
    /// These packs will be deleted: they give no hits and no bases.
    Packs(Vec<PackId>),
    /// The prune that wrote `condemned` waits for these writers.
    Waiting { condemned: ObjectId, writers: Vec<ActorId> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CondemnedRecord {
    pub prune: ActorId,
    pub what: Condemnation,
    pub ext: Vec<Extension>,
}

impl Record for CondemnedRecord {
    const TAG: u8 = 12;
    const WHAT: &'static str = "condemned";
    const LIMIT: usize = INDEX_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }
}
