//! A database written back, in the order that a server needs: collections, analyzers, views over them, then indexes
//! and documents, then what stands on those.

use serde_json::{Value, json};

use super::decide::{Action, Step};
use super::inventory::{ANALYZERS, USERS};
use super::left::Left;
use super::look::{LINE_MAX, PlannedDatabase, PlannedView};
use super::target::{Stop, Target, is_alias};
use crate::fault::ErrorKind;
use crate::format::{Bytes, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::source::{LoadReport, SourceError, Stored};

pub(super) struct Run<'r> {
    pub database: PlannedDatabase,
    pub stored: &'r dyn Stored,
    /// Bytes of documents in one request.
    batch: usize,
    observer: &'r dyn Observer,
    pub cancel: &'r Cancel,
    pub report: LoadReport,
    pub left: Left,
    /// Done after all other databases.
    users: Vec<Step>,
}

impl<'r> Run<'r> {
    pub fn new(
        database: PlannedDatabase,
        stored: &'r dyn Stored,
        batch: usize,
        observer: &'r dyn Observer,
        cancel: &'r Cancel,
    ) -> Self {
        let (report, left) = (LoadReport::default(), Left::default());
        Self {
            database,
            stored,
            batch: batch.max(1),
            observer,
            cancel,
            report,
            left,
            users: Vec::new(),
        }
    }

    /// All but users.
    pub fn all(&mut self) -> Result<(), SourceError> {
        self.report.damaged.append(&mut self.database.damaged);
        self.report.problems.append(&mut self.database.problems);
        if self.database.is_new {
            let target = &self.database.target;
            target.api.create_database(&target.database, &self.database.options)?;
        }
        let mut steps = Vec::new();
        for step in std::mem::take(&mut self.database.decided.steps) {
            match (&step.action, step.to.as_str()) {
                (Action::Keep, _) => self.keep(&step),
                (Action::Merge, USERS) => self.users.push(step),
                _ => steps.push(step),
            }
        }
        let views = std::mem::take(&mut self.database.views);
        let (aliases, views) =
            views.into_iter().partition::<Vec<_>, _>(|it| is_alias(&it.definition));
        match steps.iter().any(Step::replaces) {
            true => {
                self.replacing(steps)?;
                // Before, they would have stood on what was to be dropped.
                self.views(views)?;
            }
            false => self.filling(steps, views)?,
        }
        self.views(aliases)
    }

    pub fn users(&mut self) -> Result<(), SourceError> {
        for step in std::mem::take(&mut self.users) {
            let made = self.make(&step);
            if self.note(&step.to, made)? {
                self.fill(&step)?;
            }
        }
        Ok(())
    }

    pub fn add_to(mut self, report: &mut LoadReport, left: &mut Left) {
        if self.database.target.imports() {
            let note = "the server takes documents as an import only: each has a new `_rev`";
            self.report.notes.push(note.to_owned());
        }
        report.loaded += self.report.loaded;
        report.bytes += self.report.bytes;
        report.damaged.append(&mut self.report.damaged);
        report.problems.append(&mut self.report.problems);
        report.notes.append(&mut self.report.notes);
        left.append(self.left);
    }

    /// Where nothing makes way for anything.
    fn filling(&mut self, steps: Vec<Step>, views: Vec<PlannedView>) -> Result<(), SourceError> {
        let mut made = Vec::new();
        for step in steps {
            let done = self.make(&step);
            if self.note(&step.to, done)? {
                made.push(step);
            }
        }
        let is_first = |step: &Step| step.to == ANALYZERS && step.action == Action::Merge;
        let (analyzers, rest) = made.into_iter().partition::<Vec<_>, _>(is_first);
        for step in &analyzers {
            self.fill(step)?;
        }
        self.views(views)?;
        for step in &rest {
            self.fill(step)?;
        }
        Ok(())
    }

