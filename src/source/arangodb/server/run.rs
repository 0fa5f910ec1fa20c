//! A database written back, in the order that a server needs: collections, analyzers, views over them, then indexes
//! and documents, then what stands on those.

use serde_json::{Value, json};

use super::decide::{Action, Step};
use super::inventory::{ANALYZERS, USERS};
use super::look::{LINE_MAX, PlannedDatabase, PlannedView};
use super::target::{Stop, is_alias};
use crate::fault::ErrorKind;
use crate::format::{Bytes, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::source::{LoadReport, SourceError, Stored};

pub(super) struct Run<'r> {
    database: PlannedDatabase,
    stored: &'r dyn Stored,
    /// Bytes of documents in one request.
    batch: usize,
    observer: &'r dyn Observer,
    cancel: &'r Cancel,
    report: &'r mut LoadReport,
}

impl<'r> Run<'r> {
    pub fn new(
        database: PlannedDatabase,
        stored: &'r dyn Stored,
        batch: usize,
        observer: &'r dyn Observer,
        cancel: &'r Cancel,
        report: &'r mut LoadReport,
    ) -> Self {
        Self { database, stored, batch: batch.max(1), observer, cancel, report }
    }

    pub fn all(mut self) -> Result<(), SourceError> {
        self.report.damaged.append(&mut self.database.damaged);
        self.report.problems.append(&mut self.database.problems);
        if self.database.is_new {
            let target = &self.database.target;
            target.api.create_database(&target.database)?;
        }
        let mut made = Vec::new();
        for step in std::mem::take(&mut self.database.decided.steps) {
            let done = self.make(&step);
            if self.note(&step.to, done)? {
                made.push(step);
            }
        }
        let is = |step: &Step, name: &str| step.to == name && step.action == Action::Merge;
        let (analyzers, rest) = made.into_iter().partition::<Vec<_>, _>(|step| is(step, ANALYZERS));
        let (users, rest) = rest.into_iter().partition::<Vec<_>, _>(|step| is(step, USERS));
        for step in &analyzers {
            self.fill(step)?;
        }
        let views = std::mem::take(&mut self.database.views);
        let (aliases, views) =
            views.into_iter().partition::<Vec<_>, _>(|it| is_alias(&it.definition));
        self.views(views)?;
        for step in &rest {
            self.fill(step)?;
        }
        self.views(aliases)?;
        for step in &users {
            self.fill(step)?;
        }
        if self.database.target.imports() {
            self.report.notes.push(
                "the server takes documents as an import only: each has a new `_rev`".to_owned(),
            );
        }
        Ok(())
    }

    fn make(&mut self, step: &Step) -> Result<(), Stop> {
        let target = &self.database.target;
        if let Action::Rename(kept) = &step.action {
            target.rename(&step.to, kept)?;
            self.report.notes.push(format!("{} that was there is kept as {kept}", step.to));
        }
        if step.action == Action::Merge && target.api.count(&target.database, &step.to)?.is_some() {
            return Ok(());
        }
        let structure = self.structure(step);
        let overwrite = step.action == Action::Replace;
        if overwrite {
            self.check_whole(step)?;
        }
        if structure.get("indexes").is_none() {
            if overwrite {
                let message =
                    "its structure is not in the snapshot, or was not selected: not replaced";
                return Err(Stop::One(message.to_owned()));
            }
            let (name, kind) = (&step.to, step.kind.name());
            self.report.notes.push(format!(
                "of {name} the snapshot has no structure here: it is made as a {kind} collection without indexes"
            ));
        }
        target.make(&structure, &step.to, step.follows.as_deref(), overwrite)
    }

    /// Before what is there is dropped: what takes its place can be read to its end.
    fn check_whole(&self, step: &Step) -> Result<(), Stop> {
        let Some(planned) = self.database.collections.get(&step.from) else { return Ok(()) };
        let documents = planned.stored.joined(self.stored, LINE_MAX).map_err(not_replaced)?;
        let Some(mut documents) = documents else { return Ok(()) };
        let mut line = Vec::new();
        while documents.next_line(&mut line).map_err(not_replaced)? {
            if self.cancel.is_cancelled() {
                return Err(Stop::All(SourceError::Interrupted));
            }
        }
        miscounted(planned.stored.count, documents.count()).map_or(Ok(()), |it| Err(Stop::One(it)))
    }

