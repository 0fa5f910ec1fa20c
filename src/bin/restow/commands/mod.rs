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

use restow::progress::Cancel;
use restow::repo::Filter;

use super::args::{FilterArgs, Options};
use super::config::Config;
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
}

impl FilterArgs {
    pub fn to_filter(&self) -> Filter {
        Filter {
            source: self.source.clone(),
            host: self.host.clone(),
            tags: self.tags.clone(),
            permanent: false,
            name: self.name.clone(),
            since: self.since,
            before: self.before,
        }
    }
}
