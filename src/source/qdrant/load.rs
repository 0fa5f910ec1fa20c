//! The loader: collections back into a server, under their names or others.

use serde_json::Value;

use super::api::Api;
use super::decide::{Decision, Existing, Policy, Wanted, decide};
use super::export::QdrantOptions;
use super::failure::refused;
use super::form::Delivery;
use super::server::{QdrantServer, is_name};
use super::upload::Task;
use super::{ALIASES, INFO, PARAMS, POINTS, SHA256, SNAPSHOT};
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind, EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::source::{Fate, LoadPlan, LoadReport, LoadStep, Loader, SourceError, Stored};

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
    /// Those to restore and their names at the server; all under their own where it is empty.
    pub collections: Vec<(String, String)>,
    /// The name of the one collection that is restored.
    pub rename: Option<String>,
    pub priority: Priority,
    /// Leave a collection alone that is there, and call that a success.
    pub if_missing: bool,
    /// Make a collection's aliases again, for its new name if it has one.
    pub aliases: bool,
}

/// Writes collections into a server.
pub struct QdrantLoader {
    api: Api,
    restore: QdrantRestore,
    planned: Vec<Part>,
}

/// One collection.
struct Part {
    entry: Entry,
    wanted: Wanted,
    sha256: Option<String>,
    aliases: Vec<String>,
    points: Option<u64>,
    decision: Decision,
}

impl QdrantLoader {
    /// Asks nothing of the server yet.
    pub fn new(
        server: &QdrantServer,
        options: &QdrantOptions,
        restore: QdrantRestore,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let api = Api::new(server, options, cancel)?;
        Ok(Self { api, restore, planned: Vec::new() })
    }

    /// What a snapshot holds of what is wanted.
    fn parts(&self, stored: &dyn Stored) -> Result<Vec<Part>, SourceError> {
        let mut parts = Vec::new();
        stored.each(&mut |entry| {
            parts.extend(self.part(entry)?);
            Ok(())
        })?;
        for (old, _) in &self.restore.collections {
            if !parts.iter().any(|part: &Part| collection_of(&part.entry).as_ref() == Some(old)) {
                let message = "is not in the snapshot, or not selected";
                return Err(refused(ErrorKind::Usage, old, message));
            }
        }
        match (&self.restore.rename, parts.as_mut_slice()) {
            (None, _) => {}
            (Some(new), [one]) => one.wanted.collection = new.clone(),
            (Some(new), _) => {
                let message = format!("only one collection can be restored as {new}: choose it");
                return Err(refused(ErrorKind::Usage, self.api.url(), message));
            }
        }
        Ok(parts)
    }

    /// `None`: it is there for people to read, or not chosen.
    fn part(&self, entry: Entry) -> Result<Option<Part>, SourceError> {
        let Some(old) = collection_of(&entry) else {
            let path = entry.path.display().to_string();
            return match path.ends_with(INFO) {
                true => Ok(None),
                false => Err(refused(ErrorKind::Damage, &path, "no entry of a Qdrant snapshot")),
            };
        };
        let chosen = &self.restore.collections;
        let collection = match chosen.iter().find(|(from, _)| *from == old) {
            Some((_, new)) => new.clone(),
            None if chosen.is_empty() => old,
            None => return Ok(None),
        };
        if !is_name(&collection) {
            return Err(refused(ErrorKind::Usage, &collection, "is no name of a collection"));
        }
        let json = |name| property(&entry, name).and_then(|text| serde_json::from_str(text).ok());
        let params: Option<Value> = json(PARAMS);
        let aliases = json(ALIASES).and_then(|aliases| serde_json::from_value(aliases).ok());
        let points = property(&entry, POINTS).and_then(|points| points.parse().ok());
        let sha256 = property(&entry, SHA256).map(str::to_owned);
        let wanted = Wanted { collection, params };
        let (aliases, decision) = (aliases.unwrap_or_default(), Decision::Create);
        Ok(Some(Part { entry, wanted, sha256, aliases, points, decision }))
    }

    fn existing(&self, collection: &str) -> Result<Option<Existing>, SourceError> {
        Ok(self.api.info(collection)?.map(|info| Existing {
            points: info.get("points_count").and_then(Value::as_u64),
            params: info.get("config").and_then(|config| config.get("params")).cloned(),
        }))
    }

