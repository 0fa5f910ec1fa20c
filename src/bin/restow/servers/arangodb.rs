//! ArangoDB as it is named on a command line and in the environment.

use restow::source::Loader;
use restow::source::arangodb::{
    ArangoConnection, ArangoExporter, ArangoLoader, ArangoLogin, ArangoOptions, ArangoRestore,
    ArangoSelection, ArangoServer, ArangoSource, SortOptions,
};
use restow::{Cancel, Error as OpError};

use super::{ServerSettings, new_name, renames};
use crate::args::RestoreArgs;
use crate::sources::SourceSettings;

const SCHEMES: &[&str] =
    &["arangodb:", "arangodb+http:", "arangodb+https:", "arangodb+ssl:", "arangodb+unix:"];

/// `arangodb://HOST…`, or `arangodb:` with or without databases for the server in `ARANGO_URL`.
pub fn is_meant(text: &str) -> bool {
    SCHEMES.iter().any(|start| text.starts_with(start))
}

/// Without a look at the world.
pub fn check(text: &str) -> Result<(), OpError> {
    if text.contains("://") {
        ArangoSource::parse(text)?;
    }
    Ok(())
}

pub fn exporter(text: &str, settings: &SourceSettings) -> Result<ArangoExporter, OpError> {
    let source = parse(text, &settings.servers)?;
    let options = ArangoOptions {
        connection: connection(&source.server, &settings.servers)?,
        selection: ArangoSelection {
            collections: settings.collections.clone(),
            include_system: settings.include_system,
            include_users: settings.include_users,
        },
        sort: SortOptions { temp_dir: settings.sqlite.temp_dir.clone(), ..SortOptions::default() },
        ..ArangoOptions::default()
    };
    Ok(ArangoExporter::new(source, options))
}

/// With what the environment says of a server that is not named here.
fn parse(text: &str, settings: &ServerSettings) -> Result<ArangoSource, OpError> {
    match text.strip_prefix("arangodb:").filter(|_| !text.contains("://")) {
        None => Ok(ArangoSource::parse(text)?),
        Some(names) => {
            let url = settings.variables.get("ARANGO_URL").ok_or_else(|| {
                OpError::Usage(format!(
                    "{text} needs ARANGO_URL=http://HOST:8529, or say arangodb://HOST:8529/DATABASE"
                ))
            })?;
            let server = ArangoServer::new(&url)?;
            Ok(ArangoSource { server, databases: ArangoSource::databases(names)? })
        }
    }
}

/// Passwords and tokens are never arguments: those show in the list of processes.
fn connection(
    server: &ArangoServer,
    settings: &ServerSettings,
) -> Result<ArangoConnection, OpError> {
    let variable = |name: &str| settings.variables.get(name);
    let user = server.user().map(str::to_owned).or_else(|| variable("ARANGO_USER"));
    let (user, password) = (user.unwrap_or_else(|| "root".into()), variable("ARANGO_PASSWORD"));
    let password = password.unwrap_or_default();
    let login = match (variable("ARANGO_JWT"), variable("ARANGO_AUTH").as_deref()) {
        (Some(token), _) => ArangoLogin::token(&token),
        (None, None | Some("basic")) => ArangoLogin::basic(&user, &password),
        (None, Some("jwt")) => ArangoLogin::session(&user, &password),
        (None, Some(_)) => {
            let message = "ARANGO_AUTH is basic (a password with every request) or jwt (a session)";
            return Err(OpError::Usage(message.into()));
        }
    };
    Ok(ArangoConnection { login, http: settings.http.clone(), wait_ready: settings.wait_ready })
}

/// Into the server at `url`: one database in it is a new name.
pub fn loader(
    url: &str,
    args: &RestoreArgs,
    settings: &ServerSettings,
    cancel: &Cancel,
) -> Result<Box<dyn Loader>, OpError> {
    let source = parse(url, settings)?;
    let database = new_name(url, args, &source.databases, "none: each database keeps its own")?;
    let restore = ArangoRestore {
        database,
        collections: renames(&args.collections)?,
        create_database: args.create_database,
        if_missing: args.if_missing,
        backup_existing: args.backup_existing,
        include_system: args.include_system,
        include_users: args.include_users,
        ..ArangoRestore::default()
    };
    let connection = connection(&source.server, settings)?;
    Ok(Box::new(ArangoLoader::new(&source.server, &connection, restore, cancel)?))
}
