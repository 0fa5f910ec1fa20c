//! The importer: collections back into a server, under their names or another.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::api::Api;
use super::decide::{Decision, Existing, Policy, Wanted, decide};
use super::export::QdrantOptions;
use super::failure::refused;
use super::server::QdrantServer;
use super::sink::{QdrantSink, Target};
use super::{ALIASES, INFO, PARAMS, SHA256, SNAPSHOT};
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind};
use crate::progress::Cancel;
use crate::source::{Fate, ImportReport, Importer, Sink, SourceError};

/// Whose points win where a cluster has others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// The snapshot's.
    #[default]
    Snapshot,
    /// Those of the other replicas.
    Replica,
    /// Nothing is compared.
    NoSync,
}

impl Priority {
    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Replica => "replica",
            Self::NoSync => "no_sync",
        }
    }
}

/// How collections are restored.
#[derive(Debug, Clone, Default)]
pub struct QdrantRestore {
    /// The collection's new name. Only where one collection is restored.
    pub collection: Option<String>,
    pub priority: Priority,
    pub policy: Policy,
    /// Make the collection's aliases again, for its new name if it has one.
    pub aliases: bool,
}

/// Writes collections into a server.
pub struct QdrantImporter {
    api: Api,
    restore: QdrantRestore,
    report: Arc<ImportReport>,
    /// What the restore under a new name is of.
    renamed: Option<String>,
    done: Done,
}

/// Collections that the server has taken in, and their aliases.
pub(super) type Done = Arc<Mutex<Vec<(String, Vec<String>)>>>;

impl QdrantImporter {
    /// Asks nothing of the server yet.
    pub fn new(
        server: &QdrantServer,
        options: &QdrantOptions,
        restore: QdrantRestore,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let QdrantOptions { credential, http, patience } = options;
        let api = Api::new(server, credential.as_ref(), http, *patience, cancel)?;
        Ok(Self { api, restore, report: Arc::default(), renamed: None, done: Done::default() })
    }

    /// What could not be done without failing for it, and what was left out and why.
    pub fn report(&self) -> Arc<ImportReport> {
        Arc::clone(&self.report)
    }

    /// What an entry is to become. `None`: it is there for people to read.
    fn wanted(&mut self, entry: &Entry) -> Result<Option<Wanted>, SourceError> {
        let path = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        let is_ours = entry.kind == EntryKind::File && entry.path.components().count() == 1;
        let old = match (path.strip_suffix(SNAPSHOT), is_ours) {
            (Some(old), true) if !old.is_empty() => old,
            (None, true) if path.ends_with(INFO) => return Ok(None),
            _ => return Err(refused(ErrorKind::Damage, &path, "no entry of a Qdrant snapshot")),
        };
        let collection = match &self.restore.collection {
            None => old.to_owned(),
            Some(new) => {
                if self.renamed.get_or_insert_with(|| old.to_owned()) != old {
                    let message = format!(
                        "only one collection can be restored as {new}: choose it with --only"
                    );
                    return Err(refused(ErrorKind::Usage, &path, message));
                }
                new.clone()
            }
        };
        let params = property(entry, PARAMS).and_then(|text| serde_json::from_str(text).ok());
        Ok(Some(Wanted { collection, params }))
    }

    fn decide(&self, wanted: &Wanted, overwrite: bool) -> Result<Decision, SourceError> {
        let existing = self.api.info(&wanted.collection)?.map(|info| Existing {
            points: info.get("points_count").and_then(Value::as_u64),
            params: info.get("config").and_then(|config| config.get("params")).cloned(),
        });
        let policy = Policy { overwrite, ..self.restore.policy };
        Ok(decide(wanted, existing.as_ref(), policy))
    }

    fn refusal(&self, wanted: &Wanted, why: String) -> SourceError {
        refused(ErrorKind::Exists, &self.api.collection_url(&wanted.collection), why)
    }

    fn make_aliases(&self, collection: &str, aliases: &[String]) -> Result<(), SourceError> {
        let existing = self.api.aliases(None)?;
        for alias in aliases {
            let now = existing.iter().find(|(name, _)| name == alias).map(|(_, of)| of);
            match now {
                Some(of) if of == collection => {}
                Some(of) if !self.restore.policy.overwrite => {
                    let message = format!("alias {alias} stays with {of}: --overwrite moves it");
                    self.report.problem(collection.as_bytes(), message);
                }
                now => self.api.set_alias(alias, collection, now.is_some())?,
            }
        }
        Ok(())
    }
}

fn property<'e>(entry: &'e Entry, name: &str) -> Option<&'e str> {
    let found = entry.properties.iter().find(|property| property.name == name)?;
    str::from_utf8(&found.value).ok()
}

impl Importer for QdrantImporter {
    fn inspect(&mut self, entry: &Entry) -> Result<Fate, SourceError> {
        let Some(wanted) = self.wanted(entry)? else { return Ok(Fate::Kept) };
        match self.decide(&wanted, true)? {
            Decision::Create => Ok(Fate::New),
            Decision::Skip(_) => Ok(Fate::Kept),
            Decision::Replace(what) => Ok(Fate::Replaced(what)),
            Decision::Refuse(why) => Err(self.refusal(&wanted, why)),
        }
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError> {
        let Some(wanted) = self.wanted(entry)? else { return Ok(None) };
        match self.decide(&wanted, self.restore.policy.overwrite)? {
            Decision::Refuse(why) => return Err(self.refusal(&wanted, why)),
            Decision::Skip(why) => {
                tracing::info!("{why}: skipped");
                let note =
                    "skipped: the collection is there, and only missing ones were to be restored";
                self.report.note(wanted.collection.as_bytes(), note);
                return Ok(None);
            }
            Decision::Create | Decision::Replace(_) => {}
        }
        let aliases = match self.restore.aliases {
            true => property(entry, ALIASES).and_then(|text| serde_json::from_str(text).ok()),
            false => None,
        };
        let target = Target {
            collection: wanted.collection,
            len: entry.len(),
            priority: self.restore.priority.as_str(),
            sha256: property(entry, SHA256).map(str::to_owned),
            aliases: aliases.unwrap_or_default(),
        };
        Ok(Some(Box::new(QdrantSink::new(self.api.clone(), target, Arc::clone(&self.done))?)))
    }

    fn settle(&mut self, _: &Entry) -> Result<(), SourceError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        let done = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        for (collection, aliases) in done {
            if !aliases.is_empty() {
                self.make_aliases(&collection, &aliases)?;
            }
        }
        Ok(())
    }
}
