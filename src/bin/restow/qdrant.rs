//! Qdrant as it is named on a command line and in the environment of its own tools.

use std::path::Path;
use std::sync::Arc;

use restow::ops::{OpError, RestoreTarget};
use restow::progress::Cancel;
use restow::source::http::Credential;
use restow::source::qdrant::{
    Mode, Policy, Priority, QdrantBackup, QdrantExporter, QdrantFileExporter, QdrantFileOptions,
    QdrantImporter, QdrantOptions, QdrantRestore, QdrantServer, QdrantSource,
};
use restow::source::{ImportReport, Importer};

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
        let node = |url: &String| match is_meant(url) {
            true => Ok(QdrantSource::parse(url)?.server),
            false => Ok(QdrantServer::new(url)?),
        };
        let nodes = self.nodes.iter().map(node).collect::<Result<_, OpError>>()?;
        Ok(QdrantBackup { mode, nodes })
    }
}

pub fn of_file(path: &Path, settings: &QdrantSettings) -> Result<QdrantFileExporter, OpError> {
    let source = settings.continues.as_deref().map(QdrantSource::parse).transpose()?;
    let options = QdrantFileOptions { source, ..QdrantFileOptions::default() };
    Ok(QdrantFileExporter::new(path, options)?)
}

pub fn exporter(text: &str, settings: &QdrantSettings) -> Result<QdrantExporter, OpError> {
    let mut source = parse(text)?;
    if source.collections.is_empty() && !text.contains("://") {
        source.collections.extend(variable("QDRANT_COLLECTION_NAME"));
    }
    Ok(QdrantExporter::new(source, options()).reading(settings.backup()?))
}

fn parse(text: &str) -> Result<QdrantSource, OpError> {
    match text.strip_prefix("qdrant:").filter(|_| !text.contains("://")) {
        None => Ok(QdrantSource::parse(text)?),
        Some(names) => {
            let url = variable("QDRANT_URL").ok_or_else(|| {
                OpError::Usage(format!(
                    "{text} needs QDRANT_URL=http://HOST:6333, or say qdrant://HOST:6333/COLLECTION"
                ))
            })?;
            let names = names.split(',').filter(|name| !name.is_empty());
            let collections = names.map(str::to_owned).collect();
            Ok(QdrantSource { server: QdrantServer::new(&url)?, collections })
        }
    }
}

/// The key is never an argument: those show in the list of processes.
fn options() -> QdrantOptions {
    let credential = variable("QDRANT_API_KEY").map(|key| Credential::api_key(&key));
    QdrantOptions { credential, ..QdrantOptions::default() }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// All parts of a snapshot, or where they go to a server those that it can take.
pub fn jobs(
    to: Option<&Target>,
    mut jobs: Vec<RestoreTarget>,
) -> Result<Vec<RestoreTarget>, OpError> {
    if to.is_some() {
        jobs.retain(|job| job.kind == "qdrant");
    }
    match to.is_some() && jobs.is_empty() {
        false => Ok(jobs),
        true => Err(OpError::Usage(
            "nothing in this snapshot came from a Qdrant server: --to FOLDER restores files".into(),
        )),
    }
}

/// A server to restore into.
pub struct Target {
    server: QdrantServer,
    collection: Option<String>,
}

impl Target {
    /// What `--to` names, where that is a server.
    pub fn of(args: &RestoreArgs) -> Result<Option<Self>, OpError> {
        let to = args.to.as_deref().and_then(Path::to_str).filter(|to| is_meant(to));
        let Some(to) = to else {
            if args.if_missing || args.aliases || args.priority.is_some() {
                let message =
                    "--if-missing, --aliases and --priority go with --to qdrant://HOST:6333";
                return Err(OpError::Usage(message.into()));
            }
            return Ok(None);
        };
        let source = parse(to)?;
        let mut names = source.collections.into_iter();
        match (names.next(), names.next()) {
            (collection, None) => Ok(Some(Self { server: source.server, collection })),
            _ => Err(OpError::Usage(format!("{to}: a restore has one new name, or none"))),
        }
    }

    pub fn importer(
        &self,
        args: &RestoreArgs,
        overwrite: bool,
        cancel: &Cancel,
    ) -> Result<(Box<dyn Importer>, Arc<ImportReport>), OpError> {
        let restore = QdrantRestore {
            collection: self.collection.clone(),
            priority: match args.priority {
                None | Some(SnapshotPriority::Snapshot) => Priority::Snapshot,
                Some(SnapshotPriority::Replica) => Priority::Replica,
                Some(SnapshotPriority::NoSync) => Priority::NoSync,
            },
            policy: Policy { if_missing: args.if_missing, overwrite },
            aliases: args.aliases,
        };
        let importer = QdrantImporter::new(&self.server, &options(), restore, cancel)?;
        let report = importer.report();
        Ok((Box::new(importer), report))
    }
}
