//! Qdrant as a kind of source. Keys are in the environment, as for its own tools: arguments show in the list of processes.

use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::failure::refused;
use super::{
    Mode, Priority, QdrantBackup, QdrantExporter, QdrantFileExporter, QdrantFileOptions,
    QdrantLoader, QdrantOptions, QdrantRestore, QdrantServer, QdrantSource,
};
use crate::fault::ErrorKind;
use crate::source::http::{Credential, ServerOptions, Variables};
use crate::source::kind::{
    OptionSet, OptionValues, Purpose, SourceContext, SourceKind, after_scheme, read_options,
};
use crate::source::tables::{ReadTables, WrittenTables, new_name, renames};
use crate::source::{Description, Exporter, Loader, SourceError};

/// `qdrant://HOST…`, `qdrant:` with or without collections for the server in `QDRANT_URL`, and `qdrant-file:FILE`.
pub struct QdrantKind;

const SCHEMES: &[&str] = &["qdrant", "qdrant+http", "qdrant+https", "qdrant-file"];
const FILE: &[&str] = &["qdrant-file"];

/// How collections are read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With Qdrant"))]
#[serde(default, rename_all = "kebab-case")]
struct BackupOptions {
    /// How Qdrant collections are read
    #[cfg_attr(
        feature = "cli",
        arg(long, value_enum, value_name = "HOW", default_value = "snapshot")
    )]
    qdrant_mode: Mode,
    /// The URL of another node of the Qdrant server's cluster: a node gives only the shards it has
    /// (repeatable: all that have shards)
    #[cfg_attr(feature = "cli", arg(long, value_name = "URL"))]
    qdrant_node: Vec<String>,
    /// With qdrant-file: of which server and collection it is a snapshot, whose snapshots it then continues
    #[cfg_attr(feature = "cli", arg(long, value_name = "qdrant://HOST:6333/COLLECTION"))]
    qdrant_as: Option<String>,
    // Last: what follows a flattened struct would stand under its heading.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    tables: ReadTables,
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    server: ServerOptions,
}

/// How collections are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With Qdrant"))]
#[serde(default, rename_all = "kebab-case")]
struct TargetOptions {
    /// Make the collections' aliases again
    #[cfg_attr(feature = "cli", arg(long))]
    aliases: bool,
    /// Whose points win in a cluster that has others
    #[cfg_attr(
        feature = "cli",
        arg(long, value_enum, value_name = "WHOSE", default_value = "snapshot")
    )]
    priority: Priority,
    /// The URL of another node of the Qdrant server's cluster, in the order of the backup (repeatable)
    #[cfg_attr(feature = "cli", arg(long, value_name = "URL"))]
    qdrant_node: Vec<String>,
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    tables: WrittenTables,
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    server: ServerOptions,
}

/// A source, with what the environment says of a server that is not named here.
fn parse(text: &str, variables: &Variables) -> Result<QdrantSource, SourceError> {
    if text.contains("://") {
        return QdrantSource::parse(text);
    }
    let names = text.strip_prefix("qdrant:").unwrap_or(text);
    let url = variables.get("QDRANT_URL").ok_or_else(|| {
        let message = "needs QDRANT_URL=http://HOST:6333, or say qdrant://HOST:6333/COLLECTION";
        refused(ErrorKind::Usage, text, message)
    })?;
    let named = variables.get("QDRANT_COLLECTION_NAME").filter(|_| names.is_empty());
    let collections = QdrantSource::collections(named.as_deref().unwrap_or(names))?;
    Ok(QdrantSource { server: QdrantServer::new(&url)?, collections })
}

fn connection(server: &ServerOptions, variables: &Variables) -> QdrantOptions {
    QdrantOptions {
        credential: variables.get("QDRANT_API_KEY").map(|key| Credential::api_key(&key)),
        http: server.client(),
        patience: server.snapshot_timeout,
        wait_ready: server.wait_ready,
    }
}

fn nodes(urls: &[String]) -> Result<Vec<QdrantServer>, SourceError> {
    let node = |url: &String| match url.starts_with("qdrant") {
        true => Ok(QdrantSource::parse(url)?.server),
        false => QdrantServer::new(url),
    };
    urls.iter().map(node).collect()
}

fn of_file(path: &Path, source: Option<&str>) -> Result<Box<dyn Exporter>, SourceError> {
    let source = source.map(QdrantSource::parse).transpose()?;
    let options = QdrantFileOptions { source, ..QdrantFileOptions::default() };
    Ok(Box::new(QdrantFileExporter::new(path, options)?))
}

impl SourceKind for QdrantKind {
    fn name(&self) -> &str {
        "qdrant"
    }

    fn recorded(&self) -> &[&str] {
        &["qdrant"]
    }

    fn schemes(&self) -> &[&str] {
        SCHEMES
    }

    fn path_schemes(&self) -> &[&str] {
        FILE
    }

    fn check(&self, text: &OsStr) -> Result<(), SourceError> {
        let shown = text.to_string_lossy();
        let is_url = after_scheme(text, FILE) == text && shown.contains("://");
        if is_url { QdrantSource::parse(&shown).map(|_| ()) } else { Ok(()) }
    }

    fn options(&self, purpose: Purpose) -> OptionSet {
        match purpose {
            Purpose::Backup => OptionSet::of::<BackupOptions>(),
            Purpose::Restore => OptionSet::of::<TargetOptions>(),
        }
    }

    fn exporter(
        &self,
        text: &OsStr,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        let options: BackupOptions = read_options(options)?;
        let file = after_scheme(text, FILE);
        if file != text {
            return of_file(Path::new(file), options.qdrant_as.as_deref());
        }
        let variables = options.server.variables(&context.environment)?;
        let mut source = parse(&text.to_string_lossy(), &variables)?;
        source.collections.extend(options.tables.collections);
        let backup =
            QdrantBackup { mode: options.qdrant_mode, nodes: nodes(&options.qdrant_node)? };
        let connection = connection(&options.server, &variables);
        Ok(Box::new(QdrantExporter::new(source, connection).reading(backup)))
    }

    /// A file's collection is in the file: where that is gone, nobody knows it.
    fn place(&self, _: &OsStr) -> Option<Description> {
        None
    }

    fn has_loader(&self) -> bool {
        true
    }

    fn loader(
        &self,
        url: &str,
        is_named: bool,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Loader>, SourceError> {
        let options: TargetOptions = read_options(options)?;
        let variables = options.server.variables(&context.environment)?;
        let source = parse(url, &variables)?;
        let restore = QdrantRestore {
            collections: renames(&options.tables.collections)?,
            rename: new_name(url, is_named, &source.collections, "say --collection A:B")?,
            priority: options.priority,
            if_missing: options.tables.if_missing,
            aliases: options.aliases,
            nodes: nodes(&options.qdrant_node)?,
        };
        let connection = connection(&options.server, &variables);
        Ok(Box::new(QdrantLoader::new(&source.server, &connection, restore, &context.cancel)?))
    }

    fn imports(&self) -> &[&str] {
        &[".snapshot of Qdrant"]
    }

    fn can_import(&self, path: &Path) -> bool {
        // A link may have any name.
        path.is_file()
            && path.canonicalize().is_ok_and(|it| it.extension() == Some("snapshot".as_ref()))
    }

    fn importer(
        &self,
        path: &Path,
        identity: Option<&str>,
        _: &OptionValues,
        _: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        of_file(path, identity)
    }
}
