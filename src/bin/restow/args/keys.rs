//! Commands that look at keys.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    pub command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys; a star marks the one that was used
    #[command(after_help = "Example: restow key list")]
    List,
    /// Add a passphrase or key file that opens the repository too
    #[command(
        after_help = "Without a flag the new passphrase is that of RESTOW_NEW_PASSPHRASE, else it is asked for.\n\nExamples:\n  restow key add --label laptop\n  restow key add --label safe --new-key-file /media/stick/restow.key"
    )]
    Add(NewKeyArgs),
    /// Remove a key; never the one that was used to open the repository
    #[command(
        after_help = "Who kept a copy of the repository and the removed secret can still read what is in that copy.\n\nExample: restow key remove 9ab2c4"
    )]
    Remove(KeyRemoveArgs),
    /// Put another passphrase or key file in the place of the one that was used
    #[command(
        after_help = "Without a flag the new passphrase is that of RESTOW_NEW_PASSPHRASE, else it is asked for.\n\nExample: restow key passwd"
    )]
    Passwd(NewKeyArgs),
}

#[derive(Debug, clap::Args)]
pub struct NewKeyArgs {
    /// Read the new passphrase from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Run a command (by `sh -c`) and take the first line it prints as the new passphrase
    #[arg(long, value_name = "COMMAND", conflicts_with = "new_passphrase_file")]
    pub new_passphrase_command: Option<String>,
    /// A file of 32 random bytes or more is the new key
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["new_passphrase_file", "new_passphrase_command"])]
    pub new_key_file: Option<PathBuf>,
    /// What it is called in `key list`
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub label: String,
}

#[derive(Debug, clap::Args)]
pub struct KeyRemoveArgs {
    /// The key's id or the start of it
    pub id: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}
