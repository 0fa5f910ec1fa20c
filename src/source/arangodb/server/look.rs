//! What is at the server, beside what is in the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decide::{Decided, Existing, NOUNS, Policy, Wanted, plan};
use super::inventory::{ANALYZERS, GRAPHS, USERS};
use super::relink::Touched;
use super::target::{Target, without_revision};
use crate::fault::ErrorKind;
use crate::format::{Bytes, Entry, EntryPath, Problem};
use crate::limits::MIB;
use crate::source::arangodb::failure::refused;
use crate::source::arangodb::{
    CollectionKind, StoredCollection, StoredDatabase, definition, model,
};
use crate::source::tables::{ConflictPolicy, TableAction, TableStep};
use crate::source::{Fate, LoadPlan, LoadStep, SourceError, Stored};

/// Longest document that is taken.
pub(super) const LINE_MAX: usize = 512 * MIB;

/// What would be done.
#[derive(Default)]
pub(super) struct ArangoPlan {
    pub databases: Vec<PlannedDatabase>,
    pub notes: Vec<String>,
}

/// What would be done with one database.
pub(super) struct PlannedDatabase {
    pub target: Target,
    pub is_new: bool,
    pub decided: Decided,
    pub collections: BTreeMap<String, PlannedCollection>,
    pub views: Vec<PlannedView>,
    /// Views at the server that lose collections on the way, and are not restored themselves.
    pub touched: Vec<Touched>,
    /// What a new database is to have from the start.
    pub options: Value,
    pub only_missing: bool,
    /// What could not be read of the snapshot, and what it lacks.
    pub damaged: Vec<Problem>,
    pub problems: Vec<Problem>,
}

/// A collection's parts in the snapshot, and what becomes of what is in its place.
pub(super) struct PlannedCollection {
    pub stored: StoredCollection,
    pub structure: Option<Value>,
    pub kind: CollectionKind,
    /// The collection at the server whose shards its own follow.
    pub follows: Option<String>,
    fate: Fate,
}

pub(super) struct PlannedView {
    pub name: String,
    pub definition: Value,
    pub replaces: bool,
}

impl ArangoPlan {
    pub fn add(&mut self, database: PlannedDatabase, from: &str) {
        let to = &database.target.database;
        if from != to {
            self.notes.push(format!("database {from} is restored into {to}"));
        }
        self.notes.extend(database.decided.notes.iter().cloned());
        for view in &database.touched {
            self.notes.push(format!(
                "view {} stands on {}: it is put back on it afterwards",
                view.name,
                view.collections.join(", ")
            ));
        }
        self.databases.push(database);
    }

    pub fn unknown(&mut self, paths: &[EntryPath]) {
        if let Some(first) = paths.first() {
            let (count, first) = (paths.len(), first.display());
            self.notes.push(format!(
                "left out: {count} entries that are no parts of a database, {first} first"
            ));
        }
    }

    pub fn plan(self) -> Result<LoadPlan, SourceError> {
        let steps = self.steps()?;
        let mut plan = LoadPlan { steps, notes: self.notes, ..LoadPlan::default() };
        for database in self.databases {
            plan.problems.extend(database.problems);
            plan.problems.extend(database.damaged);
        }
        Ok(plan)
    }

    pub fn steps(&self) -> Result<Vec<LoadStep>, SourceError> {
        let mut steps = Vec::new();
        for database in &self.databases {
            steps.extend(database.steps()?);
        }
        Ok(steps)
    }
}

impl PlannedDatabase {
    /// `existing`: `None` where the database has to be made.
    pub fn new(
        stored: &dyn Stored,
        target: Target,
        database: StoredDatabase,
        existing: Option<Existing>,
        policy: &Policy,
    ) -> Result<Self, SourceError> {
        let mut damaged = Vec::new();
        let properties = kept(database.properties(stored), &mut damaged)?.flatten();
        let mut planned = Self {
            target,
            is_new: existing.is_none(),
            decided: Decided::default(),
            collections: BTreeMap::new(),
            views: Vec::new(),
            touched: Vec::new(),
            options: database_options(properties.as_ref()),
            only_missing: policy.conflict == ConflictPolicy::Skip,
            damaged,
            problems: Vec::new(),
        };
        let existing = existing.unwrap_or_default();
        planned.read_collections(stored, database.collections, policy)?;
        planned.decide(stored, &existing, policy)?;
        planned.read_views(stored, &database.views, existing.views)?;
        Ok(planned)
    }

    fn read_collections(
        &mut self,
        stored: &dyn Stored,
        collections: BTreeMap<String, StoredCollection>,
        policy: &Policy,
    ) -> Result<(), SourceError> {
        for (name, collection) in collections {
            if collection.documents.is_none() {
                if policy.is_wanted(&name) {
                    let message =
                        "its documents are not in the snapshot, or were not selected: not restored";
                    let path = Bytes::from(format!("{}/{name}", self.target.database).into_bytes());
                    self.problems.push(Problem { path, message: message.to_owned() });
                }
                continue;
            }
            let structure = kept(collection.structure(stored), &mut self.damaged)?.flatten();
            let planned = PlannedCollection {
                kind: kind_of(&collection, structure.as_ref()),
                follows: structure.as_ref().and_then(follows),
                stored: collection,
                structure,
                fate: Fate::New,
            };
            self.collections.insert(name, planned);
        }
        Ok(())
    }

