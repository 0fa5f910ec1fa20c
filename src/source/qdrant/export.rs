//! The exporter: what is there, a copy of each made at one time, and what is to be said of it.

use super::api::Api;
use super::failure::refused;
use super::known::Known;
use super::mode::{Found, QdrantBackup};
use super::options::QdrantOptions;
use super::server::{QdrantServer, QdrantSource};
use super::session::QdrantSession;
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::{Description, Exporter, Session, SourceError};

/// Reads collections of a Qdrant server.
pub struct QdrantExporter {
    source: QdrantSource,
    options: QdrantOptions,
    backup: QdrantBackup,
}

impl QdrantExporter {
    /// Asks nothing of the server yet. Without named collections all are backed up.
    pub fn new(mut source: QdrantSource, options: QdrantOptions) -> Self {
        source.collections.sort();
        source.collections.dedup();
        Self { source, options, backup: QdrantBackup::default() }
    }

    /// The same, read in another way.
    #[must_use]
    pub fn reading(mut self, backup: QdrantBackup) -> Self {
        self.backup = backup;
        self
    }

    /// The names wanted, which all are there.
    fn names(&self, api: &Api) -> Result<Vec<String>, SourceError> {
        if !self.source.collections.is_empty() {
            return Ok(self.source.collections.clone());
        }
        let names = api.collections()?;
        if names.is_empty() {
            let message = "has no collection: there is nothing to back up";
            return Err(refused(ErrorKind::Unreachable, api.url(), message));
        }
        Ok(names)
    }

    fn api(&self, server: &QdrantServer, cancel: &Cancel) -> Result<Api, SourceError> {
        Api::new(server, &self.options, cancel)
    }
}

impl Exporter for QdrantExporter {
    fn describe(&self) -> Description {
        let server = &self.source.server;
        let names: Vec<_> = self.source.collections.iter().map(|name| in_url(name)).collect();
        let names = names.join(",");
        let label = match self.source.collections.as_slice() {
            [one] => one.clone(),
            _ => server.host().to_owned(),
        };
        let url = format!("{}/{names}", server.source_url());
        Description { kind: "qdrant".to_owned(), url, label: label.replace(['/', '\0'], "_") }
    }

    /// Looks at everything before anything is made, then makes all copies one after the other: as close to one
    /// moment as a server without transactions comes.
    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let api = self.api(&self.source.server, cancel)?;
        let mut apis = vec![api.clone()];
        for node in &self.backup.nodes {
            apis.push(self.api(node, cancel)?);
        }
        for api in &apis {
            api.wait_ready()?;
        }
        let (version, mode) = (api.version()?, self.backup.mode);
        let names = self.names(&api)?;
        let aliases = api.aliases(None)?;
        // The server follows one, to a collection whose name the snapshot would not have.
        if let Some((alias, of)) = aliases.iter().find(|(alias, _)| names.contains(alias)) {
            let message = format!("is an alias of collection {of}: name that");
            return Err(refused(ErrorKind::Usage, &api.collection_url(alias), message));
        }
        let found = names
            .iter()
            .map(|name| Found::new(Known::of(&api, name)?, &apis, mode, version.as_deref()))
            .collect::<Result<Vec<_>, SourceError>>()?;
        let mut parts = Vec::new();
        for found in found {
            parts.extend(found.parts()?);
        }
        let properties = version.map(|version| ("server_version".to_owned(), version));
        let properties = properties.into_iter().collect();
        Ok(Box::new(QdrantSession::new(parts, mode.consistency(), properties)?))
    }
}

/// As a source's URL has it, and no more escaped than it takes to read it again.
fn in_url(name: &str) -> String {
    let escape = |c: char| match c {
        '%' | ',' | '?' | '#' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    name.chars().map(escape).collect()
}
