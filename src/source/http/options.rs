//! How servers are talked to, as flags and restow.toml say it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ClientOptions;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::kind::{Environment, seconds};
use crate::text::without_mark;

/// Options of every server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With servers"))]
#[serde(default, rename_all = "kebab-case")]
pub struct ServerOptions {
    /// Variables that are not in the environment, one NAME=VALUE a line
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub env_file: Option<PathBuf>,
    /// Wait this long for a server that does not answer yet
    #[cfg_attr(feature = "cli", arg(long, value_name = "SECONDS", value_parser = seconds::parse))]
    #[serde(with = "seconds")]
    pub wait_ready: Option<Duration>,
    /// Try so often again what a dropped connection or a busy server kept from working
    #[cfg_attr(feature = "cli", arg(long, value_name = "COUNT", default_value = "6"))]
    pub retries: u32,
    /// How long a connection may take to come about
    #[cfg_attr(feature = "cli", arg(long, value_name = "SECONDS", value_parser = seconds::parse, default_value = "10"))]
    #[serde(with = "seconds")]
    pub connect_timeout: Duration,
    /// How long a server may be silent
    #[cfg_attr(feature = "cli", arg(long, value_name = "SECONDS", value_parser = seconds::parse, default_value = "60"))]
    #[serde(with = "seconds")]
    pub read_timeout: Duration,
    /// How long a server may take to make a snapshot of its own, or to take one in
    #[cfg_attr(feature = "cli", arg(long, value_name = "SECONDS", value_parser = seconds::parse, default_value = "3600"))]
    #[serde(with = "seconds")]
    pub snapshot_timeout: Duration,
    /// Most bytes a second to download, as 500k, 20M, 1G
    #[cfg_attr(feature = "cli", arg(long, value_name = "RATE"))]
    pub limit_download: Option<Rate>,
    /// Most bytes a second to upload
    #[cfg_attr(feature = "cli", arg(long, value_name = "RATE"))]
    pub limit_upload: Option<Rate>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let usual = ClientOptions::default();
        Self {
            env_file: None,
            wait_ready: None,
            retries: usual.retries,
            connect_timeout: usual.connect_timeout,
            read_timeout: usual.read_timeout,
            snapshot_timeout: Duration::from_secs(3600),
            limit_download: None,
            limit_upload: None,
        }
    }
}

impl ServerOptions {
    pub fn client(&self) -> ClientOptions {
        ClientOptions {
            connect_timeout: self.connect_timeout,
            read_timeout: self.read_timeout,
            retries: self.retries,
            limit_download: self.limit_download.map(|rate| rate.0),
            limit_upload: self.limit_upload.map(|rate| rate.0),
            ..ClientOptions::default()
        }
    }

    /// The environment, and behind it the variables of the file.
    pub fn variables(&self, environment: &Environment) -> Result<Variables, SourceError> {
        let file = self.env_file.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok(Variables { environment: Arc::clone(environment), file })
    }
}

/// The environment, and behind it a file of more.
pub struct Variables {
    environment: Environment,
    file: BTreeMap<String, String>,
}

impl Variables {
    /// What is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        let own = (self.environment)(name).map(OsString::into_string).and_then(Result::ok);
        let own = own.filter(|value| !value.is_empty());
        own.or_else(|| self.file.get(name).filter(|value| !value.is_empty()).cloned())
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, SourceError> {
    // The error would show the line, and there may be a key on it.
    let wrong = |error: dotenvy::Error| {
        let what = match error {
            dotenvy::Error::Io(error) => error.to_string(),
            dotenvy::Error::LineParse(..) => "a line is not NAME=VALUE".to_owned(),
            _ => "it makes no sense".to_owned(),
        };
        let message = format!("cannot read the variables in it: {what}");
        SourceError::Refused { kind: ErrorKind::Usage, path: path.display().to_string(), message }
    };
    let text = std::fs::read(path).map_err(|error| wrong(dotenvy::Error::Io(error)))?;
    dotenvy::from_read_iter(without_mark(&text)).collect::<Result<_, _>>().map_err(wrong)
}

/// Bytes a second: a number, with k, M or G for 1024, 1024² or 1024³.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(pub NonZeroU64);

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, factor) = match text.strip_suffix(['k', 'K', 'M', 'G']) {
            None => (text, 1),
            Some(number) if text.ends_with('G') => (number, 1 << 30),
            Some(number) if text.ends_with('M') => (number, 1 << 20),
            Some(number) => (number, 1 << 10),
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        bytes.and_then(NonZeroU64::new).map(Self).ok_or("say bytes a second, as 500k, 20M or 1G")
    }
}

impl TryFrom<String> for Rate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let of = |text: &str| text.parse::<Rate>().map(|rate| rate.0.get());
        assert_eq!(of("1500"), Ok(1500));
        assert_eq!((of("2k"), of("3M"), of("1G")), (Ok(2048), Ok(3 << 20), Ok(1 << 30)));
        for bad in ["", "0", "-1", "1.5M", "M", "1T", "99999999999999999999", "99999999999G"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
