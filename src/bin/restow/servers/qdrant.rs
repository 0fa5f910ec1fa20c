//! Qdrant as it is named on a command line and in the environment of its own tools.

use std::path::Path;

use restow::source::Loader;
use restow::source::http::Credential;
use restow::source::qdrant::{
    Mode, Priority, QdrantBackup, QdrantExporter, QdrantFileExporter, QdrantFileOptions,
    QdrantLoader, QdrantOptions, QdrantRestore, QdrantServer, QdrantSource,
};
use restow::{Cancel, Error as OpError};

use super::{ServerSettings, new_name, renames};
use crate::args::{QdrantMode, RestoreArgs, SnapshotPriority};

/// `qdrant://HOST…`, or `qdrant:` with or without collections for the server in `QDRANT_URL`.
pub fn is_meant(text: &str) -> bool {
    ["qdrant:", "qdrant+http:", "qdrant+https:"].iter().any(|start| text.starts_with(start))
}

/// Without a look at the world.
pub fn check(text: &str) -> Result<(), OpError> {
    if text.contains("://") {
        QdrantSource::parse(text)?;
    }
    Ok(())
}

/// What was said of how Qdrant is read.
#[derive(Debug, Clone, Default)]
pub struct QdrantSettings {
    pub mode: Option<QdrantMode>,
    pub nodes: Vec<String>,
    pub continues: Option<String>,
}

impl QdrantSettings {
    fn backup(&self) -> Result<QdrantBackup, OpError> {
        let mode = match self.mode {
            None | Some(QdrantMode::Snapshot) => Mode::Snapshot,
            Some(QdrantMode::Stream) => Mode::Stream,
            Some(QdrantMode::Logical) => Mode::Logical,
        };
        Ok(QdrantBackup { mode, nodes: nodes(&self.nodes)? })
    }
}

fn nodes(urls: &[String]) -> Result<Vec<QdrantServer>, OpError> {
    let node = |url: &String| match is_meant(url) {
        true => Ok(QdrantSource::parse(url)?.server),
        false => Ok(QdrantServer::new(url)?),
    };
    urls.iter().map(node).collect()
}

pub fn of_file(path: &Path, settings: &QdrantSettings) -> Result<QdrantFileExporter, OpError> {
    let source = settings.continues.as_deref().map(QdrantSource::parse).transpose()?;
    let options = QdrantFileOptions { source, ..QdrantFileOptions::default() };
    Ok(QdrantFileExporter::new(path, options)?)
}

pub fn exporter(
    text: &str,
    chosen: &[String],
    reading: &QdrantSettings,
    settings: &ServerSettings,
) -> Result<QdrantExporter, OpError> {
    let mut source = parse(text, settings)?;
    source.collections.extend(chosen.iter().cloned());
    Ok(QdrantExporter::new(source, options(settings)).reading(reading.backup()?))
}

/// With what the environment says of a server that is not named here.
fn parse(text: &str, settings: &ServerSettings) -> Result<QdrantSource, OpError> {
    match text.strip_prefix("qdrant:").filter(|_| !text.contains("://")) {
        None => Ok(QdrantSource::parse(text)?),
        Some(names) => {
            let url = settings.variables.get("QDRANT_URL").ok_or_else(|| {
                OpError::Usage(format!(
                    "{text} needs QDRANT_URL=http://HOST:6333, or say qdrant://HOST:6333/COLLECTION"
                ))
            })?;
            let named =
                settings.variables.get("QDRANT_COLLECTION_NAME").filter(|_| names.is_empty());
            let collections = QdrantSource::collections(named.as_deref().unwrap_or(names))?;
            Ok(QdrantSource { server: QdrantServer::new(&url)?, collections })
        }
    }
}

/// The key is never an argument: those show in the list of processes.
fn options(settings: &ServerSettings) -> QdrantOptions {
    let credential = settings.variables.get("QDRANT_API_KEY").map(|key| Credential::api_key(&key));
    let usual = QdrantOptions::default();
    QdrantOptions {
        credential,
        http: settings.http.clone(),
        patience: settings.patience.unwrap_or(usual.patience),
        wait_ready: settings.wait_ready,
    }
}

/// Into the server at `url`: one collection in it is a new name.
pub fn loader(
    url: &str,
    args: &RestoreArgs,
    settings: &ServerSettings,
    cancel: &Cancel,
) -> Result<Box<dyn Loader>, OpError> {
    let source = parse(url, settings)?;
    let rename = new_name(url, args, &source.collections, "say --collection A:B")?;
    let restore = QdrantRestore {
        collections: renames(&args.collections)?,
        rename,
        priority: match args.priority {
            None | Some(SnapshotPriority::Snapshot) => Priority::Snapshot,
            Some(SnapshotPriority::Replica) => Priority::Replica,
            Some(SnapshotPriority::NoSync) => Priority::NoSync,
        },
        if_missing: args.if_missing,
        aliases: args.aliases,
        nodes: nodes(&args.qdrant_node)?,
    };
    Ok(Box::new(QdrantLoader::new(&source.server, &options(settings), restore, cancel)?))
}
