//! `restow.toml`: repositories and sources by name.
//!
//! A file named by `--config` or `RESTOW_CONFIG`, else `restow/restow.toml` in the user's configuration
//! folder, else `/etc/restow/restow.toml`. Never one of the current folder: a file there may be somebody
//! else's, and a `passphrase-command` in it would be run.

mod load;
mod retention;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use restow::Error as OpError;
use restow::source::SourceKinds;
use restow::source::kind::OptionValues;
use serde::Deserialize;

use super::args::Options;

pub use self::retention::RetentionConfig;

/// What is configured. Without a file: nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The repository used when none is named.
    pub default_repository: Option<String>,
    pub repositories: BTreeMap<String, RepositoryConfig>,
    pub sources: BTreeMap<String, SourceConfig>,
    /// Of sources that have none of their own.
    pub retention: Option<RetentionConfig>,
    /// Whose days, weeks, months and years; without it, this machine's.
    pub timezone: Option<String>,
}

/// A place and how it is opened.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RepositoryConfig {
    pub place: String,
    pub passphrase_command: Option<String>,
    pub passphrase_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub cache: Option<PathBuf>,
}

/// A source and how it is backed up: the same words as on the command line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SourceConfig {
    /// A source as on the command line, or several that are one snapshot.
    pub source: Option<Several>,
    /// A program and its arguments: what it prints is the source.
    pub command: Option<Vec<String>>,
    pub repository: Option<String>,
    pub retention: Option<RetentionConfig>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub permanent: bool,
    /// What kinds of sources take, and what of it is in the table of one kind.
    #[serde(skip)]
    pub options: OptionValues,
    #[serde(skip)]
    pub of_kinds: BTreeMap<String, OptionValues>,
}

/// One or several of a thing.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Several {
    One(String),
    Many(Vec<String>),
}

impl Several {
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Config {
    /// Reads the file that counts, if there is one.
    pub fn load(options: &Options, kinds: &SourceKinds) -> Result<Self> {
        if let Some(file) = &options.config {
            return load::read(file, kinds);
        }
        for file in default_places() {
            if file.exists() {
                return load::read(&file, kinds);
            }
        }
        Ok(Self::default())
    }

    /// The repository's name that counts when none is given: the default, or the only one.
    pub fn default_repository(&self) -> Option<&str> {
        match (&self.default_repository, self.repositories.keys().next()) {
            (Some(name), _) => Some(name),
            (None, Some(only)) if self.repositories.len() == 1 => Some(only),
            _ => None,
        }
    }

    /// A source that must be configured.
    pub fn source(&self, name: &str) -> Result<&SourceConfig> {
        let Some(source) = self.sources.get(name) else {
            let near = nearest(name, self.sources.keys().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            bail!(OpError::Usage(format!("no source {name:?} is configured{hint}")))
        };
        Ok(source)
    }
}

/// restow's folder in one of the user's.
pub fn user_folder(variable: &str, below_home: &str) -> Result<PathBuf> {
    let base = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match base {
        Some(base) => base,
        None => {
            let home = std::env::var_os("HOME").context("HOME is not set: give --repository")?;
            PathBuf::from(home).join(below_home)
        }
    };
    Ok(base.join("restow"))
}

/// Where a file is looked for when none is named.
fn default_places() -> Vec<PathBuf> {
    let own = user_folder("XDG_CONFIG_HOME", ".config").ok();
    let system = PathBuf::from("/etc/restow");
    own.into_iter().chain([system]).map(|folder| folder.join("restow.toml")).collect()
}

/// The candidate most like a word, if one is like it at all.
fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let scored = candidates.map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.75).map(|(_, candidate)| candidate)
}

/// A path as the file means it: `~/` is the home folder, what is relative lies beside the file.
fn beside(folder: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => folder.join(path),
    }
}
