//! Which snapshot a user means.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use crate::format::{Manifest, SourceRecord, name};
use crate::id::SnapshotId;

use super::objects::list_ids;
use super::{Filter, RepoError, Repository, Snapshot, Standing};

/// `latest`, an id, a prefix of one, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The newest snapshot that matches.
    Latest,
    /// An id, the start of one, or a name.
    Named(String),
}

impl Selector {
    /// Takes the text of a user: `latest`, or an id, its start or a name.
    pub fn new(text: &str) -> Self {
        match text {
            "latest" => Self::Latest,
            _ => Self::Named(text.into()),
        }
    }
}

/// Fewer hex digits than this are no prefix.
const PREFIX_MIN: usize = 4;

impl Repository {
    /// The one snapshot meant. Void ones answer to their whole id only.
    pub fn find(&self, selector: &Selector, filter: &Filter) -> Result<Snapshot, RepoError> {
        let (snapshots, unreadable) = self.snapshots()?;
        filter.refuse_unknown(&snapshots, || self.place())?;
        let matching = snapshots.into_iter().filter(|snapshot| filter.matches(snapshot));
        let missing =
            |wanted: &str| RepoError::NoSnapshot { place: self.place(), wanted: wanted.into() };
        let wanted = match selector {
            Selector::Latest => {
                let mut visible: Vec<Snapshot> = matching
                    .filter(|snapshot| snapshot.standing != Standing::Void && !snapshot.is_future)
                    .collect();
                filter.refuse_several(&visible)?;
                let latest = visible.pop();
                self.none_newer(latest.as_ref(), unreadable)?;
                return self.whole(latest.ok_or_else(|| missing("latest"))?);
            }
            Selector::Named(wanted) => wanted,
        };
        let is_prefix = wanted.len() >= PREFIX_MIN && wanted.bytes().all(|b| b.is_ascii_hexdigit());
        let meant =
            |id: &SnapshotId| is_prefix && id.to_hex().starts_with(&wanted.to_ascii_lowercase());
        if let Some((_, error)) = unreadable.into_iter().find(|(id, _)| meant(id)) {
            return Err(error);
        }
        let mut candidates: Vec<Snapshot> = matching
            .filter(|snapshot| {
                let id = snapshot.id.to_hex();
                let visible = snapshot.standing != Standing::Void || id == *wanted;
                let by_id = is_prefix && id.starts_with(&wanted.to_ascii_lowercase());
                visible && (by_id || snapshot.manifest.name == *wanted)
            })
            .collect();
        match candidates.len() {
            0 => Err(missing(wanted)),
            1 => self.whole(candidates.pop().ok_or_else(|| missing(wanted))?),
            _ => Err(RepoError::Ambiguous {
                wanted: wanted.clone(),
                candidates: candidates
                    .iter()
                    .map(|found| format!("{} ({})", found.id.short(), found.manifest.name))
                    .collect(),
            }),
        }
    }

    /// A manifest that cannot be read may be the one that is meant by `latest`. By the storage's own times:
    /// its content tells nothing.
    fn none_newer(
        &self,
        latest: Option<&Snapshot>,
        unreadable: Vec<(SnapshotId, RepoError)>,
    ) -> Result<(), RepoError> {
        if unreadable.is_empty() {
            return Ok(());
        }
        let listed = list_ids::<SnapshotId>(&**self.storage(), name::SNAPSHOTS)?;
        let stored: HashMap<SnapshotId, SystemTime> =
            listed.into_iter().map(|(id, listed)| (id, listed.stored)).collect();
        let found = latest.and_then(|latest| stored.get(&latest.id));
        let newer = |id: &SnapshotId| match (stored.get(id), found) {
            (Some(unreadable), Some(found)) => unreadable >= found,
            (unreadable, _) => unreadable.is_some(),
        };
        match unreadable.into_iter().find(|(id, _)| newer(id)) {
            Some((id, source)) => Err(RepoError::LatestUnreadable { id, source: Box::new(source) }),
            None => Ok(()),
        }
    }

    /// With what a listing leaves out of its manifest.
    fn whole(&self, snapshot: Snapshot) -> Result<Snapshot, RepoError> {
        Ok(Snapshot { manifest: self.manifest(&snapshot.id)?, ..snapshot })
    }

    /// The newest snapshot of the same sources on the same host that matches and lacks nothing.
    pub fn newest_complete(
        &self,
        like: &Manifest,
        filter: &Filter,
    ) -> Result<Option<Snapshot>, RepoError> {
        let sources = |manifest: &Manifest| {
            let named = manifest.sources.iter().map(|one| (one.kind.clone(), one.url.clone()));
            named.collect::<BTreeSet<_>>()
        };
        let wanted = sources(like);
        let is_alike = |snapshot: &Snapshot| {
            filter.matches(snapshot)
                && snapshot.standing == Standing::Good
                && !snapshot.is_future
                && snapshot.manifest.host == like.host
                && sources(&snapshot.manifest) == wanted
        };
        Ok(self.snapshots()?.0.into_iter().rev().find(is_alike))
    }

    /// The newest snapshot that has this source, taken on this host: a backup's parent.
    pub fn parent_of<'s>(
        &self,
        snapshots: &'s [Snapshot],
        kind: &str,
        url: &str,
    ) -> Option<&'s Snapshot> {
        let host = &self.identity().host;
        let has = |snapshot: &&Snapshot| {
            let same = |source: &SourceRecord| source.kind == kind && source.url == url;
            snapshot.standing != Standing::Void
                && !snapshot.is_future
                && snapshot.manifest.host == *host
                && snapshot.manifest.sources.iter().any(same)
        };
        snapshots.iter().rev().find(has)
    }
}
