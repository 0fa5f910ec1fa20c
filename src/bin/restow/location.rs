//! Which repository, and how it is opened.

use std::io::{BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use restow::codec::Secret;
use restow::limits::KEY_FILE_MIN;
use restow::ops::OpError;
use restow::repo::{Identity, OpenOptions, Repository};
use restow::storage::{Local, Storage};

use super::args::Options;

/// The repository's place: what was said, else the user's data directory.
pub fn place(options: &Options) -> Result<PathBuf> {
    match &options.repository {
        Some(place) if place.contains("://") => {
            let message =
                format!("{place:?} is no folder; this restow keeps repositories in folders");
            bail!(OpError::Usage(message))
        }
        Some(place) if place.is_empty() => {
            bail!(OpError::Usage("the repository's place is empty".into()))
        }
        Some(place) => Ok(PathBuf::from(place)),
        None => Ok(user_folder("XDG_DATA_HOME", ".local/share")?.join("repository")),
    }
}

fn user_folder(variable: &str, below_home: &str) -> Result<PathBuf> {
    let base = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match base {
        Some(base) => base,
        None => {
            let home = std::env::var_os("HOME").context("HOME is not set: name a --repository")?;
            PathBuf::from(home).join(below_home)
        }
    };
    Ok(base.join("restow"))
}

/// Where the index cache goes.
fn cache(options: &Options) -> Option<PathBuf> {
    if options.no_cache {
        return None;
    }
    options.cache.clone().or_else(|| user_folder("XDG_CACHE_HOME", ".cache").ok())
}

/// Opens the storage of an existing repository. A folder that is not there is a missing repository.
pub fn storage(options: &Options) -> Result<Arc<dyn Storage>> {
    let place = place(options)?;
    if !place.exists() {
        let place = place.display().to_string();
        bail!(restow::repo::RepoError::NoRepository { place });
    }
    Ok(Arc::new(Local::open(place)?))
}

/// Removes what puts that were cut off long ago left behind. For writers; failing at it harms nothing.
pub fn sweep(options: &Options) {
    let swept = place(options).and_then(|place| Ok(Local::open(place)?.sweep_stale()?));
    match swept {
        Ok(0) => {}
        Ok(count) => tracing::info!("{count} unfinished temporary files removed"),
        Err(error) => tracing::debug!("no temporary files were removed: {error}"),
    }
}

/// Opens the repository.
pub fn open(options: &Options) -> Result<Repository> {
    let storage = storage(options)?;
    // Before a passphrase is asked for: is there anything to open?
    Repository::marker(&*storage)?;
    let secret = secret(options, false)?;
    let cache = cache(options);
    let opened =
        Repository::open(storage, &secret, Identity::of_this_process(), OpenOptions { cache });
    opened.map_err(|error| match error {
        wrong @ restow::repo::RepoError::WrongKey { .. } => anyhow::Error::new(wrong)
            .context("check RESTOW_PASSPHRASE, --passphrase-file or --key-file"),
        other => other.into(),
    })
}

/// The secret, from wherever it was given. `new`: it is being chosen, so it is asked for twice.
pub fn secret(options: &Options, new: bool) -> Result<Secret> {
    if let Some(file) = &options.key_file {
        let bytes = std::fs::read(file)
            .with_context(|| format!("cannot read the key file {}", file.display()))?;
        if bytes.len() < KEY_FILE_MIN {
            let message =
                format!("the key file {} has fewer than {KEY_FILE_MIN} bytes", file.display());
            bail!(OpError::Usage(message));
        }
        return Ok(Secret::KeyFile(bytes));
    }
    let passphrase = match (&options.passphrase_file, &options.passphrase_command) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the passphrase file {}", file.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        (None, Some(command)) => of_command(command)?,
        (None, None) => match std::env::var("RESTOW_PASSPHRASE") {
            Ok(passphrase) => passphrase,
            Err(_) => ask(new)?,
        },
    };
    if passphrase.is_empty() {
        bail!(OpError::Usage("the passphrase is empty".into()));
    }
    Ok(Secret::Passphrase(passphrase))
}

fn of_command(command: &str) -> Result<String> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the passphrase command")?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).context("reading the passphrase command")?;
    }
    let status = child.wait().context("waiting for the passphrase command")?;
    // Only its status: what it printed may be half a secret.
    if !status.success() {
        bail!("the passphrase command failed: {status}");
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn ask(new: bool) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!(OpError::Usage(
            "no passphrase: set RESTOW_PASSPHRASE or RESTOW_PASSPHRASE_COMMAND, or give --passphrase-file or --key-file"
                .into()
        ));
    }
    let passphrase = rpassword::prompt_password("Passphrase: ").context("asking for it")?;
    if new {
        let again = rpassword::prompt_password("Again: ").context("asking for it")?;
        if again != passphrase {
            bail!(OpError::Usage("the two passphrases differ".into()));
        }
    }
    Ok(passphrase)
}