    /// One collection after the other, so that what stops this leaves at most one undone.
    fn replacing(&mut self, steps: Vec<Step>) -> Result<(), SourceError> {
        let is_cluster = self.database.target.is_cluster;
        let mut ready = Vec::new();
        for step in steps {
            // Before the first is dropped.
            let checked = match is_cluster && step.replaces() {
                true => self.check(&step),
                false => Ok(()),
            };
            if self.note(&step.to, checked)? {
                ready.push(step);
            }
        }
        for step in &ready {
            match (step.replaces(), is_cluster) {
                (true, true) => self.recreate(step)?,
                (true, false) => self.swap(step)?,
                (false, _) => {
                    let made = self.make(step);
                    if self.note(&step.to, made)? {
                        self.fill(step)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A restore that was broken off may have left it empty: that is no success.
    fn keep(&mut self, step: &Step) {
        let (name, there) = (&step.to, step.existing.unwrap_or_default());
        let stored = self.database.collections.get(&step.from).and_then(|it| it.stored.count);
        match stored {
            Some(count @ 1..) if there == 0 => {
                let message = format!(
                    "is there, and only missing ones were wanted, but it has no documents where the snapshot has \
                     {count}: left alone. If a restore was broken off there, drop it, or restore with --overwrite"
                );
                let problem = self.problem(name, message);
                self.report.problems.push(problem);
            }
            _ => self.report.notes.push(format!(
                "skipped: collection {name} with {there} documents is there, and only missing ones were wanted"
            )),
        }
    }

    fn make(&mut self, step: &Step) -> Result<(), Stop> {
        let target = &self.database.target;
        if step.action == Action::Merge && target.api.count(&target.database, &step.to)?.is_some() {
            return Ok(());
        }
        let structure = self.structure(step);
        if structure.get("indexes").is_none() {
            let (name, kind) = (&step.to, step.kind.name());
            self.report.notes.push(format!(
                "of {name} the snapshot has no structure here: it is made as a {kind} collection without indexes"
            ));
        }
        let target = &self.database.target;
        target.make(&structure, &step.to, step.follows.as_deref(), false)
    }

    /// As the snapshot has it, or the least that a collection can be made of.
    pub(super) fn structure(&self, step: &Step) -> Value {
        let planned = self.database.collections.get(&step.from);
        let structure = planned.and_then(|planned| planned.structure.clone());
        let number = if step.kind.name() == "edge" { 3 } else { 2 };
        structure.unwrap_or_else(
            || json!({"parameters": {"type": number, "isSystem": step.is_system()}}),
        )
    }

    /// Indexes and documents of one collection. Whether all of it is there.
    pub(super) fn fill(&mut self, step: &Step) -> Result<bool, SourceError> {
        self.observer.on(Event::Current(step.to.as_bytes()));
        let structure = self.structure(step);
        // A server's own collections have their indexes.
        let is_own = step.action == Action::Merge;
        let mut is_whole = true;
        if !is_own {
            let indexed = self.database.target.index(&structure, &step.to, false);
            is_whole = self.note(&step.to, indexed)?;
        }
        let sent = match self.send(step, &step.to) {
            Ok(sent) => sent,
            Err(stop) => return self.note(&step.to, Err(stop)),
        };
        let compared = self.compare(step, &step.to, sent);
        is_whole &= self.note(&step.to, compared)?;
        if !is_own {
            let target = &self.database.target;
            let indexed = target.index(&structure, &step.to, true);
            // What was refused is told of by then.
            let indexed = match is_whole {
                true => indexed.and_then(|()| target.check_indexes(&structure, &step.to)),
                false => indexed,
            };
            is_whole &= self.note(&step.to, indexed)?;
        }
        self.observer.on(Event::Items(1));
        if is_whole {
            self.report.loaded += 1;
        }
        Ok(is_whole)
    }

    /// The same under another name, where nothing less than all of it will do.
    pub(super) fn complete(&mut self, step: &Step, name: &str) -> Result<(), Stop> {
        self.observer.on(Event::Current(step.to.as_bytes()));
        let structure = self.structure(step);
        self.database.target.make(&structure, name, step.follows.as_deref(), false)?;
        self.database.target.index(&structure, name, false)?;
        let sent = self.send(step, name)?;
        self.compare(step, name, sent)?;
        let target = &self.database.target;
        target.index(&structure, name, true)?;
        target.check_indexes(&structure, name)?;
        self.observer.on(Event::Items(1));
        Ok(())
    }

    /// All documents of a collection, and how many they are.
    fn send(&mut self, step: &Step, name: &str) -> Result<u64, Stop> {
        let Some(planned) = self.database.collections.get(&step.from) else { return Ok(0) };
        let Some(mut documents) = planned.stored.joined(self.stored, LINE_MAX)? else {
            return Ok(0);
        };
        let only_missing = self.database.if_missing && step.existing.is_some();
        let target = &mut self.database.target;
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        loop {
            if self.cancel.is_cancelled() {
                return Err(Stop::All(SourceError::Interrupted));
            }
            let is_there = documents.next_line(&mut line)?;
            let is_full = !lines.is_empty() && lines.len().saturating_add(line.len()) > self.batch;
            if !lines.is_empty() && (is_full || !is_there) {
                let len = lines.len() as u64;
                target.send(name, std::mem::take(&mut lines).into())?;
                self.report.bytes += len;
                self.observer.on(Event::Bytes(len));
            }
            if !is_there {
                return Ok(documents.count());
            }
            if only_missing && is_kept(target, name, &line)? {
                continue;
            }
            match target.in_envelopes {
                false => lines.extend_from_slice(&line),
                true => {
                    lines.extend_from_slice(b"{\"type\":2300,\"data\":");
                    lines.extend_from_slice(line.trim_ascii_end());
                    lines.extend_from_slice(b"}\n");
                }
            }
        }
    }

    fn views(&mut self, views: Vec<PlannedView>) -> Result<(), SourceError> {
        for view in views {
            let made = self.database.target.view(view.definition, view.replaces);
            if self.note(&view.name, made)? {
                self.report.loaded += 1;
            }
        }
        Ok(())
    }

    /// Whether it was done. What concerns one thing is told at the end; the others follow all the same.
    pub(super) fn note(&mut self, name: &str, done: Result<(), Stop>) -> Result<bool, SourceError> {
        match done {
            Ok(()) => return Ok(true),
            Err(Stop::One(message)) => {
                let problem = self.problem(name, message);
                self.report.problems.push(problem);
            }
            Err(Stop::All(SourceError::Refused { kind: ErrorKind::Damage, path, message })) => {
                let problem =
                    self.problem(name, format!("not all of it is there: {path}: {message}"));
                self.report.damaged.push(problem);
            }
            Err(Stop::All(error)) => return Err(error),
        }
        Ok(false)
    }

    fn problem(&self, name: &str, message: String) -> Problem {
        Problem { path: Bytes::from(self.called(name).into_bytes()), message }
    }

    /// With its database.
    pub(super) fn called(&self, name: &str) -> String {
        format!("{}/{name}", self.database.target.database)
    }
}

/// Whether a document with this one's key is there.
fn is_kept(target: &Target, name: &str, line: &[u8]) -> Result<bool, SourceError> {
    let document: Value = serde_json::from_slice(line).unwrap_or_default();
    match document.get("_key").and_then(Value::as_str) {
        Some(key) => Ok(target.document(name, key)?.is_some()),
        None => Ok(false),
    }
}
