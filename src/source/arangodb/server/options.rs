//! How databases of a server are read.

use std::path::PathBuf;
use std::time::Duration;

use super::api::ArangoConnection;
use super::inventory::ArangoSelection;
use crate::source::arangodb::SortOptions;

/// How databases are read.
#[derive(Debug, Clone)]
pub struct ArangoOptions {
    pub connection: ArangoConnection,
    pub selection: ArangoSelection,
    pub sort: SortOptions,
    /// How long a server holds a state for somebody it does not hear of. Extended while it is needed.
    pub ttl: Duration,
    /// Requests at once, where the server gives dumps that way (from 3.12 on). 0: never ask for such a dump.
    pub workers: usize,
}

impl Default for ArangoOptions {
    fn default() -> Self {
        Self {
            connection: ArangoConnection::default(),
            selection: ArangoSelection::default(),
            sort: SortOptions::default(),
            ttl: Duration::from_secs(600),
            workers: 2,
        }
    }
}

impl ArangoOptions {
    pub(super) fn folder(&self) -> PathBuf {
        crate::source::temporary::folder(self.sort.temp_dir.as_deref())
    }
}

/// What kind of server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Single,
    Cluster,
}
