//! What is at the server, beside what is in the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decide::{Action, Decided, Existing, Policy, Step, Wanted, decide};
use super::inventory::{ANALYZERS, GRAPHS, USERS};
use super::load::{fate_of, step, step_path};
use super::relink::Touched;
use super::target::{Target, without_revision};
use crate::fault::ErrorKind;
use crate::format::{Bytes, EntryPath, Problem};
use crate::limits::MIB;
use crate::source::arangodb::failure::refused;
use crate::source::arangodb::{CollectionKind, StoredCollection, StoredDatabase, definition};
use crate::source::{Fate, LoadPlan, LoadStep, SourceError, Stored};

/// Longest document that is taken.
pub(super) const LINE_MAX: usize = 512 * MIB;
/// Names of things in one text.
const NAMED: usize = 20;

/// What would be done.
#[derive(Default)]
pub(super) struct Look {
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
    pub if_missing: bool,
    /// What could not be read of the snapshot, and what it lacks.
    pub damaged: Vec<Problem>,
    pub problems: Vec<Problem>,
}

/// A collection's parts in the snapshot, and what becomes of what is in its place.
pub(super) struct PlannedCollection {
    pub stored: StoredCollection,
    pub structure: Option<Value>,
    pub fate: Fate,
}

pub(super) struct PlannedView {
    pub name: String,
    pub definition: Value,
    pub replaces: bool,
}

impl Look {
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
        let mut plan = LoadPlan { notes: self.notes, ..LoadPlan::default() };
        for database in self.databases {
            plan.steps.extend(database.steps()?);
            plan.problems.extend(database.problems);
            plan.problems.extend(database.damaged);
        }
        Ok(plan)
    }

    /// What would be replaced.
    pub fn replaced(&self) -> BTreeSet<EntryPath> {
        let steps = self.databases.iter().filter_map(|database| database.steps().ok()).flatten();
        steps.filter(is_replaced).map(|step| step.name).collect()
    }

    /// That nothing would be replaced but what was agreed to.
    pub fn check(&self, agreed: &BTreeSet<EntryPath>, shown: &str) -> Result<(), SourceError> {
        let mut clashes = Vec::new();
        for database in &self.databases {
            for step in database.steps()?.into_iter().filter(is_replaced) {
                if !agreed.contains(&step.name)
                    && let Fate::Replaced(what) = step.fate
                {
                    clashes.push(format!("{} ({what})", step.name.display()));
                }
            }
        }
        if clashes.is_empty() {
            return Ok(());
        }
        let more = match clashes.len().checked_sub(NAMED) {
            None | Some(0) => String::new(),
            Some(more) => format!(" and {more} more"),
        };
        clashes.truncate(NAMED);
        let message = format!(
            "is there: {}{more}; --overwrite replaces it, --backup-existing keeps collections under another name",
            clashes.join(", ")
        );
        Err(refused(ErrorKind::Exists, shown, message))
    }
}

fn is_replaced(step: &LoadStep) -> bool {
    matches!(step.fate, Fate::Replaced(_))
}

impl PlannedDatabase {
    /// `existing`: `None` where the database has to be made.
    pub fn new(
        stored: &dyn Stored,
        target: Target,
        mut database: StoredDatabase,
        existing: Option<Existing>,
        policy: &Policy,
    ) -> Result<Self, SourceError> {
        let is_new = existing.is_none();
        let existing = existing.unwrap_or_default();
        let (mut wanted, mut structures, mut damaged) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut problems = Vec::new();
        database.collections.retain(|name, collection| {
            if collection.documents.is_none() && policy.is_wanted(name) {
                let message =
                    "its documents are not in the snapshot, or were not selected: not restored";
                let path = Bytes::from(format!("{}/{name}", target.database).into_bytes());
                problems.push(Problem { path, message: message.to_owned() });
            }
            collection.documents.is_some()
        });
        for (name, collection) in &database.collections {
            let structure = kept(collection.structure(stored), &mut damaged)?.flatten();
            wanted.push(Wanted {
                name: name.clone(),
                kind: kind_of(collection, structure.as_ref()),
                follows: structure.as_ref().and_then(follows),
            });
            structures.insert(name.clone(), structure);
        }
        let decided = decide(&wanted, &existing, policy);
        let mut collections = BTreeMap::new();
        for step in &decided.steps {
            let Some(collection) = database.collections.remove(&step.from) else { continue };
            let fate = match step.action {
                Action::Merge if policy.if_missing && step.existing.is_some() => Fate::Kept,
                Action::Merge => merged(&target, stored, step, &collection)?,
                _ => fate_of(&step.action, step.existing),
            };
            let structure = structures.remove(&step.from).flatten();
            let planned = PlannedCollection { stored: collection, structure, fate };
            collections.insert(step.from.clone(), planned);
        }
        let mut views = Vec::new();
        if decided.with_views {
            for (name, entry) in &database.views {
                let replaces = existing.views.contains(name);
                if replaces && policy.if_missing {
                    continue;
                }
                if let Some(definition) = kept(definition(stored, entry), &mut damaged)? {
                    views.push(PlannedView { name: name.clone(), definition, replaces });
                }
            }
        }
        let mut others = existing.views;
        others.retain(|name| !views.iter().any(|view| view.name == *name));
        let replaced: BTreeSet<_> = decided
            .steps
            .iter()
            .filter(|step| step.replaces())
            .map(|step| step.to.clone())
            .collect();
        let touched = match replaced.is_empty() {
            true => Vec::new(),
            false => target.touched(&others, &replaced)?,
        };
        let properties = kept(database.properties(stored), &mut damaged)?.flatten();
        let options = database_options(properties.as_ref());
        let if_missing = policy.if_missing;
        Ok(Self {
            target,
            is_new,
            decided,
            collections,
            views,
            touched,
            options,
            if_missing,
            damaged,
            problems,
        })
    }

    fn steps(&self) -> Result<Vec<LoadStep>, SourceError> {
        let database = &self.target.database;
        let mut steps = Vec::new();
        if self.is_new {
            steps.push(step(crate::source::arangodb::model::path(&[database])?, Fate::New, 0));
        }
        for one in &self.decided.steps {
            let Some(planned) = self.collections.get(&one.from) else { continue };
            let fate = planned.fate.clone();
            steps.push(step(step_path(database, &one.to)?, fate, planned.stored.bytes()));
        }
        for view in &self.views {
            let fate = match view.replaces {
                true => Fate::Replaced("view".to_owned()),
                false => Fate::New,
            };
            // A view has no collection's name: both are names of one kind.
            steps.push(step(step_path(database, &view.name)?, fate, 0));
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
    step: &Step,
    collection: &StoredCollection,
) -> Result<Fate, SourceError> {
    let count = match step.existing {
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
