//! What becomes of each table of a restore. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::Nouns;
use crate::source::Fate;

/// What a restore does with a table that is at the target already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::source) enum ConflictPolicy {
    #[default]
    Refuse,
    /// The table stays as it is. Only tables that are missing are restored.
    Skip,
    Replace,
    /// The table is kept: its name gets this ending.
    KeepAs(String),
}

impl ConflictPolicy {
    /// Without consent nothing that is there is replaced.
    pub fn with_consent(self, is_given: bool) -> Self {
        match self {
            Self::Replace | Self::KeepAs(_) if !is_given => Self::Refuse,
            other => other,
        }
    }
}

/// A table of the snapshot that is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct WantedTable {
    pub from: String,
    pub to: String,
    /// Tables of a lower rank are made first.
    pub rank: u32,
    /// Rows are put among those that are there, in place of those with the same key. Nothing is dropped, whatever
    /// the policy. For tables that a server keeps for itself.
    pub merges: bool,
}

/// A table at the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::source) struct ExistingTable {
    /// `None`: the server did not tell.
    pub rows: Option<u64>,
    /// Why the server cannot replace it by the wanted one, and what the user can do: `and has …; …`.
    pub obstacle: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum TableAction {
    Create,
    Replace,
    /// The existing table gets this name first.
    KeepAs(String),
    Merge,
    /// The existing table stays as it is.
    Skip,
    /// Nothing is done, for this reason. `None`: the policy is to refuse.
    Refuse(Option<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct TableStep {
    pub from: String,
    pub to: String,
    pub action: TableAction,
    pub existing: Option<ExistingTable>,
}

impl TableStep {
    /// Whether it takes the place of a table that is there.
    pub fn replaces(&self) -> bool {
        matches!(self.action, TableAction::Replace | TableAction::KeepAs(_))
    }

    /// What becomes of the table that is there.
    pub fn fate(&self, nouns: Nouns) -> Fate {
        let what = || format!("{}{}", nouns.table, nouns.with_rows(self.rows()));
        match &self.action {
            TableAction::Create => Fate::New,
            TableAction::Replace | TableAction::Refuse(_) => Fate::Replaced(what()),
            TableAction::KeepAs(kept) => Fate::Replaced(format!("{}, kept as {kept}", what())),
            TableAction::Merge | TableAction::Skip => Fate::Kept,
        }
    }

    /// The reason for which the table that is there can never be replaced by the wanted one.
    pub fn obstacle(&self, nouns: Nouns) -> Option<String> {
        let TableAction::Refuse(Some(why)) = &self.action else { return None };
        Some(format!("{} {}{} is there, {why}", nouns.table, self.to, nouns.with_rows(self.rows())))
    }

    /// Rows at the target now. `None`: there is no such table, or nobody knows.
    pub fn rows(&self) -> Option<u64> {
        self.existing.as_ref()?.rows
    }
}

/// One step for each wanted table, in the order in which they are made: by rank, then by name at the target.
/// `existing`: by name at the target. No two wanted tables have the same name there, as `TableSelection` ensures.
pub(in crate::source) fn decide(
    wanted: &[WantedTable],
    existing: &BTreeMap<String, ExistingTable>,
    policy: &ConflictPolicy,
) -> Vec<TableStep> {
    let mut taken: BTreeSet<&str> = existing.keys().map(String::as_str).collect();
    taken.extend(wanted.iter().map(|table| table.to.as_str()));
    let mut ordered: Vec<_> = wanted.iter().collect();
    ordered.sort_by_key(|table| (table.rank, &table.to));
    let step = |table: &WantedTable| {
        let there = existing.get(&table.to).cloned();
        let action = match &there {
            _ if table.merges => TableAction::Merge,
            None => TableAction::Create,
            Some(there) => of_existing(&table.to, there, policy, &taken),
        };
        TableStep { from: table.from.clone(), to: table.to.clone(), action, existing: there }
    };
    ordered.into_iter().map(step).collect()
}

fn of_existing(
    name: &str,
    there: &ExistingTable,
    policy: &ConflictPolicy,
    taken: &BTreeSet<&str>,
) -> TableAction {
    match (policy, &there.obstacle) {
        (ConflictPolicy::Skip, _) => TableAction::Skip,
        (_, Some(obstacle)) => TableAction::Refuse(Some(obstacle.clone())),
        (ConflictPolicy::Refuse, None) => TableAction::Refuse(None),
        (ConflictPolicy::Replace, None) => TableAction::Replace,
        (ConflictPolicy::KeepAs(ending), None) => match format!("{name}{ending}") {
            kept if taken.contains(kept.as_str()) => TableAction::Refuse(Some(format!(
                "and cannot be kept as {kept}, which is there too"
            ))),
            kept => TableAction::KeepAs(kept),
        },
    }
}