    fn decide(
        &mut self,
        stored: &dyn Stored,
        existing: &Existing,
        policy: &Policy,
    ) -> Result<(), SourceError> {
        let wanted = |(name, planned): (&String, &PlannedCollection)| Wanted {
            name: name.clone(),
            kind: planned.kind,
            follows: planned.follows.clone(),
        };
        let wanted: Vec<_> = self.collections.iter().map(wanted).collect();
        let url = self.target.api.shown(&self.target.database, "");
        self.decided = plan(&wanted, existing, policy, &url)?;
        let obstacles = self.decided.steps.iter().filter_map(|step| step.obstacle(NOUNS));
        let obstacles: Vec<_> = obstacles.collect();
        if !obstacles.is_empty() {
            return Err(refused(ErrorKind::Exists, &url, obstacles.join("; ")));
        }
        for step in &self.decided.steps {
            let Some(planned) = self.collections.get_mut(&step.from) else { continue };
            planned.follows = self.decided.follows.remove(&step.from);
            planned.fate = match step.action {
                TableAction::Merge if self.only_missing && step.existing.is_some() => Fate::Kept,
                TableAction::Merge => merged(&self.target, stored, step, &planned.stored)?,
                _ => step.fate(NOUNS),
            };
        }
        Ok(())
    }

    /// Views that are restored, and others at the server that stand on what is replaced.
    fn read_views(
        &mut self,
        stored: &dyn Stored,
        views: &BTreeMap<String, Entry>,
        mut existing: BTreeSet<String>,
    ) -> Result<(), SourceError> {
        for (name, entry) in views.iter().filter(|_| self.decided.with_views) {
            let replaces = existing.contains(name);
            if replaces && self.only_missing {
                continue;
            }
            if let Some(definition) = kept(definition(stored, entry), &mut self.damaged)? {
                existing.remove(name);
                self.views.push(PlannedView { name: name.clone(), definition, replaces });
            }
        }
        let replaced = self.decided.steps.iter().filter(|step| step.replaces());
        let replaced: BTreeSet<_> = replaced.map(|step| step.to.clone()).collect();
        if !replaced.is_empty() {
            self.touched = self.target.touched(&existing, &replaced)?;
        }
        Ok(())
    }

    fn steps(&self) -> Result<Vec<LoadStep>, SourceError> {
        let database = self.target.database.as_str();
        let step = |path: &[&str], fate, rows, bytes| {
            Ok::<_, SourceError>(LoadStep { name: model::path(path)?, fate, rows, bytes })
        };
        let mut steps = Vec::new();
        if self.is_new {
            steps.push(step(&[database], Fate::New, None, 0)?);
        }
        for one in &self.decided.steps {
            let Some(planned) = self.collections.get(&one.from) else { continue };
            let (fate, bytes) = (planned.fate.clone(), planned.stored.bytes());
            steps.push(step(&[database, &one.to], fate, one.rows(), bytes)?);
        }
        for view in &self.views {
            let fate = match view.replaces {
                true => Fate::Replaced("view".to_owned()),
                false => Fate::New,
            };
            // A view has no collection's name: both are names of one kind.
            steps.push(step(&[database, &view.name], fate, None, 0)?);
        }
        Ok(steps)
    }
}

/// What new collections of a database get where nothing else is said.
fn database_options(properties: Option<&Value>) -> Value {
    let keys = ["sharding", "replicationFactor", "writeConcern"];
    let one = |key: &str| Some((key.to_owned(), properties?.get(key)?.clone()));
    let options = keys.into_iter().filter_map(one);
    Value::Object(options.filter(|(_, value)| value.is_string() || value.is_u64()).collect())
}

/// What could not be read is noted, where it is the snapshot's own trouble.
fn kept<T>(
    read: Result<T, SourceError>,
    damaged: &mut Vec<Problem>,
) -> Result<Option<T>, SourceError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(SourceError::Refused { kind: ErrorKind::Damage, path, message }) => {
            damaged.push(Problem { path: Bytes::from(path.as_bytes()), message });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn kind_of(collection: &StoredCollection, structure: Option<&Value>) -> CollectionKind {
    let told = structure.and_then(|it| CollectionKind::of_parameters(it.get("parameters")?));
    told.or(collection.kind).unwrap_or(CollectionKind::Document)
}

fn follows(structure: &Value) -> Option<String> {
    let like = structure.get("parameters")?.get("distributeShardsLike")?.as_str()?;
    (!like.is_empty()).then(|| like.to_owned())
}

/// What becomes of documents that a server keeps for itself.
fn merged(
    target: &Target,
    stored: &dyn Stored,
    step: &TableStep,
    collection: &StoredCollection,
) -> Result<Fate, SourceError> {
    let count = match step.rows() {
        None => return Ok(Fate::New),
        Some(0) => return Ok(Fate::Kept),
        Some(count) => count,
    };
    if step.to == USERS {
        return Ok(Fate::Replaced(format!("users of the same names, among {count}")));
    }
    if ![GRAPHS, ANALYZERS].contains(&step.to.as_str()) {
        return Ok(Fate::Replaced(format!("documents with the same keys, among {count}")));
    }
    // There are few of these, and who has other graphs must not be asked about them.
    let mut clashes = Vec::new();
    // What cannot be read is told of when it is restored.
    let documents = kept(collection.joined(stored, LINE_MAX), &mut Vec::new())?.flatten();
    let Some(mut documents) = documents else { return Ok(Fate::Kept) };
    let mut line = Vec::new();
    while kept(documents.next_line(&mut line), &mut Vec::new())? == Some(true) {
        let document: Value = serde_json::from_slice(&line).unwrap_or_default();
        let Some(key) = document.get("_key").and_then(Value::as_str).map(str::to_owned) else {
            continue;
        };
        let found = target.document(&step.to, &key)?;
        if found.is_some_and(|found| found != without_revision(document)) {
            clashes.push(key);
        }
    }
    Ok(match clashes.is_empty() {
        true => Fate::Kept,
        false => Fate::Replaced(format!("definitions of {}", clashes.join(", "))),
    })
}
