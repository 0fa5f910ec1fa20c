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
    /// List the keys; a star marks the key in use
    #[command(after_help = "Example: restow key list")]
    List,
    /// Add another passphrase or key file
    #[command(
        after_help = "Without a flag, restow takes the new passphrase from RESTOW_NEW_PASSPHRASE, else asks for it.\n\nExamples:\n  restow key add --label laptop\n  restow key add --label safe --new-key-file /media/stick/restow.key"
    )]
    Add(NewKeyArgs),
    /// Remove a key other than the one in use
    #[command(
        after_help = "A copy of the repository made before can still be opened with the removed key.\n\nExample: restow key remove 9ab2c4"
    )]
    Remove(KeyRemoveArgs),
    /// Replace the key in use by another passphrase or key file
    #[command(
        after_help = "Without a flag, restow takes the new passphrase from RESTOW_NEW_PASSPHRASE, else asks for it.\n\nExample: restow key passwd"
    )]
    Passwd(NewKeyArgs),
}

#[derive(Debug, clap::Args)]
pub struct NewKeyArgs {
    /// Read the new passphrase from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Run a command with `sh -c` and read the new passphrase from the first line of its output
    #[arg(long, value_name = "COMMAND", conflicts_with = "new_passphrase_file")]
    pub new_passphrase_command: Option<String>,
    /// Use this file of at least 32 random bytes as the new key
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["new_passphrase_file", "new_passphrase_command"])]
    pub new_key_file: Option<PathBuf>,
    /// Label the key in `key list`
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub label: String,
}

#[derive(Debug, clap::Args)]
pub struct KeyRemoveArgs {
    /// The id of a key, or its first digits
    pub id: String,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}
