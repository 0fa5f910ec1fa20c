//! `restow.json`, in the clear, and the sealed configuration it announces.

use serde::{Deserialize, Serialize};

use super::record::{Extension, Record, check_version};
use super::{FormatError, Time};
use crate::id::RepositoryId;
use crate::limits::{
    CHUNK_MAX_LIMIT, CHUNK_MIN_LIMIT, DELTA_DEPTH_MAX, PACK_TARGET_MAX, PACK_TARGET_MIN,
    PLAIN_RECORD_MAX, SMALL_RECORD_MAX,
};

pub const MARKER_NAME: &str = "restow.json";

/// The plain marker of a repository. Nothing in it is trusted: the sealed config repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    pub repository: RepositoryId,
    /// RFC 3339, UTC, for people.
    pub created: String,
}

#[derive(Serialize, Deserialize)]
struct MarkerJson {
    restow: String,
    version: u8,
    repository: String,
    created: String,
}

impl Marker {
    const WHAT: &'static str = "restow.json";

    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let json = MarkerJson {
            restow: "repository".into(),
            version: crate::limits::FORMAT_VERSION,
            repository: self.repository.to_hex(),
            created: self.created.clone(),
        };
        let mut bytes = serde_json::to_vec_pretty(&json)
            .map_err(|error| FormatError::damaged(Self::WHAT, 0, "encodable JSON", error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > PLAIN_RECORD_MAX {
            let expected = format!("at most {PLAIN_RECORD_MAX} bytes");
            return Err(FormatError::damaged(Self::WHAT, 0, expected, bytes.len()));
        }
        let json: MarkerJson = serde_json::from_slice(bytes)
            .map_err(|error| FormatError::damaged(Self::WHAT, 0, "a repository marker", error))?;
        if json.restow != "repository" {
            let found = format!("{:?}", json.restow);
            return Err(FormatError::damaged(Self::WHAT, 0, "\"restow\": \"repository\"", found));
        }
        check_version(Self::WHAT, 0, json.version)?;
        let repository = json
            .repository
            .parse()
            .map_err(|error| FormatError::damaged(Self::WHAT, 0, "a repository id", error))?;
        Ok(Self { repository, created: json.created })
    }
}

/// What was decided when the repository was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRecord {
    pub repository: RepositoryId,
    pub created: Time,
    pub chunk_min: u32,
    pub chunk_avg: u32,
    pub chunk_max: u32,
    /// zstd level for new blocks.
    pub compression: i32,
    /// A pack closes past this many bytes.
    pub pack_target: u32,
    /// Percent of a pack stored again as parity; 0 for none.
    pub parity_percent: u8,
    pub delta_depth: u8,
    pub ext: Vec<Extension>,
}

impl Record for ConfigRecord {
    const TAG: u8 = 8;
    const WHAT: &'static str = "config";
    const LIMIT: usize = SMALL_RECORD_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        let sizes = [self.chunk_min, self.chunk_avg, self.chunk_max];
        let chunks = CHUNK_MIN_LIMIT <= self.chunk_min
            && self.chunk_min < self.chunk_avg
            && self.chunk_avg < self.chunk_max
            && self.chunk_max <= CHUNK_MAX_LIMIT
            && self.chunk_avg.is_power_of_two()
            && sizes.iter().all(|size| size.is_multiple_of(2))
            && (256..=1024 * 1024).contains(&self.chunk_avg);
        if !chunks {
            let expected = format!(
                "even chunk sizes, {CHUNK_MIN_LIMIT} <= min < avg < max <= {CHUNK_MAX_LIMIT}, avg a power of two from 256 to 1 MiB"
            );
            return Err(FormatError::damaged(Self::WHAT, 2, expected, format!("{sizes:?}")));
        }
        if !(PACK_TARGET_MIN..=PACK_TARGET_MAX).contains(&self.pack_target) {
            let expected = format!("a pack target of {PACK_TARGET_MIN} to {PACK_TARGET_MAX} bytes");
            return Err(FormatError::damaged(Self::WHAT, 2, expected, self.pack_target));
        }
        if !(-7..=22).contains(&self.compression) {
            let expected = "a zstd level from -7 to 22";
            return Err(FormatError::damaged(Self::WHAT, 2, expected, self.compression));
        }
        if self.parity_percent > 100 {
            let expected = "parity of at most 100 percent";
            return Err(FormatError::damaged(Self::WHAT, 2, expected, self.parity_percent));
        }
        if self.delta_depth > DELTA_DEPTH_MAX {
            let expected = format!("a delta depth of at most {DELTA_DEPTH_MAX}");
            return Err(FormatError::damaged(Self::WHAT, 2, expected, self.delta_depth));
        }
        Ok(())
    }
}
