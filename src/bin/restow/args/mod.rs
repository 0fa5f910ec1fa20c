//! The command line.

mod cleanup;
mod empty;
mod keys;
mod snapshots;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use restow::source::kind::Purpose;
use restow::source::{GivenFlags, SourceKinds};

pub use self::cleanup::{CleanupArgs, CompactArgs, PruneArgs, RebuildIndexArgs, size};
pub use self::keys::{KeyArgs, KeyCommand, KeyRemoveArgs, NewKeyArgs};
pub use self::snapshots::{
    CatArgs, CheckArgs, DeleteArgs, ExportArgs, ExportFormat, FilterArgs, ListArgs, RestoreArgs,
    ShowArgs, StatsArgs, Switch, TagArgs,
};

/// Back up databases and files; a backup stores only what changed.
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
    pub fn read(kinds: &SourceKinds) -> Result<Self, clap::Error> {
        let mut command = command(kinds);
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        empty::refuse(&mut command, &matches)?;
        let read = Self::from_arg_matches(&matches).and_then(|mut args| {
            let below = matches.subcommand().map(|(_, below)| below);
            match (&mut args.command, below) {
                (Command::Backup(args), Some(below)) => {
                    args.given = kinds.read_flags(Purpose::Backup, below)?;
                }
                (Command::Restore(args), Some(below)) => {
                    args.given = kinds.read_flags(Purpose::Restore, below)?;
                }
                _ => {}
            }
            Ok(args)
        });
        read.map_err(|error| error.format(&mut command))
    }
}

