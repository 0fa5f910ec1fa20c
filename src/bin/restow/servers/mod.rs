//! Servers as sources and targets: how they are named, and how they are talked to.

pub mod arangodb;
pub mod qdrant;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use restow::source::http::ClientOptions;
use restow::source::{Loader, Rename, SourceError};
use restow::{Cancel, Error as OpError};

use crate::args::{RestoreArgs, ServerArgs};
use crate::config::SourceConfig;

/// What the command line and restow.toml say of servers.
#[derive(Debug, Clone, Default)]
pub struct ServerSettings {
    pub variables: Variables,
    pub http: ClientOptions,
    /// How long a server may take to make a snapshot of its own, or to take one in.
    pub patience: Option<Duration>,
    pub wait_ready: Option<Duration>,
}

impl ServerSettings {
    /// What was said counts before what is configured.
    pub fn of(args: &ServerArgs, configured: &SourceConfig) -> Result<Self, OpError> {
        let seconds = |said: Option<u64>, configured: Option<u64>| {
            said.or(configured).map(Duration::from_secs)
        };
        let mut http = ClientOptions::default();
        let set = |at: &mut Duration, time: Option<Duration>| *at = time.unwrap_or(*at);
        set(&mut http.connect_timeout, seconds(args.connect_timeout, configured.connect_timeout));
        set(&mut http.read_timeout, seconds(args.read_timeout, configured.read_timeout));
        http.retries = args.retries.or(configured.retries).unwrap_or(http.retries);
        http.limit_download = args.limit_download.or(configured.limit_download.map(|rate| rate.0));
        http.limit_upload = args.limit_upload.or(configured.limit_upload.map(|rate| rate.0));
        let file = args.env_file.as_deref().or(configured.env_file.as_deref());
        Ok(Self {
            variables: file.map(Variables::read).transpose()?.unwrap_or_default(),
            http,
            patience: seconds(args.snapshot_timeout, configured.snapshot_timeout),
            wait_ready: seconds(args.wait_ready, configured.wait_ready),
        })
    }
}

/// The environment, and behind it a file of more.
#[derive(Clone, Default)]
pub struct Variables {
    file: BTreeMap<String, String>,
}

impl std::fmt::Debug for Variables {
    /// Values may be keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.file.keys()).finish()
    }
}

impl Variables {
    fn read(path: &Path) -> Result<Self, OpError> {
        // The error would show the line, and there may be a key on it.
        let wrong = |error: dotenvy::Error| {
            let what = match error {
                dotenvy::Error::Io(error) => error.to_string(),
                dotenvy::Error::LineParse(..) => "a line is not NAME=VALUE".to_owned(),
                _ => "it makes no sense".to_owned(),
            };
            OpError::Usage(format!("cannot read the variables in {}: {what}", path.display()))
        };
        let lines = dotenvy::from_path_iter(path).map_err(wrong)?;
        let file = lines.collect::<Result<_, _>>().map_err(wrong)?;
        Ok(Self { file })
    }

    /// What is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        let own = std::env::var(name).ok().filter(|value| !value.is_empty());
        own.or_else(|| self.file.get(name).filter(|value| !value.is_empty()).cloned())
    }
}

/// What writes a source of this kind into the server at `url`, which may be the one it came from.
pub fn loader(
    kind: &str,
    url: &str,
    args: &RestoreArgs,
    settings: &ServerSettings,
    cancel: &Cancel,
) -> Result<Box<dyn Loader>, OpError> {
    match kind {
        "qdrant" => qdrant::loader(url, args, settings, cancel),
        "arangodb" => arangodb::loader(url, args, settings, cancel),
        _ => Err(OpError::Usage(format!("this restow writes into no {kind} server"))),
    }
}

/// The kind of server that `--to` names, where it is one.
pub fn kind_of(to: &str) -> Option<&'static str> {
    match to {
        to if qdrant::is_meant(to) => Some("qdrant"),
        to if arangodb::is_meant(to) => Some("arangodb"),
        _ => None,
    }
}

/// A flag that was said and means nothing for any source of these kinds.
pub fn flag_for_none(args: &RestoreArgs, kinds: &[&str]) -> Option<&'static str> {
    let both = ["qdrant", "arangodb"].as_slice();
    let (qdrant, arango) = (["qdrant"].as_slice(), ["arangodb"].as_slice());
    let said = [
        ("--if-missing", args.if_missing, both),
        ("--collection", !args.collections.is_empty(), both),
        ("--aliases", args.aliases, qdrant),
        ("--priority", args.priority.is_some(), qdrant),
        ("--qdrant-node", !args.qdrant_node.is_empty(), qdrant),
        ("--create-database", args.create_database, arango),
        ("--backup-existing", args.backup_existing, arango),
        ("--include-system", args.include_system, arango),
        ("--include-users", args.include_users, arango),
    ];
    let fits = |of: &[&str]| of.iter().any(|kind| kinds.contains(kind));
    said.into_iter().find(|(_, is_said, of)| *is_said && !fits(of)).map(|(flag, ..)| flag)
}

/// The new name for the one thing that is restored, which `--to` may have behind its server. `otherwise`: what to say
/// instead of several.
pub fn new_name(
    url: &str,
    args: &RestoreArgs,
    names: &[String],
    otherwise: &str,
) -> Result<Option<String>, OpError> {
    match (args.to.is_some(), names) {
        // Where it came from has its names already.
        (false, _) | (true, []) => Ok(None),
        (true, [one]) => Ok(Some(one.clone())),
        (true, _) => {
            Err(OpError::Usage(format!("{url}: a restore has one new name there, or {otherwise}")))
        }
    }
}

/// Some of what a server holds, and their names where they go: `a`, or `a:b`.
pub fn renames(said: &[String]) -> Result<Vec<Rename>, OpError> {
    let one = |text: &String| {
        text.parse().map_err(|error: SourceError| OpError::Usage(format!("--collection {error}")))
    };
    said.iter().map(one).collect()
}
