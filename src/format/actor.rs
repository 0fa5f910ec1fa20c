//! Writers and prunes at work: who they are, so that others can tell whether they still live.

use serde::{Deserialize, Serialize};

use super::Time;
use super::record::{Extension, Record};
use crate::id::ActorId;
use crate::limits::SMALL_RECORD_MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorRole {
    Writer,
    Prune,
}

/// What `active/<id>` holds; `beats/<id>` and `void/<id>` repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRecord {
    pub id: ActorId,
    pub role: ActorRole,
    /// By the host's clock: for people, never for decisions.
    pub started: Time,
    pub host: String,
    pub user: String,
    pub process: u32,
    /// Tells a boot, and a process of the same number, from a later one. Empty where unknown.
    pub boot: String,
    pub process_start: u64,
    pub tool: String,
    pub ext: Vec<Extension>,
}

impl ActorRecord {
    /// An actor of which nothing is known but its id.
    pub fn unknown(id: ActorId) -> Self {
        Self {
            id,
            role: ActorRole::Writer,
            started: Time { seconds: 0, nanos: 0 },
            host: String::new(),
            user: String::new(),
            process: 0,
            boot: String::new(),
            process_start: 0,
            tool: String::new(),
            ext: Vec::new(),
        }
    }
}

impl Record for ActorRecord {
    const TAG: u8 = 11;
    const WHAT: &'static str = "actor";
    const LIMIT: usize = SMALL_RECORD_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }
}
