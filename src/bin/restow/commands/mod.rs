//! One file a command: arguments resolved, the operation called, its report printed.

pub mod backup;
pub mod batch;
pub mod cat;
pub mod check;
pub mod cleanup;
pub mod completions;
mod costs;
pub mod delete;
pub mod export;
mod export_qdrant;
mod gaps;
pub mod import;
pub mod init;
pub mod key;
pub mod list;
pub mod man;
pub mod prune;
pub mod rebuild_index;
pub mod restore;
mod restore_jobs;
pub mod show;
pub mod stats;
pub mod tag;

use std::sync::Arc;

use anyhow::Result;
use restow::{Cancel, Error, Filter, Selector, SnapshotId, SnapshotManager};
use serde_json::Value;

use super::args::Options;
use super::config::Config;
use super::error::Outcome;
use super::output;
use super::progress::Progress;
use super::signals::Signals;

/// What every command has at hand.
pub struct Context {
    pub options: Options,
    pub config: Config,
    pub signals: Signals,
}

impl Context {
    /// The flag that a signal sets.
    pub fn cancel(&self) -> &Cancel {
        self.signals.cancel()
    }

    /// Runs an operation that takes its time: its progress is shown, and the first signal ends it in good order.
    pub fn watch<T>(
        &self,
        manager: &SnapshotManager,
        act: impl FnOnce(&SnapshotManager) -> Result<T, Error>,
    ) -> Result<T> {
        let _gently = self.signals.gently();
        let progress = Arc::new(Progress::new(&self.options));
        let result = act(&manager.with_observer(progress.clone()));
        progress.clear();
        Ok(result?)
    }

    /// Prints what a command did: its document with --json, else its text, but for --quiet.
    pub fn report(
        &self,
        outcome: Outcome,
        document: impl FnOnce() -> Value,
        text: impl FnOnce(),
    ) -> Result<Outcome> {
        if self.options.json {
            output::json(&document())?;
        } else if !self.options.quiet {
            text();
        }
        Ok(outcome)
    }

    /// Prints what a command was asked for, also with --quiet.
    pub fn answer(
        &self,
        outcome: Outcome,
        document: impl FnOnce() -> Value,
        text: impl FnOnce(),
    ) -> Result<Outcome> {
        match self.options.json {
            true => output::json(&document())?,
            false => text(),
        }
        Ok(outcome)
    }
}

/// The snapshots that these name.
fn find_all(
    manager: &SnapshotManager,
    named: &[String],
    filter: &Filter,
) -> Result<Vec<SnapshotId>> {
    let find = |one: &String| Ok(manager.find(&Selector::new(one), filter)?.id);
    named.iter().map(find).collect()
}
