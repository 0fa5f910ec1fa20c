//! Collections as tables that a restore writes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::decide::{NOUNS, is_system};
use super::inventory::{ANALYZERS, GRAPHS};
use super::look::{LINE_MAX, PlannedCollection};
use super::relink::{Graphs, Touched};
use super::target::{Target, without_revision};
use crate::progress::{Cancel, Event, Observer};
use crate::source::arangodb::CollectionKind;
use crate::source::tables::{
    Nouns, Recorded, Replacement, Stop, TableAction, TableStep, TableTarget,
};
use crate::source::{SourceError, Stored};

pub(super) struct ArangoWriter<'r> {
    pub target: Target,
    /// By their names in the snapshot.
    pub collections: BTreeMap<String, PlannedCollection>,
    /// Views at the server that stand on collections that are replaced, and are not restored themselves.
    pub touched: Vec<Touched>,
    /// Of collections that are merged, documents that are there stay as they are.
    pub only_missing: bool,
    pub stored: &'r dyn Stored,
    /// Bytes of documents in one request.
    pub batch: usize,
    pub observer: &'r dyn Observer,
    pub cancel: &'r Cancel,
    /// What graphs said before a collection was renamed.
    pub graphs: Option<Graphs>,
    /// Bytes of documents that were sent.
    pub bytes: u64,
    pub notes: Vec<String>,
}

impl TableTarget for ArangoWriter<'_> {
    fn nouns(&self) -> Nouns {
        NOUNS
    }

    fn replacement(&self) -> Replacement {
        match self.target.is_cluster {
            true => Replacement::DropFirst,
            false => Replacement::Swap,
        }
    }

    fn check(&mut self, step: &TableStep, reads_all: bool) -> Result<(), Stop> {
        let Some(planned) = self.collections.get(&step.from) else { return Ok(()) };
        if planned.indexes().is_none() {
            let message = "its structure is not in the snapshot, or was not selected";
            return Err(Stop::One(message.to_owned()));
        }
        let documents = reads_all.then(|| planned.stored.joined(self.stored, LINE_MAX));
        let Some(mut documents) = documents.transpose()?.flatten() else { return Ok(()) };
        let mut line = Vec::new();
        while documents.next_line(&mut line)? {
            self.go_on()?;
        }
        let count = documents.count();
        match planned.stored.count.filter(|counted| *counted != count) {
            None => Ok(()),
            Some(counted) => Err(Stop::One(format!(
                "{counted} documents were backed up, and {count} are in the snapshot"
            ))),
        }
    }

    fn create(&mut self, step: &TableStep, name: &str, drops: bool) -> Result<(), Stop> {
        if is_own(step) && self.count(name)?.is_some() {
            return Ok(());
        }
        let Some(planned) = self.collections.get(&step.from) else { return Ok(()) };
        if planned.indexes().is_none() {
            self.notes.push(format!(
                "of {name} the snapshot has no structure here: it is made as a {} collection without indexes",
                planned.kind.name()
            ));
        }
        self.target.make(&planned.structure(name), name, planned.follows.as_deref(), drops)
    }

    fn prepare(&mut self, step: &TableStep, name: &str) -> Result<(), Stop> {
        match self.collections.get(&step.from) {
            Some(planned) if !is_own(step) => {
                self.target.index(&planned.structure(name), name, false)
            }
            _ => Ok(()),
        }
    }

    fn fill(&mut self, step: &TableStep, name: &str) -> Result<Option<u64>, Stop> {
        let Some(planned) = self.collections.get(&step.from) else { return Ok(Some(0)) };
        let Some(mut documents) = planned.stored.joined(self.stored, LINE_MAX)? else {
            return Ok(Some(0));
        };
        let only_missing = self.only_missing && step.existing.is_some();
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        loop {
            self.go_on()?;
            let is_there = documents.next_line(&mut line)?;
            let is_full = !lines.is_empty() && lines.len().saturating_add(line.len()) > self.batch;
            if !lines.is_empty() && (is_full || !is_there) {
                let len = lines.len() as u64;
                self.target.send(name, std::mem::take(&mut lines).into())?;
                self.bytes += len;
                self.observer.on(Event::Bytes(len));
            }
            if !is_there {
                return Ok(Some(documents.count()));
            }
            if only_missing && self.target.has(name, &line)? {
                continue;
            }
            match self.target.in_envelopes {
                false => lines.extend_from_slice(&line),
                true => {
                    lines.extend_from_slice(b"{\"type\":2300,\"data\":");
                    lines.extend_from_slice(line.trim_ascii_end());
                    lines.extend_from_slice(b"}\n");
                }
            }
        }
    }

    /// The server's own collections have their indexes. Among documents that were there, a number says little.
    fn finish(&mut self, step: &TableStep, name: &str, is_whole: bool) -> Result<(), Stop> {
        let Some(planned) = self.collections.get(&step.from) else { return Ok(()) };
        if is_own(step) {
            return match [GRAPHS, ANALYZERS].contains(&name) && is_whole {
                true => self.reread(step),
                false => Ok(()),
            };
        }
        let structure = planned.structure(name);
        self.target.index(&structure, name, true)?;
        match is_whole {
            true => self.target.check_indexes(&structure, name),
            // What was refused has been told already.
            false => Ok(()),
        }
    }

    fn count(&self, name: &str) -> Result<Option<u64>, SourceError> {
        self.target.api.count(&self.target.database, name)
    }

    fn look_last(&self, name: &str) -> Option<u64> {
        self.target.api.undisturbed().count(&self.target.database, name).ok().flatten()
    }

    fn recorded(&self, step: &TableStep) -> Recorded {
        let count = self.collections.get(&step.from).and_then(|planned| planned.stored.count);
        count.map_or(Recorded::Unknown, Recorded::Exactly)
    }

    fn rename(&mut self, name: &str, new: &str) -> Result<(), Stop> {
        self.target.rename(name, new)
    }

    fn drop_table(&mut self, name: &str) -> Result<(), Stop> {
        self.target.drop_collection(name)
    }

    fn discard(&mut self, name: &str) -> Result<(), SourceError> {
        self.target.discard(name)
    }

    /// A server has its graphs follow a collection that is renamed.
    fn remember(&mut self) -> Result<(), Stop> {
        self.graphs = Some(self.target.graphs()?);
        Ok(())
    }

    fn relink(&mut self, step: &TableStep, kept: Option<&str>) -> Result<(), Stop> {
        let mut failed = Vec::new();
        if let (Some(graphs), Some(kept)) = (self.graphs.take(), kept)
            && let Err(graphs) = self.target.put_graphs_back(&graphs)
        {
            failed.push(format!(
                "graphs follow what is kept as {kept}, and could not be put back on {}: {graphs}",
                step.to
            ));
        }
        let mut views = Vec::new();
        for view in self.touched.iter().filter(|view| view.collections.contains(&step.to)) {
            match self.target.relink(view, &step.to, kept) {
                Ok(()) => {}
                Err(Stop::One(message)) => views.push(format!("{} ({message})", view.name)),
                Err(Stop::All(error)) => views.push(format!("{} ({error})", view.name)),
            }
        }
        if !views.is_empty() {
            failed.push(format!(
                "was replaced, but views that stood on it could not be put back on it: {}",
                views.join(", ")
            ));
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Stop::One(failed.join("; "))),
        }
    }
}

