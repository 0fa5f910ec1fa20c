//! The session and its one section: databases one after the other, their collections sorted by name.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::api::{Api, Version};
use super::counts::{Counted, Verdict, judge};
use super::export::{ArangoOptions, Role};
use super::inventory::{Described, Inventory, is_another};
use super::supply::{PARALLEL, Supply};
use crate::fault::ErrorKind;
use crate::format::{Consistency, Entry};
use crate::progress::Cancel;
use crate::source::arangodb::failure::refused;
use crate::source::arangodb::{Collector, Documents, Revisions, model};
use crate::source::text::TextBody;
use crate::source::{Item, OpenBody, Outcome, Section, Session, SourceEntry, SourceError};

/// What session and section know together.
#[derive(Default)]
struct Shared {
    properties: Vec<(String, String)>,
    /// Of each database, where it has one.
    ticks: Vec<(String, Option<String>)>,
    is_done: bool,
}

pub(super) struct ArangoSession {
    section: Option<ArangoSection>,
    shared: Arc<Mutex<Shared>>,
    role: Role,
}

impl ArangoSession {
    pub fn new(
        api: Api,
        databases: Vec<String>,
        version: Version,
        role: Role,
        options: ArangoOptions,
        cancel: &Cancel,
    ) -> Self {
        let mut properties = vec![("server_version".to_owned(), version.text.clone())];
        if role == Role::Cluster {
            let message = "a cluster: its shards are read one after the other, so what is written meanwhile \
                           may be in the snapshot in part";
            tracing::warn!("{message}");
            properties.push(("not_consistent".to_owned(), message.to_owned()));
        }
        let shared = Arc::new(Mutex::new(Shared { properties, ..Shared::default() }));
        let section = ArangoSection {
            api,
            version,
            role,
            unseen: options.selection.collections.iter().cloned().collect(),
            options,
            cancel: cancel.clone(),
            databases: databases.into(),
            current: None,
            parts: VecDeque::new(),
            reading: None,
            all: BTreeSet::new(),
            shared: Arc::clone(&shared),
        };
        Self { section: Some(section), shared, role }
    }
}

impl Session for ArangoSession {
    fn sections(&mut self) -> Result<Vec<Box<dyn Section>>, SourceError> {
        let section = self.section.take().map(|section| Box::new(section) as Box<dyn Section>);
        Ok(section.into_iter().collect())
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        let shared = std::mem::take(&mut *lock(&self.shared));
        if !shared.is_done {
            return Err(refused(ErrorKind::Failed, super::KIND, "was not read to its end"));
        }
        let consistency = match self.role {
            Role::Cluster => Some(Consistency { kind: "none".to_owned(), value: String::new() }),
            Role::Single => ticks(&shared.ticks),
        };
        Ok(Outcome { consistency, properties: shared.properties })
    }
}

fn ticks(ticks: &[(String, Option<String>)]) -> Option<Consistency> {
    let value = match ticks {
        [(_, tick)] => tick.clone()?,
        several => {
            let named = |(name, tick): &(String, Option<String>)| {
                Some(format!("{name}:{}", tick.as_ref()?))
            };
            several.iter().filter_map(named).collect::<Vec<_>>().join(" ")
        }
    };
    let is_dump = |(_, tick): &(_, Option<String>)| tick.as_deref() == Some(PARALLEL);
    let kind = if ticks.iter().all(is_dump) { "dump" } else { "tick" };
    Some(Consistency { kind: kind.to_owned(), value })
}

struct ArangoSection {
    api: Api,
    version: Version,
    role: Role,
    options: ArangoOptions,
    cancel: Cancel,
    /// Still to be read.
    databases: VecDeque<String>,
    current: Option<Current>,
    parts: VecDeque<Part>,
    /// The collection whose streams are being read.
    reading: Option<Revisions>,
    /// Collections that were named and not yet found in any database; all that were found.
    unseen: BTreeSet<String>,
    all: BTreeSet<String>,
    shared: Arc<Mutex<Shared>>,
}

/// A database held at one state.
struct Current {
    name: String,
    supply: Supply,
}

/// An entry to come, or several.
enum Part {
    Directory(Entry),
    Text(Entry, Vec<u8>),
    Collection(Box<Described>),
    Documents(Entry, Box<Documents>, u64),
    Revisions(Entry, Revisions),
}

impl Section for ArangoSection {
    /// What did not come whole ends the backup here: it must not be one entry's problem.
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        loop {
            if let Some(revisions) = self.reading.take() {
                revisions.conclude()?;
            }
            let (entry, body, size_hint): (_, Option<Box<dyn OpenBody>>, _) = match self
                .parts
                .pop_front()
            {
                None => match self.next_database()? {
                    true => continue,
                    false => return Ok(None),
                },
                Some(Part::Collection(described)) => {
                    self.collect(&described)?;
                    continue;
                }
                Some(Part::Directory(entry)) => (entry, None, 0),
                Some(Part::Text(entry, text)) => {
                    let (body, bytes) = TextBody::of(text);
                    (entry, Some(body), bytes)
                }
                Some(Part::Documents(entry, documents, bytes)) => (entry, Some(documents), bytes),
                Some(Part::Revisions(entry, revisions)) => {
                    let (body, bytes) = (revisions.body()?, revisions.bytes());
                    self.reading = Some(revisions);
                    (entry, Some(body), bytes)
                }
            };
            let source = SourceEntry { entry, body, size_hint };
            return Ok(Some(Item::Entry(Box::new(source))));
        }
    }
}