    /// As the snapshot has it, or the least that a collection can be made of.
    fn structure(&self, step: &Step) -> Value {
        let planned = self.database.collections.get(&step.from);
        let structure = planned.and_then(|planned| planned.structure.clone());
        let number = if step.kind.name() == "edge" { 3 } else { 2 };
        structure.unwrap_or_else(
            || json!({"parameters": {"type": number, "isSystem": step.is_system()}}),
        )
    }

    /// Indexes and documents of one collection.
    fn fill(&mut self, step: &Step) -> Result<(), SourceError> {
        self.observer.on(Event::Current(step.to.as_bytes()));
        let structure = self.structure(step);
        // A server's own collections have their indexes.
        let is_own = step.action == Action::Merge;
        let mut is_whole = true;
        if !is_own {
            let indexed = self.database.target.index(&structure, &step.to, false);
            is_whole = self.note(&step.to, indexed)?;
        }
        let sent = match self.send(step) {
            Ok(sent) => sent,
            Err(stop) => return self.note(&step.to, Err(stop)).map(drop),
        };
        let compared = self.compare(step, sent);
        is_whole &= self.note(&step.to, compared)?;
        if !is_own {
            let indexed = self.database.target.index(&structure, &step.to, true);
            is_whole &= self.note(&step.to, indexed)?;
        }
        if is_whole {
            self.report.loaded += 1;
        }
        self.observer.on(Event::Items(1));
        Ok(())
    }

    /// All documents of a collection, and how many they are.
    fn send(&mut self, step: &Step) -> Result<u64, Stop> {
        let Some(planned) = self.database.collections.get(&step.from) else { return Ok(0) };
        let Some(mut documents) = planned.stored.joined(self.stored, LINE_MAX)? else {
            return Ok(0);
        };
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
                target.send(&step.to, std::mem::take(&mut lines).into())?;
                self.report.bytes += len;
                self.observer.on(Event::Bytes(len));
            }
            if !is_there {
                return Ok(documents.count());
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

    /// Whether the server has what was sent, and the snapshot what was backed up.
    fn compare(&self, step: &Step, sent: u64) -> Result<(), Stop> {
        let counted = self.database.collections.get(&step.from).and_then(|it| it.stored.count);
        if let Some(message) = miscounted(counted, sent) {
            return Err(Stop::One(message));
        }
        if step.action == Action::Merge {
            return Ok(());
        }
        let target = &self.database.target;
        match target.api.count(&target.database, &step.to)? {
            Some(count) if count == sent => Ok(()),
            Some(count) => Err(Stop::One(format!(
                "{sent} documents were sent, and the server counts {count}: restore it again, and see the \
                 server's log"
            ))),
            None => Err(Stop::One("is not there any more".to_owned())),
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
    fn note(&mut self, name: &str, done: Result<(), Stop>) -> Result<bool, SourceError> {
        let database = &self.database.target.database;
        let problem = |message: String| Problem {
            path: Bytes::from(format!("{database}/{name}").into_bytes()),
            message,
        };
        match done {
            Ok(()) => return Ok(true),
            Err(Stop::One(message)) => self.report.problems.push(problem(message)),
            Err(Stop::All(SourceError::Refused { kind: ErrorKind::Damage, path, message })) => {
                let message = format!("not all of it is there: {path}: {message}");
                self.report.damaged.push(problem(message));
            }
            Err(Stop::All(error)) => return Err(error),
        }
        Ok(false)
    }
}

fn miscounted(counted: Option<u64>, sent: u64) -> Option<String> {
    let counted = counted.filter(|counted| *counted != sent)?;
    Some(format!("{counted} documents were backed up, and {sent} are in the snapshot"))
}

/// What is there stays where what was to take its place is lost.
fn not_replaced(error: SourceError) -> Stop {
    Stop::All(match error {
        SourceError::Refused { kind: ErrorKind::Damage, path, message } => {
            let message = format!("{message}; nothing was replaced");
            SourceError::Refused { kind: ErrorKind::Damage, path, message }
        }
        other => other,
    })
}
