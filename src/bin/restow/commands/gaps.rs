//! What a restore cannot bring back because the snapshot never had it.

use anyhow::Result;
use restow::{EntryPath, Filter, Gaps, Selection, Snapshot, SnapshotManager, SnapshotView};
use serde_json::{Value, json};

use crate::output;

/// The gaps, and the snapshot that might be wanted instead.
pub struct Missing {
    gaps: Gaps,
    instead: Option<Snapshot>,
}

impl Missing {
    /// `filter`: it was the latest of these that was asked for, not this very snapshot.
    pub fn of(
        manager: &SnapshotManager,
        view: &SnapshotView,
        selection: &Selection,
        filter: Option<&Filter>,
    ) -> Result<Self> {
        Self::with(manager, view, manager.gaps(view, selection)?, filter)
    }

    /// Likewise, of one entry.
    pub fn of_entry(
        manager: &SnapshotManager,
        view: &SnapshotView,
        path: &EntryPath,
        filter: Option<&Filter>,
    ) -> Result<Self> {
        Self::with(manager, view, manager.gaps_in(view, path)?, filter)
    }

    fn with(
        manager: &SnapshotManager,
        view: &SnapshotView,
        gaps: Gaps,
        filter: Option<&Filter>,
    ) -> Result<Self> {
        let instead = match filter {
            Some(filter) if gaps.count > 0 => manager.newest_complete(&view.manifest, filter)?,
            _ => None,
        };
        Ok(Self { gaps, instead })
    }

    /// How many gaps, and patterns that name nothing.
    pub fn count(&self) -> u64 {
        self.gaps.count + self.gaps.unmatched.len() as u64
    }

    pub fn show(&self) {
        for pattern in &self.gaps.unmatched {
            eprintln!("not in the snapshot: nothing is named by {}", pattern.display());
        }
        output::problems("not in the snapshot", &self.gaps.problems, self.gaps.count);
        if let Some(snapshot) = &self.instead {
            let name = output::lossy(snapshot.manifest.name.as_bytes());
            eprintln!("the newest complete snapshot is {} {name}", snapshot.id.short());
        }
    }

    /// Adds its fields to a document.
    pub fn add_to(&self, document: &mut Value) {
        let problems: Vec<_> = self.gaps.problems.iter().map(output::problem_json).collect();
        document["missing_count"] = json!(self.gaps.count);
        let unmatched: Vec<_> = self.gaps.unmatched.iter().map(|it| it.to_string_lossy()).collect();
        document["unmatched"] = json!(unmatched);
        document["missing"] = json!(problems);
        document["complete_snapshot"] = json!(self.instead.as_ref().map(|it| it.id.to_hex()));
    }
}
