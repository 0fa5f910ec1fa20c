//! Manifests: the record, and the commit, of a snapshot.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::record::{Extension, Record};
use super::{Bytes, EntryPath, FormatError, Time, TreeRoot};
use crate::id::{ActorId, SnapshotId};
use crate::limits::{MANIFEST_MAX, PROBLEMS_MAX};

/// What a manifest stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManifestKind {
    Snapshot,
    /// A stretch of a database's log, for recovery to a point in time.
    Log {
        log: String,
        from: Bytes,
        to: Bytes,
        from_time: Time,
        to_time: Time,
    },
}

/// The point in a source's own history that its part of the snapshot shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// `lsn`, `gtid`, `binlog`, `mvcc`, `tick`, `revision`, `none`…
    pub kind: String,
    pub value: String,
}

/// One of the sources taken together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// `folder`, `file`, `sqlite`, `mysql`…
    pub kind: String,
    /// Absolute path or URL, without secrets.
    pub url: String,
    /// Where its entries stand in the catalog; the root for a single source.
    pub prefix: EntryPath,
    /// The snapshot whose bytes were taken over where nothing had changed.
    pub parent: Option<SnapshotId>,
    /// The point in its own time at which a database was read.
    pub consistency: Option<Consistency>,
    /// Facts its kind defines: counts, versions, options.
    pub properties: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitState {
    pub commit: String,
    pub branch: Option<String>,
}

/// Something that could not be read as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The entry concerned, as a path in the snapshot.
    pub path: Bytes,
    /// What happened to it.
    pub message: String,
}

/// Counts of a backup. The names for serde are those of the JSON documents; the record has no names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Entries in the catalog.
    pub entries: u64,
    /// Entries whose stream was taken over from the parent unread.
    pub unchanged: u64,
    /// Bytes of all streams.
    pub logical_bytes: u64,
    /// Bytes read from the source.
    pub read_bytes: u64,
    /// References to chunks in all recipes.
    pub chunks: u64,
    /// Chunks that the repository did not have.
    pub new_chunks: u64,
    /// Raw bytes of the new chunks, those coded as deltas, and what each is stored in.
    pub new_bytes: u64,
    /// Bytes of blocks that are coded without a base.
    #[serde(rename = "plain_stored_bytes")]
    pub plain_stored: u64,
    /// Bytes of chunks that are coded as deltas.
    pub delta_bytes: u64,
    /// Bytes of blocks that are coded as deltas.
    #[serde(rename = "delta_stored_bytes")]
    pub delta_stored: u64,
    /// Catalog and recipes: raw bytes new, and what they are stored in.
    pub metadata_bytes: u64,
    /// Bytes of blocks with catalog and recipe nodes.
    #[serde(rename = "metadata_stored_bytes")]
    pub metadata_stored: u64,
    /// How long the backup took.
    pub duration_ms: u64,
}

/// The record of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What the snapshot was taken for.
    pub kind: ManifestKind,
    /// `<source>_<YYYYMMDD>_<HHMMSS>[_<slug of the description>]`, local time.
    pub name: String,
    /// Text of the user, or empty.
    pub description: String,
    /// When the backup began.
    pub time: Time,
    /// Seconds east of UTC, and the zone's name where the host knew it.
    pub zone_offset: i32,
    /// Name of the host's time zone.
    pub zone: String,
    /// Host on which the backup ran.
    pub host: String,
    /// User who ran it.
    pub user: String,
    /// What was backed up.
    pub sources: Vec<SourceRecord>,
    /// Tags given at the backup; later ones are notes.
    pub tags: Vec<String>,
    /// The snapshot was made permanent at the backup.
    pub permanent: bool,
    /// Something could not be read; `problems` lists it.
    pub incomplete: bool,
    /// The first entries that could not be read.
    pub problems: Vec<Problem>,
    /// All entries that could not be read.
    pub problem_count: u64,
    /// The git commit of the folder in which the backup ran.
    pub git: Option<GitState>,
    /// Program and version that took the snapshot.
    pub tool: String,
    /// The backup as an actor.
    pub writer: ActorId,
    /// Counts of the backup.
    pub statistics: Statistics,
    /// Root of the catalog.
    pub catalog: TreeRoot,
    /// Fields of later versions.
    pub ext: Vec<Extension>,
}

impl Record for Manifest {
    const TAG: u8 = 9;
    const WHAT: &'static str = "manifest";
    const LIMIT: usize = MANIFEST_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        if self.problems.len() > PROBLEMS_MAX {
            let expected = format!("at most {PROBLEMS_MAX} problems");
            return Err(FormatError::damaged(Self::WHAT, 2, expected, self.problems.len()));
        }
        if let Some(source) = self.sources.iter().find(|source| !source.prefix.is_safe()) {
            let found = format!("{:?}", source.prefix);
            return Err(FormatError::damaged(Self::WHAT, 2, "a safe relative prefix", found));
        }
        self.check_prefixes()?;
        self.catalog.check(Self::WHAT)
    }
}

impl Manifest {
    /// No source lies in another: what one brings could decide where the other goes.
    fn check_prefixes(&self) -> Result<(), FormatError> {
        let is_single = self.sources.len() == 1;
        let mut taken = HashSet::new();
        for SourceRecord { prefix, .. } in &self.sources {
            let is_apart = match prefix.components().count() {
                0 => is_single,
                components => components == 1,
            };
            if !is_apart || !taken.insert(prefix) {
                let found = format!("{prefix:?}");
                let expected = "a name of its own for each source";
                return Err(FormatError::damaged(Self::WHAT, 2, expected, found));
            }
        }
        Ok(())
    }
}
