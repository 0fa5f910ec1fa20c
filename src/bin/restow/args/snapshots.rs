//! Commands that look at snapshots.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use restow::Time;

use super::super::moment;
use super::servers::ServerArgs;

const WHICH: &str = "Which snapshots";

/// Which snapshots count.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FilterArgs {
    /// Only snapshots of this source: a path, a URL, a name in restow.toml, or glob:PATTERN for several
    #[arg(long, help_heading = WHICH, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only snapshots taken on this host
    #[arg(long, help_heading = WHICH, value_name = "HOST")]
    pub host: Option<String>,
    /// Only snapshots with this tag (repeatable: with all of the tags)
    #[arg(long = "tag", help_heading = WHICH, value_name = "TAG")]
    pub tags: Vec<String>,
    /// Only snapshots whose name or description contains this
    #[arg(long, help_heading = WHICH, value_name = "TEXT")]
    pub name: Option<String>,
    /// Only snapshots taken since this time: 2026-11-21, 2026-11-21T18:30 (local time), 2026-11-21T18:30:00Z, or
    /// an age: 12h, 7d, 3w
    #[arg(long, help_heading = WHICH, value_name = "WHEN", value_parser = moment::parse)]
    pub since: Option<Time>,
    /// Only snapshots taken before this time
    #[arg(long, help_heading = WHICH, value_name = "WHEN", value_parser = moment::parse)]
    pub before: Option<Time>,
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only the last COUNT snapshots
    #[arg(long, value_name = "COUNT")]
    pub last: Option<usize>,
    /// Only permanent snapshots
    #[arg(long)]
    pub permanent: bool,
    /// Show more: full ids, counts, stored size, and the size that only this snapshot needs
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The id of a snapshot or its first digits, a name, or `latest`
    pub id: String,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Also list the entries
    #[arg(short, long)]
    pub entries: bool,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The id of a snapshot or its first digits, a name, or `latest`
    pub id: String,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Restore below this folder instead of the original place; or into a server:
    /// qdrant://HOST:6333, with /NAME to give the one collection another name;
    /// arangodb://HOST:8529, with /NAME to give the one database another name
    #[arg(short, long, value_name = "TARGET")]
    pub to: Option<PathBuf>,
    /// Only what this name or glob names, with all it contains (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub only: Vec<OsString>,
    /// Replace what is in the way without asking, and make the target folder itself what it was
    #[arg(long, visible_alias = "yes")]
    pub overwrite: bool,
    /// Show what would be done; do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Give files to the owners of these names here, instead of these numbers
    #[arg(long)]
    pub owners_by_name: bool,
    /// Not the folders and files of the snapshot, only what came from databases
    #[arg(long)]
    pub no_bulk: bool,
    /// Only this collection, perhaps under a new name (repeatable)
    #[arg(long = "collection", value_name = "NAME[:NEW]")]
    pub collections: Vec<String>,
    /// Leave a collection alone that the server has, and call that a success
    #[arg(long, conflicts_with = "overwrite")]
    pub if_missing: bool,
    /// Make the collections' aliases again
    #[arg(long)]
    pub aliases: bool,
    /// Whose points win in a cluster that has others [default: snapshot]
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub priority: Option<SnapshotPriority>,
    /// The URL of another node of the Qdrant server's cluster, in the order of the backup (repeatable)
    #[arg(long, value_name = "URL")]
    pub qdrant_node: Vec<String>,
    /// Make a database that the server does not have
    #[arg(long)]
    pub create_database: bool,
    /// Keep a collection that would be replaced, as NAME_backup_YYYYMMDD_HHMMSS
    #[arg(long)]
    pub backup_existing: bool,
    /// ArangoDB's own collections too, not only those of graphs and analyzers
    #[arg(long)]
    pub include_system: bool,
    /// The users of an ArangoDB server too, in place of those of the same names
    #[arg(long)]
    pub include_users: bool,
    #[command(flatten)]
    pub servers: ServerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SnapshotPriority {
    Snapshot,
    Replica,
    #[value(name = "no_sync")]
    NoSync,
}

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Check only this snapshot
    pub id: Option<String>,
    /// Also read, decrypt and verify all stored data
    #[arg(long)]
    pub read_data: bool,
    /// Only compare the names of objects with their contents; needs no passphrase
    #[arg(long, conflicts_with_all = ["id", "read_data"])]
    pub names: bool,
}

#[derive(Debug, clap::Args)]
pub struct CatArgs {
    /// The id of a snapshot or its first digits, a name, or `latest`
    pub id: String,
    /// The path of the entry, as `show --entries` prints it
    pub path: OsString,
    #[command(flatten)]
    pub filter: FilterArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Files as they were, streams as files, with a description (docs/EXPORT.md)
    Files,
    /// What arangorestore reads, of the ArangoDB databases in the snapshot
    Arangodump,
    /// Each Qdrant collection as its server's own snapshot file, and a link to the latest
    Qdrant,
}

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The id of a snapshot or its first digits, a name, or `latest`
    pub id: String,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// The folder to make; with --format arangodump an archive instead, if it ends with .tar.gz or .tgz
    #[arg(short, long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// What is written
    #[arg(long, value_enum, default_value = "files", value_name = "FORMAT")]
    pub format: ExportFormat,
    /// With --format qdrant: what each file is called, from {collection}, {date}, {time}, {id} and {name} of the
    /// snapshot [default: {collection}_{date}_{time}.snapshot]
    #[arg(long = "name-template", value_name = "TEMPLATE")]
    pub name_template: Option<String>,
    /// Only what this name or glob names, with all it contains (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub only: Vec<OsString>,
    /// Put it in the place of an earlier export
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// Ids or their first digits, names, or `latest`; a damaged snapshot by its full id
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Prune afterwards: free the space that no snapshot needs any more
    #[arg(long)]
    pub prune: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Also delete permanent snapshots, and damaged ones, which may be permanent
    #[arg(long)]
    pub force: bool,
    /// Show what would be deleted; delete nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct TagArgs {
    /// Ids of snapshots or their first digits, names, or `latest`
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Add a tag (repeatable)
    #[arg(long, value_name = "TAG")]
    pub add: Vec<String>,
    /// Remove a tag (repeatable)
    #[arg(long, value_name = "TAG")]
    pub remove: Vec<String>,
    /// Exempt the snapshots from retention rules, and delete them only with --force
    #[arg(long, value_enum, value_name = "ON|OFF")]
    pub permanent: Option<Switch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, clap::Args)]
pub struct StatsArgs {
    /// Only these snapshots: ids or their first digits, names, or `latest`
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Show the size that only one snapshot needs: deleting it alone frees that much. For named snapshots, show the same for
    /// each entry. This reads every catalog and recipe
    #[arg(long)]
    pub costs: bool,
    /// Show how much space deleting all of these together, and a prune, would free
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with_all = ["ids", "costs"])]
    pub without: Vec<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
}
