//! The command line.

mod cleanup;
mod empty;
mod keys;
mod servers;
mod snapshots;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use restow::source::files::SETTLE;
use serde::Deserialize;

pub use self::cleanup::{CleanupArgs, CompactArgs, PruneArgs, RebuildIndexArgs, size};
pub use self::keys::{KeyArgs, KeyCommand, KeyRemoveArgs, NewKeyArgs};
pub use self::servers::{ServerArgs, rate};
pub use self::snapshots::{
    CatArgs, CheckArgs, DeleteArgs, ExportArgs, ExportFormat, FilterArgs, ListArgs, RestoreArgs,
    ShowArgs, SnapshotPriority, StatsArgs, Switch, TagArgs,
};

/// Backups of databases and files that cost what changed.
#[derive(Debug, Parser)]
#[command(name = "restow", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub options: Options,
}

impl Args {
    /// The command line of this process.
    pub fn read() -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        empty::refuse(&mut command, &matches)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 error, 2 usage, 3 done but incomplete, 4 damage found, \
5 repository or snapshot not found, 6 wrong passphrase or key, 7 target exists, \
8 source unreachable or refused, 9 needs a newer restow, 130 interrupted.";

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With every command")]
pub struct Options {
    /// The repository: a name in restow.toml or a folder. Without it, the configured one, else the one in
    /// your data directory
    #[arg(
        short,
        long,
        alias = "repo",
        global = true,
        env = "RESTOW_REPOSITORY",
        hide_env_values = true,
        value_name = "PLACE"
    )]
    pub repository: Option<String>,
    /// Read this restow.toml instead of the one in your configuration folder
    #[arg(long, global = true, env = "RESTOW_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read the passphrase from the first line of a file [env: RESTOW_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Run a command (by `sh -c`) and take the first line it prints as the passphrase
    /// [env: RESTOW_PASSPHRASE_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", conflicts_with = "passphrase_file")]
    pub passphrase_command: Option<String>,
    /// Open the repository with a key file instead of a passphrase [env: RESTOW_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(conflicts_with_all = ["passphrase_file", "passphrase_command"])]
    pub key_file: Option<PathBuf>,
    /// Where the index cache is kept (default: restow in your cache directory) [env: RESTOW_CACHE]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// Keep the index in memory only
    #[arg(long, global = true, conflicts_with = "cache")]
    pub no_cache: bool,
    /// Print one JSON document instead of text (docs/JSON.md)
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress, no summary
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// How progress is shown on standard error
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "HOW")]
    pub progress: ProgressStyle,
    /// How much to log to standard error
    #[arg(long, global = true, value_enum, default_value = "warn", value_name = "LEVEL")]
    #[arg(env = "RESTOW_LOG", hide_env_values = true)]
    pub log_level: LogLevel,
    /// How a line of the log looks
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    #[arg(env = "RESTOW_LOG_FORMAT", hide_env_values = true)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// A bar on a terminal, lines elsewhere, nothing with --json or --quiet
    Auto,
    Bar,
    /// A line of text now and then
    Lines,
    /// A JSON object a line, at most one a second (docs/JSON.md)
    Json,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    /// A JSON object a line, with a time
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository
    #[command(after_help = "Example: restow -r /mnt/backup init")]
    Init(InitArgs),
    /// Take a snapshot of one or several sources together
    #[command(
        after_help = "Examples:\n  restow backup ./site\n  restow backup ./site -m \"before the upgrade\" --tag web\n  restow backup /home --exclude '*.iso' --exclude-caches\n  restow backup ./uploads sqlite:app.db               (one snapshot of both)\n  restow backup command:shop.sql -- pg_dump shop      (kept only if pg_dump succeeds)\n  zcat dump.gz | restow backup stdin:dump.sql\n  restow backup qdrant://localhost:6333/notes         (QDRANT_API_KEY has the key)\n  restow backup qdrant://h1:6333/notes --qdrant-node http://h2:6333   (a cluster)\n  restow backup website                               (a source named in restow.toml)\n  restow backup --all --keep-going                    (all of them, a snapshot each)"
    )]
    Backup(BackupArgs),
    /// Take a snapshot of what another tool dumped, as if it had been backed up
    #[command(
        after_help = "Examples:\n  restow import ./dump -m \"the last of the old server\"\n  restow import dump-2026-11-20.tar.gz --as arangodb://localhost:8529/shop"
    )]
    Import(ImportArgs),
    /// List snapshots
    #[command(after_help = "Example: restow list --source site --json")]
    List(ListArgs),
    /// Show what a snapshot is and holds
    #[command(after_help = "Examples:\n  restow show latest\n  restow show 3f2a91 --entries")]
    Show(ShowArgs),
    /// Write a snapshot, or a part of it, back
    #[command(
        after_help = "Examples:\n  restow restore latest --to ./copy\n  restow restore 3f2a91 --to ./copy --only 'src/**' --only '*.toml'\n  restow restore latest --source site        (to where it came from)"
    )]
    Restore(RestoreArgs),
    /// Check that every snapshot can be restored
    #[command(
        after_help = "Examples:\n  restow check                 everything that snapshots refer to is there\n  restow check --read-data     and is what was written\n  restow check --names         object names only; needs no passphrase"
    )]
    Check(CheckArgs),
    /// Print the bytes of one entry
    #[command(
        after_help = "Examples:\n  restow cat latest etc/fstab\n  restow cat 3f2a91 shop.sql | less\n  restow cat latest --source app.db app.db > app.db"
    )]
    Cat(CatArgs),
    /// Write a snapshot as plain files with a description, for those who have no restow
    #[command(
        after_help = "Examples:\n  restow export latest --to ./handover --only 'reports/**'\n  restow export latest --format qdrant --to ./snapshots      (notes_20261121_183000.snapshot, notes_latest.snapshot)\n  restow export latest --source shop --to shop.tar.gz --format arangodump"
    )]
    Export(ExportArgs),
    /// Delete snapshots; a prune frees their space
    #[command(
        after_help = "Examples:\n  restow delete 3f2a91 c04d77\n  restow delete 3f2a91 --dry-run\n  restow delete 3f2a91 --force --yes      (though it is permanent, without a question)"
    )]
    Delete(DeleteArgs),
    /// Delete the snapshots that no rule keeps; a prune frees their space
    #[command(
        after_help = "A snapshot goes only if no keep rule keeps it, only if it is --older-than, and only while --max-size is \
exceeded. Permanent ones stay, and the newest complete one of every source and host. Without rules those of restow.toml count, \
else --keep-last 10 --keep-weekly 3mo (docs/RETENTION.md).\n\nExamples:\n  restow cleanup --dry-run\n  restow cleanup --keep-last 3 --keep-daily 7 --keep-monthly 12\n  restow cleanup --source site --older-than 90d --yes\n  restow cleanup --max-size 200G --keep-last 5"
    )]
    Cleanup(CleanupArgs),
    /// Give back the space of what no snapshot needs
    #[command(
        after_help = "Backups, restores and checks may go on meanwhile, here and on other hosts: nothing is locked. What a backup \
that is at work may refer to is deleted by a later prune. Interrupted, it loses nothing, and the next one goes on \
(docs/PRUNE.md).\n\nExamples:\n  restow prune --dry-run\n  restow prune\n  restow cleanup --prune --yes      (delete by the rules, then this)"
    )]
    Prune(PruneArgs),
    /// Prune, code old packs more tightly and make their chains of deltas shorter
    #[command(
        after_help = "What is kept only because something is coded against it is merged into that: nights that were dropped are neither \
stored nor read any more. Other deltas stay as they are. A pack is compacted once at a level, and again where enough can be \
merged.\n\nExamples:\n  restow compact --dry-run\n  restow compact --older-than 30d --compression 19"
    )]
    Compact(CompactArgs),
    /// Make the index from the packs, where a part of it is damaged or lost
    #[command(
        after_help = "The index says which pack holds what, and so do the packs themselves, at their ends. What no index object \
lists is listed anew, then index objects that cannot be read are removed. Backups, restores and checks may go on meanwhile; \
interrupted, it loses nothing. `restow check` says whether it is needed.\n\nExamples:\n  restow rebuild-index --dry-run\n  restow rebuild-index\n  restow rebuild-index --all      (also where an index object says something else than a pack)"
    )]
    RebuildIndex(RebuildIndexArgs),
    /// Add and remove tags; make snapshots permanent or no longer so
    #[command(
        after_help = "Examples:\n  restow tag latest --add release --remove candidate\n  restow tag 3f2a91 c04d77 --permanent on"
    )]
    Tag(TagArgs),
    /// Count what snapshots and the repository come to
    #[command(
        after_help = "A snapshot holds bytes; new ones were not in the repository before it, known ones were. It added plain \
blocks, deltas and metadata.\n\nExamples:\n  restow stats\n  restow stats latest\n  restow stats --source site --since 30d"
    )]
    Stats(StatsArgs),
    /// Keys: what opens the repository
    #[command(
        after_help = "Examples:\n  restow key list\n  restow key add --label laptop --new-key-file ~/restow.key\n  restow key remove 9ab2c4\n  restow key passwd"
    )]
    Key(KeyArgs),
    /// Print a shell completion script
    #[command(
        after_help = "Example: restow completions bash > ~/.local/share/bash-completion/completions/restow"
    )]
    Completions(CompletionsArgs),
    /// Write the manual pages
    #[command(after_help = "Example: restow man --to ~/.local/share/man/man1")]
    Man(ManArgs),
}

