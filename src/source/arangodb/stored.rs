//! What of ArangoDB a snapshot holds, as somebody who writes it back needs it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::failure::refused;
use super::joined::Joined;
use super::model::{
    COLLECTIONS, COUNT, CollectionKind, DATABASE, DOCUMENTS, REVISIONS, STRUCTURE, TYPE, VIEW,
    VIEWS,
};
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind, EntryPath};
use crate::limits::MIB;
use crate::source::{SourceError, Stored};

/// Longest definition that is taken.
const DEFINITION_MAX: usize = 64 * MIB;

/// Everything selected.
#[derive(Debug, Default)]
pub struct StoredDatabases {
    pub databases: BTreeMap<String, StoredDatabase>,
    /// Entries that are none of ArangoDB's, or those of a newer restow.
    pub unknown: Vec<EntryPath>,
}

#[derive(Debug, Default)]
pub struct StoredDatabase {
    /// `database.json`.
    pub definition: Option<Entry>,
    pub collections: BTreeMap<String, StoredCollection>,
    pub views: BTreeMap<String, Entry>,
}

/// Each part is missing where it was not selected, or could not be stored.
#[derive(Debug, Default)]
pub struct StoredCollection {
    pub kind: Option<CollectionKind>,
    pub count: Option<u64>,
    pub documents: Option<Entry>,
    pub revisions: Option<Entry>,
    pub structure: Option<Entry>,
}

impl StoredDatabases {
    pub fn of(stored: &dyn Stored) -> Result<Self, SourceError> {
        let mut found = Self::default();
        stored.each(&mut |entry| {
            found.take(entry);
            Ok(())
        })?;
        Ok(found)
    }

    fn take(&mut self, entry: Entry) {
        let components: Option<Vec<String>> = entry
            .path
            .components()
            .map(|component| str::from_utf8(component).map(str::to_owned).ok())
            .collect();
        let components = components.unwrap_or_default();
        let components: Vec<_> = components.iter().map(String::as_str).collect();
        let is_directory = entry.kind == EntryKind::Directory;
        match (components.as_slice(), is_directory) {
            ([], true) => {}
            ([database], true) | ([database, COLLECTIONS | VIEWS], true) => {
                self.database(database);
            }
            ([database, DATABASE], false) => self.database(database).definition = Some(entry),
            ([database, VIEWS, view], false) if view.ends_with(VIEW) => {
                let name = view.strip_suffix(VIEW).unwrap_or_default().to_owned();
                self.database(database).views.insert(name, entry);
            }
            ([database, COLLECTIONS, name], true) => {
                self.collection(database, name).describe(&entry);
            }
            ([database, COLLECTIONS, name, DOCUMENTS], false) => {
                self.collection(database, name).documents = Some(entry);
            }
            ([database, COLLECTIONS, name, REVISIONS], false) => {
                self.collection(database, name).revisions = Some(entry);
            }
            ([database, COLLECTIONS, name, STRUCTURE], false) => {
                self.collection(database, name).structure = Some(entry);
            }
            _ => self.unknown.push(entry.path),
        }
    }

    fn database(&mut self, name: &str) -> &mut StoredDatabase {
        self.databases.entry(name.to_owned()).or_default()
    }

    fn collection(&mut self, database: &str, name: &str) -> &mut StoredCollection {
        self.database(database).collections.entry(name.to_owned()).or_default()
    }
}

impl StoredDatabase {
    /// The properties that were backed up with it, if there were any.
    pub fn properties(&self, stored: &dyn Stored) -> Result<Option<Value>, SourceError> {
        let Some(entry) = &self.definition else { return Ok(None) };
        Ok(definition(stored, entry)?.get("properties").cloned())
    }
}

impl StoredCollection {
    fn describe(&mut self, directory: &Entry) {
        for property in &directory.properties {
            match property.name.as_str() {
                TYPE => self.kind = CollectionKind::of_name(&property.value),
                COUNT => {
                    let text = str::from_utf8(&property.value).ok();
                    self.count = text.and_then(|text| text.parse().ok());
                }
                _ => {}
            }
        }
    }

    /// `parameters` and `indexes`. `None` where the snapshot, or what of it was selected, has none.
    pub fn structure(&self, stored: &dyn Stored) -> Result<Option<Value>, SourceError> {
        self.structure.as_ref().map(|entry| definition(stored, entry)).transpose()
    }

    /// The documents, with their revisions where those are there.
    pub fn joined(
        &self,
        stored: &dyn Stored,
        line_max: usize,
    ) -> Result<Option<Joined<Box<dyn Read + Send>>>, SourceError> {
        let Some(documents) = &self.documents else { return Ok(None) };
        let what = documents.path.display();
        let revisions =
            self.revisions.as_ref().map(|revisions| stored.open(revisions)).transpose()?;
        Ok(Some(Joined::new(stored.open(documents)?, revisions, line_max, what)))
    }

    /// Bytes that are read to write it back.
    pub fn bytes(&self) -> u64 {
        [&self.documents, &self.revisions, &self.structure]
            .into_iter()
            .flatten()
            .fold(0, |sum, entry| sum.saturating_add(entry.len()))
    }
}

/// A definition that is stored: a view's, a collection's, a database's.
pub fn definition(stored: &dyn Stored, entry: &Entry) -> Result<Value, SourceError> {
    let name = entry.path.display();
    if entry.len() > DEFINITION_MAX as u64 {
        let message = format!("{} bytes are no definition of anything", entry.len());
        return Err(refused(ErrorKind::Damage, &name, message));
    }
    let mut text = Vec::new();
    let read = stored.open(entry)?.read_to_end(&mut text);
    read.map_err(|error| SourceError::of_read(&name, error))?;
    serde_json::from_slice(&text).map_err(|error| {
        let message = format!("is not the JSON that was stored: {error}");
        refused(ErrorKind::Damage, &name, message)
    })
}