    fn decide(&self, wanted: &Wanted, overwrite: bool) -> Result<Decision, SourceError> {
        let policy = Policy { overwrite, if_missing: self.restore.if_missing };
        match decide(wanted, self.existing(&wanted.collection)?.as_ref(), policy) {
            Decision::Refuse(why) => {
                Err(refused(ErrorKind::Exists, &self.api.collection_url(&wanted.collection), why))
            }
            decision => Ok(decision),
        }
    }
}

/// The collection that an entry is the snapshot of.
fn collection_of(entry: &Entry) -> Option<String> {
    let path = str::from_utf8(entry.path.as_bytes()).ok()?;
    let is_file = entry.kind == EntryKind::File && !path.contains('/');
    path.strip_suffix(SNAPSHOT).filter(|name| is_file && !name.is_empty()).map(str::to_owned)
}

fn property<'e>(entry: &'e Entry, name: &str) -> Option<&'e str> {
    let found = entry.properties.iter().find(|property| property.name == name)?;
    str::from_utf8(&found.value).ok()
}

impl Loader for QdrantLoader {
    fn plan(&mut self, stored: &dyn Stored) -> Result<LoadPlan, SourceError> {
        let mut parts = self.parts(stored)?;
        self.api.wait_ready()?;
        let aliases = self.api.aliases(None)?;
        let mut plan = LoadPlan::default();
        for part in &mut parts {
            let name = &part.wanted.collection;
            // The server would follow it, and replace what nobody was shown.
            if let Some((_, of)) = aliases.iter().find(|(alias, _)| alias == name) {
                let message =
                    format!("is an alias of collection {of}: restore as {of}, or as another");
                return Err(refused(ErrorKind::Exists, &self.api.collection_url(name), message));
            }
            part.decision = self.decide(&part.wanted, true)?;
            let fate = match &part.decision {
                Decision::Replace(what) => Fate::Replaced(what.clone()),
                Decision::Skip(_) => Fate::Kept,
                Decision::Create | Decision::Refuse(_) => Fate::New,
            };
            let bytes = if fate == Fate::Kept { 0 } else { part.entry.len() };
            if self.restore.aliases && !self.restore.if_missing {
                plan.steps.extend(moved_aliases(part, &aliases)?);
            }
            let name = EntryPath::new(name.as_str())
                .map_err(|error| refused(ErrorKind::Usage, name, error.to_string()))?;
            plan.steps.push(LoadStep { name, fate, bytes });
        }
        self.planned = parts;
        Ok(plan)
    }

    fn load(
        mut self: Box<Self>,
        stored: &dyn Stored,
        may_replace: bool,
        observer: &dyn Observer,
        _: &Cancel,
    ) -> Result<LoadReport, SourceError> {
        let planned = std::mem::take(&mut self.planned);
        let report = LoadReport::default();
        let mut loading = Loading { may_replace, loader: &self, stored, observer, report };
        for part in &planned {
            observer.on(Event::Current(part.wanted.collection.as_bytes()));
            loading.one(part)?;
            observer.on(Event::Items(1));
        }
        Ok(loading.report)
    }
}

/// Aliases that would no longer stand for what they stand for.
fn moved_aliases(part: &Part, existing: &[(String, String)]) -> Result<Vec<LoadStep>, SourceError> {
    let of_others = existing
        .iter()
        .filter(|(alias, of)| part.aliases.contains(alias) && *of != part.wanted.collection);
    let step = |(alias, of): &(String, String)| {
        let name = EntryPath::new(alias.as_str())
            .map_err(|error| refused(ErrorKind::Usage, alias, error.to_string()))?;
        let fate = Fate::Replaced(format!("an alias of collection {of}"));
        Ok(LoadStep { name, fate, bytes: 0 })
    };
    of_others.map(step).collect()
}

/// A restore under way.
struct Loading<'l> {
    may_replace: bool,
    loader: &'l QdrantLoader,
    stored: &'l dyn Stored,
    observer: &'l dyn Observer,
    report: LoadReport,
}

