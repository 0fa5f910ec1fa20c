//! The options that every source of tables has: which tables are read, and which are written under which names.

use serde::{Deserialize, Serialize};

/// Which tables of a server are read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With servers"))]
#[serde(default, rename_all = "kebab-case")]
pub(in crate::source) struct ReadTables {
    /// Only this collection of a server, by its name (repeatable)
    #[cfg_attr(feature = "cli", arg(long = "collection", value_name = "NAME"))]
    pub collections: Vec<String>,
}

/// Which tables are written into a server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With servers"))]
#[serde(default, rename_all = "kebab-case")]
pub(in crate::source) struct WrittenTables {
    /// Only this collection, perhaps under a new name (repeatable)
    #[cfg_attr(feature = "cli", arg(long = "collection", value_name = "NAME[:NEW]"))]
    pub collections: Vec<String>,
    /// Leave a collection alone that the server has, and call that a success
    #[cfg_attr(feature = "cli", arg(long, conflicts_with = "overwrite"))]
    pub if_missing: bool,
}