impl ArangoSection {
    /// Lets go of a database and takes hold of the next. False after the last.
    fn next_database(&mut self) -> Result<bool, SourceError> {
        if let Some(Current { name, supply }) = self.current.take()
            && let Err(error) = supply.release()
        {
            // The documents are safe by then: what stays on the server until it runs out is said.
            tracing::warn!("the server holds a state of {name} for us until it runs out: {error}");
        }
        let Some(name) = self.databases.pop_front() else {
            lock(&self.shared).is_done = true;
            return Ok(false);
        };
        let (supply, inventory) =
            Supply::open(&self.api, &name, self.role, &self.version, &self.options)?;
        self.all.extend(inventory.all.iter().cloned());
        for one in &inventory.collections {
            self.unseen.remove(&one.name);
        }
        if self.databases.is_empty() {
            self.check_unseen()?;
        }
        let mut shared = lock(&self.shared);
        shared.properties.push((format!("{name}/method"), supply.method().to_owned()));
        shared.ticks.push((name.clone(), inventory.tick.clone()));
        drop(shared);
        self.plan(&name, inventory)?;
        self.current = Some(Current { name, supply });
        Ok(true)
    }

    /// In the catalog's order: `collections` < `database.json` < `views`.
    fn plan(&mut self, database: &str, inventory: Inventory) -> Result<(), SourceError> {
        let path = |below: &[&str]| model::path(&[&[database], below].concat());
        let directory = |below: &[&str]| path(below).map(model::directory).map(Part::Directory);
        self.parts.push_back(directory(&[])?);
        self.parts.push_back(directory(&[model::COLLECTIONS])?);
        for described in inventory.collections {
            self.parts.push_back(Part::Collection(Box::new(described)));
        }
        let text = model::database(database, inventory.properties.as_ref());
        self.parts.push_back(Part::Text(model::file(path(&[model::DATABASE])?), text));
        self.parts.push_back(directory(&[model::VIEWS])?);
        let mut views = Vec::new();
        for (name, view) in inventory.views {
            let entry = model::file(path(&[model::VIEWS, &format!("{name}{}", model::VIEW)])?);
            views.push((entry, model::definition(&view)));
        }
        // Names sort otherwise than names with an ending.
        views.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        self.parts.extend(views.into_iter().map(|(entry, text)| Part::Text(entry, text)));
        Ok(())
    }

    /// Reads a collection to its end, and then gives its entries: their number is known by then.
    fn collect(&mut self, one: &Described) -> Result<(), SourceError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let (database, name) = (current.name.clone(), one.name.as_str());
        let shown = self.api.shown(&database, name);
        tracing::debug!("reading {shown}");
        let mut collector = Collector::new(&self.options.sort, shown, &self.cancel);
        current.supply.collect(one, &mut collector)?;
        let sorted = collector.finish()?;
        let count = sorted.count();
        self.compare(&database, one, count)?;
        let path =
            |file: &[&str]| model::path(&[&[&database, model::COLLECTIONS, name], file].concat());
        let bytes = sorted.document_bytes();
        let (documents, revisions) = sorted.split()?;
        let structure = model::structure(&one.parameters, &one.indexes);
        let parts = [
            Part::Directory(model::collection(path(&[])?, one.kind, count)),
            Part::Documents(model::file(path(&[model::DOCUMENTS])?), Box::new(documents), bytes),
            Part::Revisions(model::file(path(&[model::REVISIONS])?), revisions),
            Part::Text(model::file(path(&[model::STRUCTURE])?), structure),
        ];
        for part in parts.into_iter().rev() {
            self.parts.push_front(part);
        }
        Ok(())
    }

    /// The server counts what is there now, not what is in the state that is read: where writes may be the reason
    /// that the two differ, that is noted; where they cannot be, documents were lost on the way.
    fn compare(&self, database: &str, one: &Described, count: u64) -> Result<(), SourceError> {
        let name = one.name.as_str();
        let wrong = |message: String| {
            let message = format!("{message}; nothing of it is kept: run the backup again");
            Err(refused(ErrorKind::Unreachable, &self.api.shown(database, name), message))
        };
        let now = self.api.counted(database, name)?;
        let now = now.filter(|now| !is_another(now, &one.parameters));
        let Some(now) = now else {
            return wrong(
                "was dropped or renamed while it was read, and documents are asked for by name"
                    .into(),
            );
        };
        let mut shared = lock(&self.shared);
        shared.properties.push((format!("{database}/{name}/documents"), count.to_string()));
        drop(shared);
        let Some(now) = now.get("count").and_then(Value::as_u64).filter(|now| *now != count) else {
            return Ok(());
        };
        // Asked for after the count: where it is what it was, nobody wrote in between.
        let revision = self.api.revision(database, name)?;
        let before = one.counted.as_ref();
        match judge(before, count, &Counted { count: now, revision }) {
            Verdict::Equal => return Ok(()),
            Verdict::Differs { is_odd: false } => {}
            Verdict::Differs { is_odd: true } => tracing::warn!(
                "{database}/{name}: {count} documents came, and the server counts {now}: if nobody wrote them just \
                 now, look at this snapshot before it is relied on"
            ),
            Verdict::Lost => {
                let before = before.map_or(0, |before| before.count);
                return wrong(format!(
                    "{count} documents came, and the server counts {now}, as it counted {before} before"
                ));
            }
        }
        let noted = (format!("{database}/{name}/counted_by_server"), now.to_string());
        lock(&self.shared).properties.push(noted);
        Ok(())
    }

    /// A collection that was named is in none of the databases.
    fn check_unseen(&self) -> Result<(), SourceError> {
        if self.unseen.is_empty() {
            return Ok(());
        }
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let there = match self.all.is_empty() {
            true => "there is none".to_owned(),
            false => format!("there is {}", list(&self.all)),
        };
        let message = format!("no collection {}; {there}", list(&self.unseen));
        Err(refused(ErrorKind::NotFound, &self.api.shown_server(), message))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
