//! ArangoDB as a kind of source. Passwords and tokens are in the environment: arguments show in the list of processes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::failure::refused;
use super::{
    ArangoConnection, ArangoExporter, ArangoLoader, ArangoLogin, ArangoOptions, ArangoRestore,
    ArangoSelection, ArangoServer, ArangoSource, ArangodumpExporter, ArangodumpOptions,
    SortOptions, is_arangodump,
};
use crate::fault::ErrorKind;
use crate::source::http::{ServerOptions, Variables};
use crate::source::kind::{
    OptionSet, OptionValues, Purpose, SourceContext, SourceKind, read_options,
};
use crate::source::tables::{ReadTables, WrittenTables, new_name, renames};
use crate::source::{Exporter, Loader, SourceError};

/// `arangodb://HOST…`, or `arangodb:` with or without databases for the server in `ARANGO_URL`.
pub struct ArangoKind;

/// How databases are read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With ArangoDB"))]
#[serde(default, rename_all = "kebab-case")]
struct BackupOptions {
    /// ArangoDB's own collections too, not only those of graphs and analyzers
    #[cfg_attr(feature = "cli", arg(long))]
    include_system: bool,
    /// The users of an ArangoDB server too: they are in its database _system
    #[cfg_attr(feature = "cli", arg(long))]
    include_users: bool,
    #[cfg_attr(feature = "cli", arg(long, value_name = "FOLDER"))]
    temp_dir: Option<PathBuf>,
    // Last: what follows a flattened struct would stand under its heading.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    tables: ReadTables,
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    server: ServerOptions,
}

/// How databases are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With ArangoDB"))]
#[serde(default, rename_all = "kebab-case")]
struct TargetOptions {
    /// Make a database that the server does not have
    #[cfg_attr(feature = "cli", arg(long))]
    create_database: bool,
    /// Keep a collection that would be replaced, as NAME_backup_YYYYMMDD_HHMMSS
    #[cfg_attr(feature = "cli", arg(long))]
    backup_existing: bool,
    /// ArangoDB's own collections too, not only those of graphs and analyzers
    #[cfg_attr(feature = "cli", arg(long))]
    include_system: bool,
    /// The users of an ArangoDB server too, in place of those of the same names
    #[cfg_attr(feature = "cli", arg(long))]
    include_users: bool,
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    tables: WrittenTables,
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    server: ServerOptions,
}

/// A source, with what the environment says of a server that is not named here.
fn parse(text: &str, variables: &Variables) -> Result<ArangoSource, SourceError> {
    if text.contains("://") {
        return ArangoSource::parse(text);
    }
    let url = variables.get("ARANGO_URL").ok_or_else(|| {
        let message = "needs ARANGO_URL=http://HOST:8529, or say arangodb://HOST:8529/DATABASE";
        refused(ErrorKind::Usage, text, message)
    })?;
    let databases = ArangoSource::databases(text.strip_prefix("arangodb:").unwrap_or(text))?;
    Ok(ArangoSource { server: ArangoServer::new(&url)?, databases })
}

fn connection(
    server: &ArangoServer,
    options: &ServerOptions,
    variables: &Variables,
) -> Result<ArangoConnection, SourceError> {
    let user = server.user().map(str::to_owned).or_else(|| variables.get("ARANGO_USER"));
    let user = user.unwrap_or_else(|| "root".into());
    let password = variables.get("ARANGO_PASSWORD").unwrap_or_default();
    let login = match (variables.get("ARANGO_JWT"), variables.get("ARANGO_AUTH").as_deref()) {
        (Some(token), _) => ArangoLogin::token(&token),
        (None, None | Some("basic")) => ArangoLogin::basic(&user, &password),
        (None, Some("jwt")) => ArangoLogin::session(&user, &password),
        (None, Some(_)) => {
            let message = "is basic (a password with every request) or jwt (a session)";
            return Err(refused(ErrorKind::Usage, "ARANGO_AUTH", message));
        }
    };
    Ok(ArangoConnection { login, http: options.client(), wait_ready: options.wait_ready })
}

impl SourceKind for ArangoKind {
    fn name(&self) -> &str {
        "arangodb"
    }

    fn recorded(&self) -> &[&str] {
        &["arangodb"]
    }

    fn schemes(&self) -> &[&str] {
        &["arangodb", "arangodb+http", "arangodb+https", "arangodb+ssl", "arangodb+unix"]
    }

    fn check(&self, text: &OsStr) -> Result<(), SourceError> {
        let shown = text.to_string_lossy();
        if shown.contains("://") { ArangoSource::parse(&shown).map(|_| ()) } else { Ok(()) }
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
        let variables = options.server.variables(&context.environment)?;
        let source = parse(&text.to_string_lossy(), &variables)?;
        let selection = ArangoSelection {
            collections: options.tables.collections,
            include_system: options.include_system,
            include_users: options.include_users,
        };
        let options = ArangoOptions {
            connection: connection(&source.server, &options.server, &variables)?,
            selection,
            sort: SortOptions { temp_dir: options.temp_dir, ..SortOptions::default() },
            ..ArangoOptions::default()
        };
        Ok(Box::new(ArangoExporter::new(source, options)))
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
        let otherwise = "none: each database keeps its own";
        let restore = ArangoRestore {
            database: new_name(url, is_named, &source.databases, otherwise)?,
            collections: renames(&options.tables.collections)?,
            create_database: options.create_database,
            if_missing: options.tables.if_missing,
            backup_existing: options.backup_existing,
            include_system: options.include_system,
            include_users: options.include_users,
            ..ArangoRestore::default()
        };
        let connection = connection(&source.server, &options.server, &variables)?;
        Ok(Box::new(ArangoLoader::new(&source.server, &connection, restore, &context.cancel)?))
    }

    fn imports(&self) -> &[&str] {
        &["folder of arangodump", "tar archive of one"]
    }

    fn can_import(&self, path: &Path) -> bool {
        is_arangodump(path)
    }

    fn importer(
        &self,
        path: &Path,
        identity: Option<&str>,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        let BackupOptions { temp_dir, .. } = read_options(options)?;
        let sort = SortOptions { temp_dir, ..SortOptions::default() };
        let options = ArangodumpOptions { sort, identity: identity.map(str::to_owned) };
        Ok(Box::new(ArangodumpExporter::new(path, options, &context.cancel)?))
    }
}
