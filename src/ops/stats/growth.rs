//! What the snapshots of one source added, over time.

use std::collections::BTreeMap;

use crate::format::Time;

use super::SnapshotStats;

/// The snapshots of the same sources on the same host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// URLs, as the snapshots name them.
    pub sources: Vec<String>,
    /// Host that took them.
    pub host: String,
    /// Number of snapshots.
    pub snapshots: u64,
    /// When the oldest was taken.
    pub first: Time,
    /// When the newest was taken.
    pub last: Time,
    /// Bytes that all of them added to the repository, and those that are not the first.
    pub added: u64,
    /// Bytes added by all but the first.
    pub added_later: u64,
}

impl Growth {
    /// Bytes a snapshot adds that is not the first. `None` where there is only that.
    pub fn a_night(&self) -> Option<u64> {
        self.added_later.checked_div(self.snapshots.saturating_sub(1))
    }
}

/// By sources and host, in that order.
pub(super) fn growth(snapshots: &[SnapshotStats]) -> Vec<Growth> {
    let mut groups: BTreeMap<(&[String], &str), Growth> = BTreeMap::new();
    // They come the oldest first.
    for one in snapshots {
        let group = groups.entry((&one.sources, &one.host)).or_insert_with(|| Growth {
            sources: one.sources.clone(),
            host: one.host.clone(),
            snapshots: 0,
            first: one.time,
            last: one.time,
            added: 0,
            added_later: 0,
        });
        if group.snapshots > 0 {
            group.added_later = group.added_later.saturating_add(one.added());
        }
        group.snapshots += 1;
        group.added = group.added.saturating_add(one.added());
        group.last = one.time;
    }
    groups.into_values().collect()
}
