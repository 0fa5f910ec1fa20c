//! Which repository, and how it is opened.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use restow::storage::{Place, StorageKinds, StorageOptions};
use restow::{
    Error, KEY_FILE_MIN, OpenOptions, RepoError, RepositoryId, Secret, SnapshotManager, Storage,
};

use super::commands::Context;
use super::config::{RepositoryConfig, user_folder};
use super::prompt::{self, LINE_MAX};

/// A repository's place and how it is opened. What was said on the command line counts before the
/// environment, and that before restow.toml.
#[derive(Debug)]
pub struct Access {
    pub place: Place,
    secret: SecretFrom,
    cache: Option<PathBuf>,
    /// What other names there are, for the error of one that leads nowhere.
    names: Vec<String>,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    KeyFile(PathBuf),
    PassphraseFile(PathBuf),
    PassphraseCommand(String),
    /// An environment variable of this name holds the passphrase.
    Variable(&'static str),
    Terminal,
}

impl Access {
    /// The repository that was said; else the one a named source wants; else the default.
    pub fn of(context: &Context, of_source: Option<&str>) -> Result<Self> {
        let (options, config) = (&context.options, &context.config);
        let said = options.repository.as_deref();
        if said == Some("") {
            bail!(Error::Usage("the place of the repository is empty".into()))
        }
        let name = said.or(of_source).or_else(|| config.default_repository());
        let named = name.and_then(|name| config.repositories.get(name));
        let place = match (named, name) {
            (Some(repository), _) => StorageKinds::default().place(&repository.place)?,
            (None, Some(place)) => StorageKinds::default().place(place)?,
            (None, None) => {
                Place::of_folder(user_folder("XDG_DATA_HOME", ".local/share")?.join("repository"))
            }
        };
        let names = match named {
            Some(_) => Vec::new(),
            None => config.repositories.keys().cloned().collect(),
        };
        let cache = match options.no_cache {
            true => None,
            false => options
                .cache
                .clone()
                .or_else(|| variable("RESTOW_CACHE").map(PathBuf::from))
                .or_else(|| named.and_then(|repository| repository.cache.clone()))
                .or_else(|| user_folder("XDG_CACHE_HOME", ".cache").ok()),
        };
        Ok(Self { place, secret: secret_from(context, named), cache, names })
    }

    /// The repository and its own part of the cache: no part of any backup into it.
    pub fn own_folders(&self) -> Vec<PathBuf> {
        let cache = self.cache.as_ref().and_then(|cache| {
            // Without a repository there is no cache of it.
            let (_, repository) = self.storage().ok()?;
            Some(SnapshotManager::cache_folder(cache, repository))
        });
        self.place.folder().map(Path::to_path_buf).into_iter().chain(cache).collect()
    }

    /// Opens the storage, and looks which repository is there.
    pub fn storage(&self) -> Result<(Arc<dyn Storage>, RepositoryId)> {
        if self.place.folder().is_some_and(|folder| !folder.exists()) {
            let place = self.place.to_string();
            let missing = Error::from(RepoError::NoRepository { place });
            if self.names.is_empty() {
                bail!(missing);
            }
            let known = self.names.join(", ");
            return Err(anyhow::Error::new(missing)
                .context(format!("restow.toml names the repositories {known}")));
        }
        let storage = self.place.open(&StorageOptions::default())?;
        let repository = SnapshotManager::probe(&*storage)?;
        Ok((storage, repository))
    }

    /// Removes what puts that were cut off long ago left behind. For writers; failing at it harms nothing.
    pub fn sweep(&self) {
        match self.place.open(&StorageOptions::default()).and_then(|storage| storage.sweep_stale())
        {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} unfinished temporary files removed"),
            Err(error) => tracing::debug!("no temporary files were removed: {error}"),
        }
    }