impl Loading<'_> {
    fn one(&mut self, part: &Part) -> Result<(), SourceError> {
        let was_planned = matches!(part.decision, Decision::Replace(_));
        let decision = self.loader.decide(&part.wanted, self.may_replace && was_planned)?;
        let name = &part.wanted.collection;
        if let Decision::Skip(why) = decision {
            self.skipped(part, &why)?;
            return self.make_aliases(part);
        }
        let is_new = decision == Decision::Create;
        match self.upload(part, is_new) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Damage => {
                let message = format!("not restored: {error}");
                self.report.damaged.push(problem(name, message));
                return Ok(());
            }
            Err(error) => return Err(self.with_what_is_left(error, name, is_new)),
        }
        self.report.loaded += 1;
        self.report.bytes += part.entry.len();
        self.compare(part)?;
        self.make_aliases(part)
    }

    fn upload(&self, part: &Part, must_be_missing: bool) -> Result<(), SourceError> {
        let delivery = Delivery {
            collection: &part.wanted.collection,
            len: part.entry.len(),
            priority: self.loader.restore.priority.as_str(),
            sha256: part.sha256.as_deref(),
        };
        let (api, stored, observer) = (&self.loader.api, self.stored, self.observer);
        Task { api, stored, observer, entry: &part.entry, delivery, must_be_missing }.run()
    }

    /// A restore that failed half-way may have left the collection empty: that is no success.
    fn skipped(&mut self, part: &Part, why: &str) -> Result<(), SourceError> {
        let name = &part.wanted.collection;
        let is_empty = self.loader.existing(name)?.is_some_and(|there| there.points == Some(0));
        match part.points {
            Some(points @ 1..) if is_empty => {
                let message = format!(
                    "{why}, but has no points where the snapshot has {points}: left alone. If a restore was \
                     broken off there, delete it, or restore with --overwrite"
                );
                self.report.problems.push(problem(name, message));
            }
            _ => {
                self.report.notes.push(format!("skipped: {why}, and only missing ones were wanted"))
            }
        }
        Ok(())
    }

    /// The server creates a collection before it fills it.
    fn with_what_is_left(&self, error: SourceError, name: &str, is_new: bool) -> SourceError {
        let SourceError::Refused { kind, path, message } = error else { return error };
        let api = self.loader.api.undisturbed();
        let is_left = is_new && kind != ErrorKind::Exists && matches!(api.info(name), Ok(Some(_)));
        let message = match is_left {
            true => format!("{message}; collection {name} is there now, and not whole: delete it"),
            false => message,
        };
        SourceError::Refused { kind, path, message }
    }

    /// Counts are those of a moment before the snapshot: what differs is told, what is gone is a problem.
    fn compare(&mut self, part: &Part) -> Result<(), SourceError> {
        let name = &part.wanted.collection;
        let now = self.loader.existing(name)?.and_then(|there| there.points);
        match (part.points, now) {
            (Some(before @ 1..), Some(0)) => {
                let message =
                    format!("has no points, the backup had {before}: see the server's log");
                self.report.problems.push(problem(name, message));
            }
            (Some(before), Some(now)) if before == now => {
                self.report.notes.push(format!("{name}: {now} points, as when it was backed up"));
            }
            (Some(before), Some(now)) => {
                let note = format!("{name}: {now} points; {before} when its backup began");
                self.report.notes.push(note);
            }
            (None, Some(now)) => self.report.notes.push(format!("{name}: {now} points")),
            (_, None) => {}
        }
        Ok(())
    }

    fn make_aliases(&mut self, part: &Part) -> Result<(), SourceError> {
        if !self.loader.restore.aliases || part.aliases.is_empty() {
            return Ok(());
        }
        let (api, collection) = (&self.loader.api, &part.wanted.collection);
        let may_move = self.may_replace && !self.loader.restore.if_missing;
        let existing = api.aliases(None)?;
        for alias in &part.aliases {
            let now = existing.iter().find(|(name, _)| name == alias).map(|(_, of)| of);
            let failed = match now {
                Some(of) if of == collection => continue,
                Some(of) if !may_move => {
                    format!("alias {alias} stays with {of}: --overwrite moves it")
                }
                now => match api.set_alias(alias, collection, now.is_some()) {
                    Ok(()) => continue,
                    Err(SourceError::Interrupted) => return Err(SourceError::Interrupted),
                    Err(error) => format!("alias {alias} was not made: {error}"),
                },
            };
            self.report.problems.push(problem(collection, failed));
        }
        Ok(())
    }
}

fn problem(collection: &str, message: String) -> Problem {
    Problem { path: collection.as_bytes().into(), message }
}