/// All commands, with the flags of every kind of source.
pub fn command(kinds: &SourceKinds) -> clap::Command {
    let backup = |command| kinds.add_flags(Purpose::Backup, command);
    let restore = |command| kinds.add_flags(Purpose::Restore, command);
    Args::command().mut_subcommand("backup", backup).mut_subcommand("restore", restore)
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 error, 2 usage, 3 done but incomplete, 4 damage found, \
5 repository or snapshot not found, 6 wrong passphrase or key, 7 target exists, \
8 source unreachable or refused, 9 needs a newer restow, 130 interrupted.";

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With every command")]
pub struct Options {
    /// Use this repository: a folder, or a name in restow.toml (default: the default-repository of restow.toml,
    /// else ~/.local/share/restow/repository)
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
    /// Read this configuration file instead of ~/.config/restow/restow.toml
    #[arg(long, global = true, env = "RESTOW_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read the passphrase from the first line of a file [env: RESTOW_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Run a command with `sh -c` and read the passphrase from the first line of its output
    /// [env: RESTOW_PASSPHRASE_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", conflicts_with = "passphrase_file")]
    pub passphrase_command: Option<String>,
    /// Open the repository with a key file instead of a passphrase [env: RESTOW_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(conflicts_with_all = ["passphrase_file", "passphrase_command"])]
    pub key_file: Option<PathBuf>,
    /// Keep the index cache in this folder (default: ~/.cache/restow) [env: RESTOW_CACHE]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// Keep the index in memory only
    #[arg(long, global = true, conflicts_with = "cache")]
    pub no_cache: bool,
    /// Print one JSON document instead of text (docs/JSON.md)
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress and no summary
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Show progress on standard error in this form
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "HOW")]
    pub progress: ProgressStyle,
    /// Log messages of this level and above to standard error
    #[arg(long, global = true, value_enum, default_value = "warn", value_name = "LEVEL")]
    #[arg(env = "RESTOW_LOG", hide_env_values = true)]
    pub log_level: LogLevel,
    /// Write the log in this format
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    #[arg(env = "RESTOW_LOG_FORMAT", hide_env_values = true)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// A bar on a terminal, lines elsewhere, nothing with --json or --quiet
    Auto,
    /// A progress bar
    Bar,
    /// One line of text every few seconds
    Lines,
    /// One JSON object per line, at most one per second (docs/JSON.md)
    Json,
    /// No progress
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Plain text without a time
    Text,
    /// One JSON object per line, with a time
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
    /// Create a repository
    #[command(after_help = "Example: restow -r /mnt/backup init")]
    Init(InitArgs),
    /// Back up one or several sources as one snapshot
    #[command(
        after_help = "Examples:\n  restow backup ./site\n  restow backup ./site -m \"before the upgrade\" --tag web\n  restow backup /home --exclude '*.iso' --exclude-caches\n  restow backup ./uploads sqlite:app.db               (one snapshot of both)\n  restow backup command:shop.sql -- pg_dump shop      (kept only if pg_dump succeeds)\n  zcat dump.gz | restow backup stdin:dump.sql\n  restow backup qdrant://localhost:6333/notes         (QDRANT_API_KEY has the key)\n  restow backup qdrant://h1:6333/notes --qdrant-node http://h2:6333   (a cluster)\n  restow backup website                               (a source named in restow.toml)\n  restow backup --all --keep-going                    (all of them, a snapshot each)"
    )]
    Backup(BackupArgs),
    /// Import a dump of another tool as a snapshot
    #[command(
        after_help = "Examples:\n  restow import ./dump -m \"the last of the old server\"\n  restow import dump-2026-11-20.tar.gz --as arangodb://localhost:8529/shop"
    )]
    Import(ImportArgs),
    /// List snapshots
    #[command(after_help = "Example: restow list --source site --json")]
    List(ListArgs),
    /// Show the details and the entries of a snapshot
    #[command(after_help = "Examples:\n  restow show latest\n  restow show 3f2a91 --entries")]
    Show(ShowArgs),
    /// Restore a snapshot or a part of it
    #[command(
        after_help = "Examples:\n  restow restore latest --to ./copy\n  restow restore 3f2a91 --to ./copy --only 'src/**' --only '*.toml'\n  restow restore latest --source site        (to where it came from)"
    )]
    Restore(RestoreArgs),
    /// Check that every snapshot can be restored
    #[command(
        after_help = "Examples:\n  restow check                 every object that snapshots need exists\n  restow check --read-data     all stored data can be read and verified\n  restow check --names         every object matches its name; needs no passphrase"
    )]
    Check(CheckArgs),
    /// Print the content of one entry
    #[command(
        after_help = "Examples:\n  restow cat latest etc/fstab\n  restow cat 3f2a91 shop.sql | less\n  restow cat latest --source app.db app.db > app.db"
    )]
    Cat(CatArgs),
    /// Export a snapshot as plain files that can be read without restow
    #[command(
        after_help = "Examples:\n  restow export latest --to ./handover --only 'reports/**'\n  restow export latest --format qdrant --to ./snapshots      (notes_20261121_183000.snapshot, notes_latest.snapshot)\n  restow export latest --source shop --to shop.tar.gz --format arangodump"
    )]
    Export(ExportArgs),
    /// Delete snapshots (`prune` then frees their space)
    #[command(
        after_help = "Examples:\n  restow delete 3f2a91 c04d77\n  restow delete 3f2a91 --dry-run\n  restow delete 3f2a91 --force --yes      (also if it is permanent; no question)"
    )]
    Delete(DeleteArgs),
    /// Delete snapshots by retention rules (`prune` then frees their space)
    #[command(
        after_help = "A snapshot is deleted if no --keep rule keeps it. With --older-than it must also be older than that; with --max-size, snapshots are \
deleted only until the rest fits. Permanent snapshots always stay, and so does the newest complete snapshot of every source and host. \
Without rules, those of restow.toml apply, else --keep-last 10 --keep-weekly 3mo (docs/RETENTION.md).\n\nExamples:\n  restow cleanup --dry-run\n  restow cleanup --keep-last 3 --keep-daily 7 --keep-monthly 12\n  restow cleanup --source site --older-than 90d --yes\n  restow cleanup --max-size 200G --keep-last 5"
    )]
    Cleanup(Box<CleanupArgs>),
    /// Free the space that no snapshot needs
    #[command(
        after_help = "Backups, restores and checks can run at the same time, here and on other hosts: a prune locks nothing. It keeps whatever a running \
backup may refer to; a later prune deletes that. An interrupted prune loses nothing, and the next prune continues it \
(docs/PRUNE.md).\n\nExamples:\n  restow prune --dry-run\n  restow prune\n  restow cleanup --prune --yes      (delete by retention rules, then prune)"
    )]
    Prune(PruneArgs),
    /// Prune, compress old packs more tightly and shorten chains of deltas
    #[command(
        after_help = "A base that no snapshot needs, except through deltas against it, is merged into those deltas: then it is neither stored nor read any \
more. Other deltas stay as they are. A pack is compacted once per level, and again when enough of it can be merged.\n\nExamples:\n  restow compact --dry-run\n  restow compact --older-than 30d --compression 19"
    )]
    Compact(CompactArgs),
    /// Rebuild damaged or lost parts of the index from the packs
    #[command(
        after_help = "The index says which pack holds which chunk. The trailer at the end of each pack says the same. The command lists packs that \
no index object lists, then removes index objects that cannot be read. Backups, restores and checks can run at the same time. \
An interrupted rebuild loses nothing. `restow check` says whether a rebuild is needed.\n\nExamples:\n  restow rebuild-index --dry-run\n  restow rebuild-index\n  restow rebuild-index --all      (also if an index object contradicts a pack)"
    )]
    RebuildIndex(RebuildIndexArgs),
    /// Add or remove tags; mark snapshots as permanent
    #[command(
        after_help = "Examples:\n  restow tag latest --add release --remove candidate\n  restow tag 3f2a91 c04d77 --permanent on"
    )]
    Tag(TagArgs),
    /// Show the size of snapshots and of the repository
    #[command(
        after_help = "\"New\" bytes were not in the repository before a snapshot, \"known\" bytes were. A snapshot adds plain blocks, deltas and metadata.\n\nExamples:\n  restow stats\n  restow stats latest\n  restow stats --source site --since 30d"
    )]
    Stats(StatsArgs),
    /// Manage the passphrases and key files that open the repository
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
    /// Compress new data at this zstd level
    #[arg(long, default_value_t = 3, allow_negative_numbers = true, value_name = "LEVEL")]
    pub compression: i32,
    /// Set the minimum, average and maximum chunk size in bytes; it cannot be changed later
    #[arg(long, value_name = "MIN,AVG,MAX", value_parser = three)]
    pub chunk_sizes: Option<[u32; 3]>,
    /// Limit chains of deltas to this length; 0 stores no deltas
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u8).range(0..=64), value_name = "LINKS")]
    pub delta_depth: u8,
    /// Close a pack at this size in MiB
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=128), value_name = "MIB")]
    pub pack_size: u32,
    /// Label the first key in `key list`
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub label: String,
}

