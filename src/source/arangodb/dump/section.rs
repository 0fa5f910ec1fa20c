//! The entries of dumps in catalog order. A collection is sorted when its turn comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::export::Progress;
use super::folder::{Dump, DumpCollection};
use crate::format::{Entry, EntryPath};
use crate::progress::Cancel;
use crate::source::arangodb::model::{
    COLLECTIONS, DATABASE, DOCUMENTS, REVISIONS, STRUCTURE, VIEWS, collection, database, directory,
    file, path,
};
use crate::source::arangodb::{Collector, Revisions, SortOptions};
use crate::source::text::TextBody;
use crate::source::{Item, OpenBody, Section, SourceEntry, SourceError};

pub(super) struct DumpSection {
    databases: Arc<BTreeMap<String, Dump>>,
    options: SortOptions,
    progress: Arc<Progress>,
    cancel: Cancel,
    steps: VecDeque<Step>,
    /// Those of the collection whose documents were given out last.
    revisions: Option<Revisions>,
}

enum Step {
    Directory(EntryPath),
    Small(EntryPath, Vec<u8>),
    Collection { database: String, name: String },
    Ready(Box<SourceEntry>),
    Revisions(EntryPath),
    Conclude,
}

impl DumpSection {
    /// Names that cannot be stored are told here.
    pub fn new(
        databases: Arc<BTreeMap<String, Dump>>,
        options: SortOptions,
        progress: Arc<Progress>,
        cancel: Cancel,
    ) -> Result<Self, SourceError> {
        let mut steps = VecDeque::new();
        for (db, dump) in databases.iter() {
            steps.push_back(Step::Directory(path(&[db])?));
            steps.push_back(Step::Directory(path(&[db, COLLECTIONS])?));
            for name in dump.collections.keys() {
                path(&[db, COLLECTIONS, name])?;
                steps.push_back(Step::Collection { database: db.clone(), name: name.clone() });
            }
            let definition = database(db, dump.properties.as_ref());
            steps.push_back(Step::Small(path(&[db, DATABASE])?, definition));
            steps.push_back(Step::Directory(path(&[db, VIEWS])?));
            for (name, definition) in &dump.views {
                steps.push_back(Step::Small(path(&[db, VIEWS, name])?, definition.clone()));
            }
        }
        Ok(Self { databases, options, progress, cancel, steps, revisions: None })
    }

    /// Sorts a collection. What follows of it comes first from now on.
    fn collection(&mut self, database: &str, name: &str) -> Result<Option<Item>, SourceError> {
        let databases = Arc::clone(&self.databases);
        let found = databases.get(database).and_then(|dump| dump.collections.get(name));
        let Some(DumpCollection { kind, structure, data }) = found else { return Ok(None) };
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
        let (count, bytes) = (sorted.count(), sorted.document_bytes());
        self.progress.documents.fetch_add(count, Ordering::Relaxed);
        let (documents, revisions) = sorted.split()?;
        self.revisions = Some(revisions);
        let within = |file: &str| path(&[database, COLLECTIONS, name, file]);
        let documents = with_body(file(within(DOCUMENTS)?), Box::new(documents), bytes);
        self.steps.push_front(Step::Small(within(STRUCTURE)?, structure.clone()));
        self.steps.push_front(Step::Conclude);
        self.steps.push_front(Step::Revisions(within(REVISIONS)?));
        self.steps.push_front(Step::Ready(documents));
        let entry = collection(path(&[database, COLLECTIONS, name])?, *kind, count);
        Ok(Some(bare(entry)))
    }
}

impl Section for DumpSection {
    /// Documents that did not come whole end the backup here: that must not be one entry's problem.
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        while let Some(step) = self.steps.pop_front() {
            let item = match step {
                Step::Directory(path) => Some(bare(directory(path))),
                Step::Small(path, text) => Some(small(path, text)),
                Step::Collection { database, name } => self.collection(&database, &name)?,
                Step::Ready(entry) => Some(Item::Entry(entry)),
                Step::Revisions(path) => match &self.revisions {
                    None => None,
                    Some(revisions) => {
                        let (body, bytes) = (revisions.body()?, revisions.bytes());
                        Some(Item::Entry(with_body(file(path), body, bytes)))
                    }
                },
                Step::Conclude => {
                    self.revisions.take().map_or(Ok(()), Revisions::conclude)?;
                    None
                }
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        self.progress.is_done.store(true, Ordering::Relaxed);
        Ok(None)
    }
}

fn bare(entry: Entry) -> Item {
    Item::Entry(Box::new(SourceEntry { entry, body: None, size_hint: 0 }))
}

fn small(path: EntryPath, text: Vec<u8>) -> Item {
    let (body, bytes) = TextBody::of(text);
    Item::Entry(with_body(file(path), body, bytes))
}

fn with_body(entry: Entry, body: Box<dyn OpenBody>, size_hint: u64) -> Box<SourceEntry> {
    Box::new(SourceEntry { entry, body: Some(body), size_hint })
}
