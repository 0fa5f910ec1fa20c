//! A database written back, in the order that a server needs: collections, analyzers, views over them, then indexes
//! and documents, then what stands on those.

use serde_json::Value;

use super::inventory::{ANALYZERS, USERS};
use super::look::{PlannedDatabase, PlannedView};
use super::target::is_alias;
use super::writer::ArangoWriter;
use crate::progress::{Cancel, Observer};
use crate::source::tables::{Journal, Rebuild, TableAction, TableStep};
use crate::source::{LoadReport, SourceError, Stored};

pub(super) struct DatabaseLoad<'r> {
    writer: ArangoWriter<'r>,
    rebuild: Rebuild<'r>,
    steps: Vec<TableStep>,
    views: Vec<PlannedView>,
    /// Set if the database has to be made.
    new: Option<Value>,
    /// Done after all other databases.
    users: Vec<TableStep>,
}

impl<'r> DatabaseLoad<'r> {
    /// `batch`: bytes of documents in one request.
    pub fn new(
        mut database: PlannedDatabase,
        stored: &'r dyn Stored,
        batch: usize,
        observer: &'r dyn Observer,
        cancel: &'r Cancel,
    ) -> Self {
        let mut rebuild = Rebuild::new(Some(database.target.database.clone()), observer);
        rebuild.report.damaged.append(&mut database.damaged);
        rebuild.report.problems.append(&mut database.problems);
        let (steps, views) = (database.decided.steps, database.views);
        let new = database.is_new.then_some(database.options);
        let writer = ArangoWriter {
            target: database.target,
            collections: database.collections,
            touched: database.touched,
            only_missing: database.only_missing,
            stored,
            batch: batch.max(1),
            observer,
            cancel,
            graphs: None,
            bytes: 0,
            notes: Vec::new(),
        };
        Self { writer, rebuild, steps, views, new, users: Vec::new() }
    }

    /// All but users.
    pub fn all(&mut self) -> Result<(), SourceError> {
        if let Some(options) = &self.new {
            let target = &self.writer.target;
            target.api.create_database(&target.database, options)?;
        }
        let mut steps = Vec::new();
        for step in std::mem::take(&mut self.steps) {
            match (&step.action, step.to.as_str()) {
                (TableAction::Skip, _) => self.rebuild.skip(&self.writer, &step),
                (TableAction::Merge, USERS) => self.users.push(step),
                _ => steps.push(step),
            }
        }
        let views = std::mem::take(&mut self.views);
        let (aliases, views) =
            views.into_iter().partition::<Vec<_>, _>(|it| is_alias(&it.definition));
        match steps.iter().any(TableStep::replaces) {
            true => {
                self.rebuild.replace_all(&mut self.writer, &steps)?;
                // Before, they would have stood on what was to be dropped.
                self.put_views(views)?;
            }
            false => self.filling(steps, views)?,
        }
        self.put_views(aliases)
    }

    pub fn users(&mut self) -> Result<(), SourceError> {
        for step in std::mem::take(&mut self.users) {
            if self.rebuild.create(&mut self.writer, &step)? {
                self.rebuild.fill(&mut self.writer, &step)?;
            }
        }
        Ok(())
    }

    pub fn add_to(self, report: &mut LoadReport, journal: &mut Journal) {
        let Rebuild { report: mut own, journal: done, .. } = self.rebuild;
        report.loaded += own.loaded;
        report.bytes += self.writer.bytes;
        report.damaged.append(&mut own.damaged);
        report.problems.append(&mut own.problems);
        report.notes.append(&mut own.notes);
        report.notes.extend(self.writer.notes);
        if self.writer.target.imports() {
            let note = "the server takes documents as an import only: each has a new `_rev`";
            report.notes.push(note.to_owned());
        }
        journal.append(done);
    }

    /// Where nothing makes way for anything.
    fn filling(
        &mut self,
        steps: Vec<TableStep>,
        views: Vec<PlannedView>,
    ) -> Result<(), SourceError> {
        let mut made = Vec::new();
        for step in steps {
            if self.rebuild.create(&mut self.writer, &step)? {
                made.push(step);
            }
        }
        let is_first = |step: &TableStep| step.to == ANALYZERS && step.action == TableAction::Merge;
        let (analyzers, rest) = made.into_iter().partition::<Vec<_>, _>(is_first);
        for step in &analyzers {
            self.rebuild.fill(&mut self.writer, step)?;
        }
        self.put_views(views)?;
        for step in &rest {
            self.rebuild.fill(&mut self.writer, step)?;
        }
        Ok(())
    }

    fn put_views(&mut self, views: Vec<PlannedView>) -> Result<(), SourceError> {
        for view in views {
            let made = self.writer.target.view(view.definition, view.replaces);
            if self.rebuild.note(&view.name, made)? {
                self.rebuild.report.loaded += 1;
            }
        }
        Ok(())
    }
}