/// Three numbers and commas between them.
fn three(text: &str) -> Result<[u32; 3], String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|one| one.trim().parse()).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    numbers.try_into().map_err(|_| "expected three numbers separated by commas".into())
}

#[derive(Debug, Default, clap::Args)]
pub struct BackupArgs {
    /// A folder or file, sqlite:FILE, command:NAME (with -- PROGRAM ARG… at the end), stdin:NAME,
    /// qdrant://HOST:6333/COLLECTION (all without one; qdrant: for QDRANT_URL), qdrant-file:FILE.snapshot, or a source named in restow.toml. Several become one snapshot: all of them or none. Say ./x for a path that looks
    /// like something else
    #[arg(required_unless_present = "all", value_name = "SOURCE")]
    pub sources: Vec<OsString>,
    /// The program whose output command:NAME backs up; it runs without a shell
    #[arg(last = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
    /// Back up every source of restow.toml in the order of names, each as its own snapshot
    #[arg(long, conflicts_with_all = ["sources", "name", "command"])]
    pub all: bool,
    /// With --all: continue after a source failed, and exit with the worst code
    #[arg(long)]
    pub keep_going: bool,
    /// Describe the snapshot
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub description: Option<String>,
    /// Name the snapshot (default: source_date_time_description)
    #[arg(long)]
    pub name: Option<String>,
    /// Tag the snapshot (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Exempt the snapshot from every retention rule
    #[arg(long)]
    pub permanent: bool,
    /// Read and count everything, but store nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// After a complete backup, delete snapshots of the same sources by the retention rules of restow.toml (without
    /// rules: keep the last 10 and one per week for 3 months)
    #[arg(long, conflicts_with = "dry_run")]
    pub cleanup: bool,
    /// Read every file, also unchanged ones
    #[arg(long)]
    pub force: bool,
    /// Skip the folders and files among the sources
    #[arg(long)]
    pub no_bulk: bool,
    /// What the flags of kinds of sources gave.
    #[arg(skip)]
    pub given: GivenFlags,
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
    /// Describe the snapshot
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    pub description: Option<String>,
    /// Name the snapshot (default: source_date_time_description)
    #[arg(long)]
    pub name: Option<String>,
    /// Tag the snapshot (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Exempt the snapshot from every retention rule
    #[arg(long)]
    pub permanent: bool,
    /// Read and count everything, but store nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Where archives are unpacked and documents are sorted (default: TMPDIR, else /var/tmp)
    #[arg(long, value_name = "FOLDER")]
    pub temp_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell to complete commands for
    pub shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write the manual pages into this folder; restow creates it
    #[arg(short, long, value_name = "FOLDER")]
    pub to: PathBuf,
}
