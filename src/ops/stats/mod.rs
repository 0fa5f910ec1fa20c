//! What snapshots and the repository come to.

mod growth;
mod unique;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::format::{Statistics, Time, name};
use crate::id::{ObjectId, SnapshotId};
use crate::options::options;
use crate::progress::Cancel;
use crate::repo::{RepoError, Repository, Snapshot};
use crate::storage::Key;

pub use self::growth::Growth;
use self::growth::growth;
pub use self::unique::ChunkTotals;
use super::OpError;

/// Folders of a repository, each with objects of one kind.
const KINDS: [&str; 8] = [
    name::PACKS,
    name::PARITY,
    name::INDEX,
    name::SNAPSHOTS,
    name::NOTES,
    name::KEYS,
    name::CONDEMNED,
    name::CONFIG,
];

options! {
    /// What to count.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct StatsOptions {
        /// Only these snapshots, and nothing of the repository as a whole.
        pub snapshots: Option<Vec<SnapshotId>>,
    }
}

/// One snapshot's numbers, as its manifest has them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStats {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its name.
    pub name: String,
    /// URLs of what it is of, sorted.
    pub sources: Vec<String>,
    /// Host that took it.
    pub host: String,
    /// When it was taken.
    pub time: Time,
    /// Counts of its backup.
    pub counts: Statistics,
}

impl SnapshotStats {
    /// Bytes the snapshot added to the repository: new chunks, catalog and recipes as they are stored.
    pub fn added(&self) -> u64 {
        let data = self.counts.plain_stored.saturating_add(self.counts.delta_stored);
        data.saturating_add(self.counts.metadata_stored)
    }

    /// Bytes of its streams that were in the repository before it, or stand in it more than once.
    pub fn known_bytes(&self) -> u64 {
        self.counts.logical_bytes.saturating_sub(self.counts.new_bytes)
    }

    /// How many times more it holds than it added. `None` where it added nothing.
    pub fn ratio(&self) -> Option<f64> {
        ratio(self.counts.logical_bytes, self.added())
    }
}

/// Objects of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectTotals {
    /// Number of objects.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The repository as a whole.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepositoryStats {
    /// By folder: `packs`, `index`, `snapshots`…
    pub objects: BTreeMap<&'static str, ObjectTotals>,
    /// Chunks of streams, and nodes of catalogs and recipes.
    pub data: ChunkTotals,
    /// Chunks of catalogs and recipes.
    pub metadata: ChunkTotals,
    /// Bytes of the streams of all snapshots, each counted as often as it stands in one.
    pub logical_bytes: u64,
    /// Index objects that cannot be read: their chunks are not counted.
    pub unreadable_index: Vec<(ObjectId, String)>,
}

impl RepositoryStats {
    /// Bytes of all objects.
    pub fn stored_bytes(&self) -> u64 {
        self.objects.values().map(|kind| kind.bytes).sum()
    }

    /// Bytes of all streams to bytes of distinct chunks.
    pub fn deduplication(&self) -> Option<f64> {
        ratio(self.logical_bytes, self.data.unique_bytes)
    }

    /// Bytes of distinct chunks to what one copy of each is stored in, deltas included.
    pub fn compression(&self) -> Option<f64> {
        ratio(self.data.copied_bytes, self.data.stored_bytes)
    }

    /// Bytes of all streams to everything the repository takes.
    pub fn ratio(&self) -> Option<f64> {
        ratio(self.logical_bytes, self.stored_bytes())
    }
}

/// What was counted.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct StatsReport {
    /// Oldest first.
    pub snapshots: Vec<SnapshotStats>,
    /// What they added, by source and host.
    pub growth: Vec<Growth>,
    /// `None` where only certain snapshots were asked for.
    pub repository: Option<RepositoryStats>,
    /// Snapshots whose manifests cannot be read, and why.
    pub unreadable: Vec<(SnapshotId, RepoError)>,
}

/// Counts. Memory does not grow with the number of chunks.
pub fn stats(
    repository: &Repository,
    options: &StatsOptions,
    cancel: &Cancel,
) -> Result<StatsReport, OpError> {
    let (mut snapshots, unreadable) = match &options.snapshots {
        None => repository.snapshots()?,
        Some(ids) => {
            let read: Result<Vec<_>, _> = ids.iter().map(|id| repository.snapshot(id)).collect();
            (read?, Vec::new())
        }
    };
    snapshots.sort_by_key(|snapshot| (snapshot.manifest.time, snapshot.id));
    let snapshots: Vec<SnapshotStats> = snapshots.into_iter().map(of_snapshot).collect();
    let growth = growth(&snapshots);
    let mut report = StatsReport { snapshots, growth, unreadable, repository: None };
    if options.snapshots.is_none() {
        let mut whole = RepositoryStats { objects: objects(repository)?, ..Default::default() };
        let logical = report.snapshots.iter().map(|snapshot| snapshot.counts.logical_bytes);
        whole.logical_bytes = logical.fold(0, u64::saturating_add);
        unique::count(repository, &mut whole, cancel)?;
        report.repository = Some(whole);
    }
    Ok(report)
}

fn of_snapshot(snapshot: Snapshot) -> SnapshotStats {
    let manifest = snapshot.manifest;
    let (time, counts) = (manifest.time, manifest.statistics);
    let mut sources: Vec<String> = manifest.sources.into_iter().map(|source| source.url).collect();
    sources.sort();
    let (id, name, host) = (snapshot.id, manifest.name, manifest.host);
    SnapshotStats { id, name, sources, host, time, counts }
}

fn objects(repository: &Repository) -> Result<BTreeMap<&'static str, ObjectTotals>, OpError> {
    let mut objects = BTreeMap::new();
    for folder in KINDS {
        let totals: &mut ObjectTotals = objects.entry(folder).or_default();
        let prefix = Key::new(folder).map_err(RepoError::from)?;
        repository.storage().list(&prefix, &mut |listed| {
            totals.count += 1;
            totals.bytes = totals.bytes.saturating_add(listed.len);
        })?;
    }
    Ok(objects)
}

fn ratio(of: u64, to: u64) -> Option<f64> {
    // Only for people to read: what a double cannot hold exactly does not matter.
    (to > 0).then(|| of as f64 / to as f64)
}