    /// Opens the repository.
    pub fn open(&self, context: &Context) -> Result<SnapshotManager> {
        // Before a passphrase is asked for: is there anything to open?
        let (storage, _) = self.storage()?;
        let secret = self.secret(context, false)?;
        let cache = self.cache.clone();
        match SnapshotManager::open_with(storage, &secret, OpenOptions::default().cache(cache)) {
            Ok(manager) => Ok(manager.with_cancel(context.cancel().clone())),
            Err(wrong @ Error::Repo(RepoError::WrongKey { .. })) => {
                Err(anyhow::Error::new(wrong).context(format!("check {}", self.secret.describe())))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The secret. `new`: it is being chosen, so a terminal is asked twice.
    pub fn secret(&self, context: &Context, new: bool) -> Result<Secret> {
        self.secret.read(context, new)
    }
}

/// Opens the repository that was said or is the default.
pub fn open(context: &Context) -> Result<SnapshotManager> {
    Access::of(context, None)?.open(context)
}

/// An environment variable; an empty one is none.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn secret_from(context: &Context, named: Option<&RepositoryConfig>) -> SecretFrom {
    let options = &context.options;
    let said = SecretFrom::first(
        options.key_file.as_deref(),
        options.passphrase_file.as_deref(),
        options.passphrase_command.as_deref(),
    );
    let of_environment = || {
        let file = |name| variable(name).map(PathBuf::from);
        let command = variable("RESTOW_PASSPHRASE_COMMAND");
        SecretFrom::first(
            file("RESTOW_KEY_FILE").as_deref(),
            file("RESTOW_PASSPHRASE_FILE").as_deref(),
            command.as_deref().and_then(|command| command.to_str()),
        )
        .or_else(|| SecretFrom::in_variable("RESTOW_PASSPHRASE"))
    };
    let configured = || {
        let named = named?;
        SecretFrom::first(
            named.key_file.as_deref(),
            named.passphrase_file.as_deref(),
            named.passphrase_command.as_deref(),
        )
    };
    said.or_else(of_environment).or_else(configured).unwrap_or(SecretFrom::Terminal)
}

impl SecretFrom {
    pub fn first(key: Option<&Path>, file: Option<&Path>, command: Option<&str>) -> Option<Self> {
        None.or_else(|| key.map(|key| Self::KeyFile(key.into())))
            .or_else(|| file.map(|file| Self::PassphraseFile(file.into())))
            .or_else(|| command.map(|command| Self::PassphraseCommand(command.into())))
    }

    /// A variable that is set, even to nothing: that is a mistake to be told.
    pub fn in_variable(name: &'static str) -> Option<Self> {
        std::env::var_os(name).map(|_| Self::Variable(name))
    }

    /// What to look at when the secret is wrong.
    fn describe(&self) -> String {
        match self {
            Self::KeyFile(file) => format!("the key file {}", file.display()),
            Self::PassphraseFile(file) => format!("the passphrase file {}", file.display()),
            Self::PassphraseCommand(_) => "the passphrase command".into(),
            Self::Variable(name) => (*name).into(),
            Self::Terminal => "your input".into(),
        }
    }

    pub fn read(&self, context: &Context, new: bool) -> Result<Secret> {
        let text = match self {
            Self::KeyFile(file) => return key_file(file),
            Self::PassphraseFile(file) => std::fs::read(file)
                .with_context(|| format!("cannot read the passphrase file {}", file.display()))?,
            Self::PassphraseCommand(command) => of_command(command)?,
            Self::Variable(name) => std::env::var_os(name).unwrap_or_default().into_vec(),
            Self::Terminal => ask(context, new)?.into_bytes(),
        };
        Secret::in_text(&text).map_err(|error| {
            Error::Usage(format!("{error}; it comes from {}", self.describe())).into()
        })
    }
}

fn key_file(file: &Path) -> Result<Secret> {
    let bytes = std::fs::read(file)
        .with_context(|| format!("cannot read the key file {}", file.display()))?;
    if bytes.len() < KEY_FILE_MIN {
        let message =
            format!("the key file {} is shorter than {KEY_FILE_MIN} bytes", file.display());
        bail!(Error::Usage(message));
    }
    Ok(Secret::KeyFile(bytes))
}

fn of_command(command: &str) -> Result<Vec<u8>> {
    // Only a terminal may be read from: anything else may be what is backed up (`pg_dump | restow …`).
    let input = match std::io::stdin().is_terminal() {
        true => Stdio::inherit(),
        false => Stdio::null(),
    };
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the passphrase command")?;
    let line = child.stdout.take().map_or(Ok(Vec::new()), first_line);
    let status = child.wait().context("cannot wait for the passphrase command")?;
    // Only its status: what it printed may be half a secret.
    if !status.success() {
        bail!("the passphrase command failed: {status}");
    }
    let line = line.context("cannot read the output of the passphrase command")?;
    if line.len() > LINE_MAX {
        bail!(Error::Usage("the passphrase command printed a line that is too long".into()));
    }
    Ok(line)
}

/// The first line, or somewhat more than may be of it. The rest is read too: a command nobody listens to fails.
fn first_line(output: impl Read) -> std::io::Result<Vec<u8>> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    output.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    std::io::copy(&mut output, &mut std::io::sink())?;
    Ok(line)
}

fn ask(context: &Context, new: bool) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!(Error::Usage(
            "no passphrase, and no terminal to ask for it: set RESTOW_PASSPHRASE or RESTOW_PASSPHRASE_COMMAND, or give --passphrase-file or --key-file"
                .into()
        ));
    }
    let question = if new { "New passphrase: " } else { "Passphrase: " };
    let passphrase = prompt::ask(&context.signals, question, true)?;
    if new && prompt::ask(&context.signals, "Again: ", true)? != passphrase {
        bail!(Error::Usage("the two passphrases differ".into()));
    }
    Ok(passphrase)
}
