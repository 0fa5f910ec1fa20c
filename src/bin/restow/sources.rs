//! Sources as they are named on a command line: parsed first, without a look at the world; resolved second.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use restow::Error as OpError;
use restow::source::Exporter;
use restow::source::command::{CommandExporter, CommandOptions, StdinExporter};
use restow::source::files::{FolderExporter, FolderOptions};
use restow::source::sqlite::{SqliteExporter, SqliteOptions};

use crate::servers::qdrant::QdrantSettings;
use crate::servers::{ServerSettings, arangodb, qdrant};

/// What one argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// A folder or a file.
    Path(PathBuf),
    Sqlite(PathBuf),
    Command {
        name: String,
        argv: Vec<OsString>,
    },
    Stdin(String),
    /// `qdrant:…`, as it was said.
    Qdrant(String),
    /// A file that a Qdrant server made.
    QdrantFile(PathBuf),
    /// `arangodb:…`, as it was said.
    Arango(String),
}

/// What the sources of a run have in common.
#[derive(Debug, Clone, Default)]
pub struct SourceSettings {
    pub folder: FolderOptions,
    pub sqlite: SqliteOptions,
    pub servers: ServerSettings,
    /// Of a server's collections only these.
    pub collections: Vec<String>,
    pub qdrant: QdrantSettings,
    /// Of an ArangoDB server also its own collections, and its users.
    pub include_system: bool,
    pub include_users: bool,
    pub allow_empty: bool,
    pub pass_stderr: bool,
}

/// `argv` is what stands behind `--`: it belongs to the one `command:`.
pub fn parse(sources: &[OsString], argv: &[OsString]) -> Result<Vec<SourceSpec>, OpError> {
    let specs = sources
        .iter()
        .map(|source| SourceSpec::parse(source, argv))
        .collect::<Result<Vec<_>, _>>()?;
    let commands = specs.iter().filter(|spec| matches!(spec, SourceSpec::Command { .. })).count();
    let stdins = specs.iter().filter(|spec| matches!(spec, SourceSpec::Stdin(_))).count();
    let wrong = match (commands, stdins, argv.is_empty()) {
        (0, _, false) => "a program after -- needs a source command:NAME before it",
        (2.., _, _) => "one command: source a run, since one program stands after --",
        (_, 2.., _) => "standard input can be read once only: one stdin: source a run",
        _ => return Ok(specs),
    };
    Err(OpError::Usage(wrong.to_owned()))
}

impl SourceSpec {
    pub fn parse(text: &OsStr, argv: &[OsString]) -> Result<Self, OpError> {
        let bytes = text.as_bytes();
        let after = |scheme: &str| bytes.strip_prefix(scheme.as_bytes());
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        if let Some(rest) = after("sqlite:") {
            return Ok(Self::Sqlite(path(rest)));
        }
        if let Some(rest) = after("file:") {
            return Ok(Self::Path(path(rest)));
        }
        if let Some(rest) = after("command:") {
            return Ok(Self::Command { name: name(rest)?, argv: argv.to_vec() });
        }
        if let Some(rest) = after("stdin:") {
            return Ok(Self::Stdin(name(rest)?));
        }
        if let Some(rest) = after("qdrant-file:") {
            return Ok(Self::QdrantFile(path(rest)));
        }
        let shown = text.to_string_lossy();
        if qdrant::is_meant(&shown) {
            qdrant::check(&shown)?;
            return Ok(Self::Qdrant(shown.into_owned()));
        }
        if arangodb::is_meant(&shown) {
            arangodb::check(&shown)?;
            return Ok(Self::Arango(shown.into_owned()));
        }
        match shown.split_once("://") {
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') => {
                let message = format!("{scheme}:// is no kind of source that this restow reads");
                Err(OpError::Usage(message))
            }
            _ => Ok(Self::Path(path(bytes))),
        }
    }

    /// Whether it is what stands beside a database: folders and files.
    pub fn is_bulk(&self) -> bool {
        matches!(self, Self::Path(_))
    }

    /// Looks at what is named. What is missing, or is something else, is told here.
    pub fn resolve(&self, settings: &SourceSettings) -> Result<Box<dyn Exporter>, OpError> {
        Ok(match self {
            Self::Path(path) => Box::new(FolderExporter::new(path, settings.folder.clone())?),
            Self::Sqlite(path) => Box::new(SqliteExporter::new(path, settings.sqlite.clone())?),
            Self::Command { name, argv } => {
                let options = CommandOptions {
                    allow_empty: settings.allow_empty,
                    pass_stderr: settings.pass_stderr,
                };
                Box::new(CommandExporter::new(name, argv, options)?)
            }
            Self::Stdin(name) => Box::new(StdinExporter::new(name, settings.allow_empty)?),
            Self::Qdrant(text) => {
                let SourceSettings { servers, qdrant, collections, .. } = settings;
                Box::new(qdrant::exporter(text, collections, qdrant, servers)?)
            }
            Self::QdrantFile(path) => Box::new(qdrant::of_file(path, &settings.qdrant)?),
            Self::Arango(text) => Box::new(arangodb::exporter(text, settings)?),
        })
    }
}

fn name(bytes: &[u8]) -> Result<String, OpError> {
    let wrong = |_| OpError::Usage("a stream's name must be UTF-8".to_owned());
    String::from_utf8(bytes.to_vec()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sources: &[&str], argv: &[&str]) -> Result<Vec<SourceSpec>, String> {
        let owned = |texts: &[&str]| texts.iter().map(OsString::from).collect::<Vec<_>>();
        parse(&owned(sources), &owned(argv)).map_err(|error| error.to_string())
    }

    #[test]
    fn prefixes_and_the_ways_around_them() {
        let path = |text: &str| SourceSpec::Path(PathBuf::from(text));
        assert_eq!(of(&["site"], &[]), Ok(vec![path("site")]));
        assert_eq!(of(&["sqlite:a.db"], &[]), Ok(vec![SourceSpec::Sqlite("a.db".into())]));
        assert_eq!(of(&["./sqlite:a.db"], &[]), Ok(vec![path("./sqlite:a.db")]));
        assert_eq!(of(&["file:stdin:x"], &[]), Ok(vec![path("stdin:x")]));
        let dump = SourceSpec::Command { name: "dump".into(), argv: vec!["pg_dump".into()] };
        assert_eq!(of(&["a", "command:dump"], &["pg_dump"]), Ok(vec![path("a"), dump]));
        assert!(of(&["a"], &["pg_dump"]).unwrap_err().contains("command:NAME"));
        assert!(of(&["command:a", "command:b"], &["x"]).unwrap_err().contains("one command"));
        assert!(of(&["stdin:a", "stdin:b"], &[]).unwrap_err().contains("once"));
        let file = SourceSpec::QdrantFile("a/n.snapshot".into());
        assert_eq!(of(&["qdrant-file:a/n.snapshot"], &[]), Ok(vec![file]));
        let notes = "qdrant://h/notes";
        assert_eq!(of(&[notes], &[]), Ok(vec![SourceSpec::Qdrant(notes.into())]));
        assert!(of(&["qdrant://:key@h/notes"], &[]).unwrap_err().contains("QDRANT_API_KEY"));
        let shop = "arangodb://h/shop";
        assert_eq!(of(&[shop], &[]), Ok(vec![SourceSpec::Arango(shop.into())]));
        assert!(of(&["arangodb://u:pass@h/shop"], &[]).unwrap_err().contains("ARANGO_PASSWORD"));
        assert!(of(&["mysql://host/db"], &[]).unwrap_err().contains("mysql://"));
    }
}
