//! The entries of dumps in catalog order. A collection is sorted when its turn comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::folder::{Dump, DumpCollection};
use crate::format::Consistency;
use crate::progress::Cancel;
use crate::source::arangodb::model::{
    COLLECTIONS, DATABASE, DOCUMENTS, REVISIONS, STRUCTURE, VIEWS, collection, database, directory,
    file, path, text_file,
};
use crate::source::arangodb::{Collector, SortOptions};
use crate::source::{Item, Outcome, Session, SourceEntry, SourceError};

pub(super) struct DumpSession {
    databases: Arc<BTreeMap<String, Dump>>,
    options: SortOptions,
    cancel: Cancel,
    steps: VecDeque<Step>,
    /// Documents of the collections that were sorted so far.
    documents: u64,
}

/// An entry to come, or a collection: its entries are known once it was sorted.
#[allow(clippy::large_enum_variant, reason = "a handful of them wait at a time")]
enum Step {
    Entry(SourceEntry),
    Collection { database: String, name: String },
}

impl DumpSession {
    /// Names that cannot be stored are told here.
    pub fn new(
        databases: Arc<BTreeMap<String, Dump>>,
        options: SortOptions,
        cancel: Cancel,
    ) -> Result<Self, SourceError> {
        let mut steps = VecDeque::new();
        for (db, dump) in databases.iter() {
            steps.push_back(Step::Entry(directory(path(&[db])?)));
            steps.push_back(Step::Entry(directory(path(&[db, COLLECTIONS])?)));
            for name in dump.collections.keys() {
                path(&[db, COLLECTIONS, name])?;
                steps.push_back(Step::Collection { database: db.clone(), name: name.clone() });
            }
            let definition = database(db, dump.properties.as_ref());
            steps.push_back(Step::Entry(text_file(path(&[db, DATABASE])?, definition)));
            steps.push_back(Step::Entry(directory(path(&[db, VIEWS])?)));
            for (name, definition) in &dump.views {
                let view = text_file(path(&[db, VIEWS, name])?, definition.clone());
                steps.push_back(Step::Entry(view));
            }
        }
        Ok(Self { databases, options, cancel, steps, documents: 0 })
    }

    /// Sorts a collection. What follows of it comes first from now on.
    fn collection(&mut self, database: &str, name: &str) -> Result<(), SourceError> {
        let databases = Arc::clone(&self.databases);
        let found = databases.get(database).and_then(|dump| dump.collections.get(name));
        let Some(DumpCollection { kind, structure, data }) = found else { return Ok(()) };
        let mut collector = Collector::new(&self.options, name, &self.cancel);
        for part in data {
            if self.cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            collector.begin(part.path.display().to_string());
            collector.read(part.open()?)?;
            part.check()?;
        }
        let sorted = collector.finish()?;
        let count = sorted.count();
        self.documents += count;
        let (documents, revisions) = sorted.split()?;
        let (document_bytes, revision_bytes) = (documents.stream_len(), revisions.stream_len());
        let within = |file: &str| path(&[database, COLLECTIONS, name, file]);
        let entries = [
            collection(path(&[database, COLLECTIONS, name])?, *kind, count),
            file(within(DOCUMENTS)?, Box::new(documents), document_bytes),
            file(within(REVISIONS)?, Box::new(revisions), revision_bytes),
            text_file(within(STRUCTURE)?, structure.clone()),
        ];
        for entry in entries.into_iter().rev() {
            self.steps.push_front(Step::Entry(entry));
        }
        Ok(())
    }
}

impl Session for DumpSession {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Entry(entry) => return Ok(Some(entry.into())),
                Step::Collection { database, name } => self.collection(&database, &name)?,
            }
        }
        Ok(None)
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        let ticks: Vec<_> = self.databases.values().filter_map(|dump| dump.tick.clone()).collect();
        let consistency = match ticks.as_slice() {
            [] => None,
            ticks => Some(Consistency { kind: "arangodump".to_owned(), value: ticks.join(",") }),
        };
        let collections: usize = self.databases.values().map(|dump| dump.collections.len()).sum();
        let mut properties = vec![
            ("databases".to_owned(), self.databases.len().to_string()),
            ("collections".to_owned(), collections.to_string()),
            ("documents".to_owned(), self.documents.to_string()),
        ];
        let ignored: usize = self.databases.values().map(|dump| dump.ignored.len()).sum();
        if ignored > 0 {
            properties.push(("ignored_files".to_owned(), ignored.to_string()));
        }
        Ok(Outcome { consistency, properties })
    }
}