#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// zstd level for new data
    #[arg(long, default_value_t = 3, allow_negative_numbers = true, value_name = "LEVEL")]
    pub compression: i32,
    /// Least, average and most bytes of a chunk, for good
    #[arg(long, value_name = "MIN,AVG,MAX", value_parser = three)]
    pub chunk_sizes: Option<[u32; 3]>,
    /// Most decodes a chunk may take before its own; 0 stores no deltas
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u8).range(0..=64), value_name = "LINKS")]
    pub delta_depth: u8,
    /// Size in MiB at which a pack is closed
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=128), value_name = "MIB")]
    pub pack_size: u32,
    /// What the first key is called in `key list`
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub label: String,
}

/// Three numbers and commas between them.
fn three(text: &str) -> Result<[u32; 3], String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|one| one.trim().parse()).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    numbers.try_into().map_err(|_| "say three numbers with commas between them".into())
}

#[derive(Debug, Default, clap::Args)]
pub struct BackupArgs {
    /// A folder or file, sqlite:FILE, command:NAME (with -- PROGRAM ARG… at the end), stdin:NAME,
    /// qdrant://HOST:6333/COLLECTION (all without one; qdrant: for QDRANT_URL), qdrant-file:FILE.snapshot, or a source named in restow.toml. Several become one snapshot: all of them or none. Say ./x for a path that looks
    /// like something else
    #[arg(required_unless_present = "all", value_name = "SOURCE")]
    pub sources: Vec<OsString>,
    /// The program whose output command:NAME keeps, run without a shell
    #[arg(last = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
    /// Back up every source named in restow.toml, each as a snapshot of its own, ordered by name
    #[arg(long, conflicts_with_all = ["sources", "name", "command"])]
    pub all: bool,
    /// With --all: go on when one source fails, and end with the worst exit code
    #[arg(long)]
    pub keep_going: bool,
    /// Why this snapshot is taken
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub description: Option<String>,
    /// The snapshot's name instead of source_date_time_description
    #[arg(long)]
    pub name: Option<String>,
    /// Tag the snapshot (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Never delete this snapshot by a retention rule
    #[arg(long)]
    pub permanent: bool,
    /// Read and count everything, store nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Afterwards delete the snapshots of the same sources that no rule of restow.toml keeps (without any: but the
    /// last 10 and one a week for 3 months), unless this one is incomplete
    #[arg(long, conflicts_with = "dry_run")]
    pub cleanup: bool,
    /// Read every file, even if it looks unchanged
    #[arg(long)]
    pub force: bool,
    /// Leave out what a glob names, as in .gitignore (repeatable)
    #[arg(short, long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Leave out what the globs in a file name (repeatable)
    #[arg(long, value_name = "FILE")]
    pub exclude_file: Vec<PathBuf>,
    /// Leave out a named set: dev (*.tmp, __pycache__, .git)
    #[arg(long, value_name = "NAME")]
    pub exclude_preset: Vec<String>,
    /// Leave out the content of folders that hold a file of this name (repeatable)
    #[arg(long, value_name = "NAME")]
    pub exclude_if_present: Vec<String>,
    /// Leave out the content of folders with a CACHEDIR.TAG
    #[arg(long)]
    pub exclude_caches: bool,
    /// Stay on the file system of the source
    #[arg(short = 'x', long)]
    pub one_file_system: bool,
    /// Accept a command or standard input without a byte
    #[arg(long)]
    pub allow_empty: bool,
    /// Where a database is copied to while it is backed up (default: TMPDIR, else /var/tmp)
    #[arg(long, value_name = "FOLDER")]
    pub temp_dir: Option<PathBuf>,
    /// How long to wait for a database that another process has locked [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub busy_timeout: Option<u64>,
    /// Leave out the folders and files among the sources
    #[arg(long)]
    pub no_bulk: bool,
    /// Only this collection of a server, by its name (repeatable)
    #[arg(long = "collection", value_name = "NAME")]
    pub collections: Vec<String>,
    /// ArangoDB's own collections too, not only those of graphs and analyzers
    #[arg(long)]
    pub include_system: bool,
    /// The users of an ArangoDB server too: they are in its database _system
    #[arg(long)]
    pub include_users: bool,
    #[command(flatten)]
    pub servers: ServerArgs,
    /// How Qdrant collections are read [default: snapshot]
    #[arg(long, value_enum, value_name = "HOW")]
    pub qdrant_mode: Option<QdrantMode>,
    /// The URL of another node of the Qdrant server's cluster: a node gives only the shards it has
    /// (repeatable: all that have shards)
    #[arg(long, value_name = "URL")]
    pub qdrant_node: Vec<String>,
    /// With qdrant-file: of which server and collection it is a snapshot, whose snapshots it then continues
    #[arg(long, value_name = "qdrant://HOST:6333/COLLECTION")]
    pub qdrant_as: Option<String>,
    /// Read a file again next time if it changed less than this long before the start
    #[arg(long, default_value_t = SETTLE.as_secs(), value_name = "SECONDS")]
    pub settle: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QdrantMode {
    /// As the server's own snapshot: one state of each collection; the server needs room for a copy
    Snapshot,
    /// As a stream of each shard: the server needs no room; each shard is of another moment
    Stream,
    /// As points, a line of JSON each: no consistent state, but any server takes them and people can read them
    Logical,
}

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// What arangodump wrote: the folder of a database, a folder of several such (--all-databases), or a .tar or
    /// .tar.gz of either; or a collection's .snapshot, as Qdrant makes them
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// The source that this is a backup of, as `list` names it: the snapshot is a later one of that source, and
    /// what did not change costs nothing (default: the path)
    #[arg(long = "as", value_name = "URL")]
    pub identity: Option<String>,
    /// Why this snapshot is taken
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub description: Option<String>,
    /// The snapshot's name instead of source_date_time_description
    #[arg(long)]
    pub name: Option<String>,
    /// Tag the snapshot (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Never delete this snapshot by a retention rule
    #[arg(long)]
    pub permanent: bool,
    /// Read and count everything, store nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Where archives are unpacked and documents are sorted (default: TMPDIR, else /var/tmp)
    #[arg(long, value_name = "FOLDER")]
    pub temp_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell that is to complete
    pub shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder they are written into; it is made if need be
    #[arg(short, long, value_name = "FOLDER")]
    pub to: PathBuf,
}
