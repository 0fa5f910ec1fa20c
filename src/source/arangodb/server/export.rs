//! The exporter: what there is, and one state of each database to be read.

use super::api::{Api, SYSTEM, Version};
use super::estimate::estimate;
use super::name::ArangoSource;
use super::options::{ArangoOptions, Role};
use super::session::ArangoSession;
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::arangodb::failure::refused;
use crate::source::{Description, Estimate, Exporter, Session, SourceError};

/// Reads databases of an ArangoDB server.
pub struct ArangoExporter {
    source: ArangoSource,
    options: ArangoOptions,
}

impl ArangoExporter {
    /// Asks nothing of the server yet. Without named databases all that the user may use are backed up.
    pub fn new(source: ArangoSource, mut options: ArangoOptions) -> Self {
        options.selection.collections.sort();
        options.selection.collections.dedup();
        Self { source, options }
    }

    fn databases(&self, api: &Api) -> Result<Vec<String>, SourceError> {
        match self.source.databases.is_empty() {
            false => Ok(self.source.databases.clone()),
            true => api.databases(),
        }
    }

    /// The databases wanted, which all are there and may be read, and what answers.
    fn look(&self, api: &Api) -> Result<(Vec<String>, Version, Role), SourceError> {
        let databases = self.databases(api)?;
        let Some(first) = databases.first() else {
            let message = "shows this user no database: there is nothing to back up";
            return Err(refused(ErrorKind::Unreachable, &self.source.server.shown(), message));
        };
        if self.options.selection.include_users && !databases.iter().any(|name| name == SYSTEM) {
            let message = "users are kept in database _system, which is not among those to back up: name it \
                           too, or leave out --include-users";
            return Err(refused(ErrorKind::Usage, &self.source.server.shown(), message));
        }
        let mut versions = Vec::new();
        for database in &databases {
            versions.push(api.version(database)?);
        }
        let role = self.role(api, first)?;
        match versions.into_iter().next() {
            Some(version) => Ok((databases, version, role)),
            None => Err(api.missing_database(first)),
        }
    }

    fn role(&self, api: &Api, database: &str) -> Result<Role, SourceError> {
        match api.role(database)?.as_deref() {
            None | Some("SINGLE") => Ok(Role::Single),
            Some("COORDINATOR") => Ok(Role::Cluster),
            Some(role) => {
                let message = format!(
                    "is a {role} of a cluster, which holds a part of its data only: name a coordinator"
                );
                Err(refused(ErrorKind::Unreachable, &self.source.server.shown(), message))
            }
        }
    }
}

impl Exporter for ArangoExporter {
    fn describe(&self) -> Description {
        let server = &self.source.server;
        let mut url = server.source_url(&self.source.databases);
        let suffix = self.options.selection.suffix();
        if !suffix.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&suffix);
        }
        let label = match self.source.databases.as_slice() {
            [one] => one.clone(),
            _ => server.label(),
        };
        Description { kind: super::KIND.to_owned(), url, label: label.replace(['/', '\0'], "_") }
    }

    fn estimate(&self, cancel: &Cancel) -> Result<Option<Estimate>, SourceError> {
        let api = Api::new(&self.source.server, &self.options.connection, cancel)?;
        let databases = self.databases(&api)?;
        estimate(&api, &databases, &self.options.selection, cancel).map(Some)
    }

    /// Looks at all databases. Each is held at one state when its turn comes.
    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let api = Api::new(&self.source.server, &self.options.connection, cancel)?;
        let (databases, version, role) = self.look(&api)?;
        let options = self.options.clone();
        Ok(Box::new(ArangoSession::new(api, databases, version, role, options, cancel)))
    }
}