impl ArangoWriter<'_> {
    fn go_on(&self) -> Result<(), SourceError> {
        match self.cancel.is_cancelled() {
            true => Err(SourceError::Interrupted),
            false => Ok(()),
        }
    }

    /// Whether each document that was sent is there as it was sent.
    fn reread(&self, step: &TableStep) -> Result<(), Stop> {
        let Some(planned) = self.collections.get(&step.from) else { return Ok(()) };
        let Some(mut documents) = planned.stored.joined(self.stored, LINE_MAX)? else {
            return Ok(());
        };
        let (mut line, mut wrong) = (Vec::new(), Vec::new());
        while documents.next_line(&mut line)? {
            let document: Value = serde_json::from_slice(&line).unwrap_or_default();
            let Some(key) = document.get("_key").and_then(Value::as_str).map(str::to_owned) else {
                continue;
            };
            let found = self.target.document(&step.to, &key)?;
            let document = without_revision(document);
            if found.is_none_or(|found| found != document && !self.only_missing) {
                wrong.push(key);
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(Stop::One(format!(
                "these were sent, and the server does not have them so: {}",
                wrong.join(", ")
            ))),
        }
    }
}

impl PlannedCollection {
    fn indexes(&self) -> Option<&Value> {
        self.structure.as_ref()?.get("indexes")
    }

    /// As the snapshot has it, or the least that a collection can be made of.
    fn structure(&self, name: &str) -> Value {
        let number = if self.kind == CollectionKind::Edge { 3 } else { 2 };
        let least = || json!({"parameters": {"type": number, "isSystem": is_system(name)}});
        self.structure.clone().unwrap_or_else(least)
    }
}

/// Whether the documents go into a collection that the server keeps for itself.
fn is_own(step: &TableStep) -> bool {
    step.action == TableAction::Merge
}
