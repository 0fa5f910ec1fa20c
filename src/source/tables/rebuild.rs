//! Tables written into a target. A table that is there makes way only for one that is complete, if the target can
//! rename tables.

use crate::fault::ErrorKind;
use crate::format::Problem;
use crate::progress::{Event, Observer};
use crate::source::{LoadReport, SourceError};

use super::{Deed, Journal, Nouns, Recorded, RowCounts, TableAction, TableStep};

/// Bytes of a table's name in the name of a temporary one: PostgreSQL takes names of 63 bytes.
const NAME: usize = 40;

/// Why something was not done.
#[derive(Debug)]
pub(in crate::source) enum Stop {
    /// The trouble of one table, in words. The others follow all the same.
    One(String),
    /// Nothing else can be expected to succeed either.
    All(SourceError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::All(error)
    }
}

/// How a target puts one table in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Replacement {
    /// It renames tables. The new one is built beside the old one.
    Swap,
    /// It renames nothing. The old one is dropped before the new one is filled.
    DropFirst,
    /// Writing into a table replaces it, once all of it has arrived.
    InPlace,
}

/// What a kind of source can do with tables at its target. `name` is what a table is called there meanwhile.
pub(in crate::source) trait TableTarget {
    fn nouns(&self) -> Nouns;

    fn replacement(&self) -> Replacement;

    /// Whether the snapshot has what replaces this table. `reads_all`: to the last byte.
    fn check(&mut self, step: &TableStep, reads_all: bool) -> Result<(), Stop>;

    /// Makes an empty table. `drops`: one of this name is there, and makes way.
    fn create(&mut self, step: &TableStep, name: &str, drops: bool) -> Result<(), Stop>;

    /// What a table needs before its rows: indexes.
    fn prepare(&mut self, _: &TableStep, _: &str) -> Result<(), Stop> {
        Ok(())
    }

    /// Writes all rows. Returns their number where they are counted.
    fn fill(&mut self, step: &TableStep, name: &str) -> Result<Option<u64>, Stop>;

    /// What a table needs after its rows. `is_whole`: nothing went wrong with it so far.
    fn finish(&mut self, _: &TableStep, _: &str, _is_whole: bool) -> Result<(), Stop> {
        Ok(())
    }

    /// Rows at the target. `None`: there is no such table, or the target does not tell.
    fn count(&self, name: &str) -> Result<Option<u64>, SourceError>;

    /// The same, even if everything is to stop. `None` also if nobody can tell.
    fn look_last(&self, name: &str) -> Option<u64>;

    /// The number of rows that the snapshot tells.
    fn recorded(&self, step: &TableStep) -> Recorded;

    /// Gives a table another name. Not interrupted half-way. For [`Replacement::Swap`] only, as the next two.
    fn rename(&mut self, _: &str, _new: &str) -> Result<(), Stop> {
        Err(Stop::One("this server renames nothing".to_owned()))
    }

    /// Not interrupted half-way. Succeeds if there is no such table.
    fn drop_table(&mut self, _: &str) -> Result<(), Stop> {
        Err(Stop::One("nothing is dropped on this server".to_owned()))
    }

    /// Deletes a temporary table of this restore, even if everything is to stop.
    fn discard(&mut self, _: &str) -> Result<(), SourceError> {
        Ok(())
    }

    /// Called before what is there gets another name: other things may follow it, and must be put back.
    fn remember(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    /// Called after the rows of a table. Puts back what refers to it: views, graphs, aliases. `kept`: the name that
    /// the old table has now.
    fn relink(&mut self, _: &TableStep, _kept: Option<&str>) -> Result<(), Stop> {
        Ok(())
    }
}

/// What came of the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Filled {
    /// They could not be written.
    Not,
    /// They were written, and something is not as it should be.
    Partly,
    Whole,
}

/// A restore of tables under way.
pub(in crate::source) struct Rebuild<'r> {
    /// What names of tables begin with in the report: a database.
    scope: Option<String>,
    observer: &'r dyn Observer,
    pub report: LoadReport,
    pub journal: Journal,
}

impl<'r> Rebuild<'r> {
    pub fn new(scope: Option<String>, observer: &'r dyn Observer) -> Self {
        let (report, journal) = (LoadReport::default(), Journal::default());
        Self { scope, observer, report, journal }
    }

    /// With the database that a table belongs to.
    fn called(&self, name: &str) -> String {
        match &self.scope {
            Some(scope) => format!("{scope}/{name}"),
            None => name.to_owned(),
        }
    }

    pub fn problem(&mut self, name: &str, message: String) {
        let path = self.called(name).into_bytes().into();
        self.report.problems.push(Problem { path, message });
    }

    /// Whether it was done. The trouble of one thing goes into the report.
    pub fn note(&mut self, name: &str, done: Result<(), Stop>) -> Result<bool, SourceError> {
        match done {
            Ok(()) => return Ok(true),
            Err(Stop::One(message)) => self.problem(name, message),
            Err(Stop::All(SourceError::Refused { kind: ErrorKind::Damage, path, message })) => {
                let message = format!("not all of it is there: {path}: {message}");
                let path = self.called(name).into_bytes().into();
                self.report.damaged.push(Problem { path, message });
            }
            Err(Stop::All(error)) => return Err(error),
        }
        Ok(false)
    }

    /// A table that stays as it is. A restore that was broken off may have left it empty: that is no success.
    pub fn skip(&mut self, target: &dyn TableTarget, step: &TableStep) {
        self.observer.on(Event::Items(1));
        let (nouns, name) = (target.nouns(), &step.to);
        match (target.recorded(step), step.rows()) {
            (Recorded::Exactly(rows @ 1..) | Recorded::About { rows: rows @ 1.., .. }, Some(0)) => {
                let message = format!(
                    "is there, and only missing ones were wanted, but it has no {}s where the snapshot has {rows}: \
                     left alone. If a restore was broken off there, drop it, or restore with --overwrite",
                    nouns.row
                );
                self.problem(name, message);
            }
            (_, rows) => self.report.notes.push(format!(
                "skipped: {} {name}{} is there, and only missing ones were wanted",
                nouns.table,
                nouns.with_rows(rows)
            )),
        }
    }

    /// Makes an empty table. Whether that was done.
    pub fn create(
        &mut self,
        target: &mut dyn TableTarget,
        step: &TableStep,
    ) -> Result<bool, SourceError> {
        let created = target.create(step, &step.to, false);
        let created = created.map_err(|stop| with_remains(target, step, stop));
        self.note(&step.to, created)
    }

    /// Fills a table that was made.
    pub fn fill(
        &mut self,
        target: &mut dyn TableTarget,
        step: &TableStep,
    ) -> Result<Filled, SourceError> {
        self.observer.on(Event::Current(step.to.as_bytes()));
        let prepared = target.prepare(step, &step.to);
        let mut is_whole = self.note(&step.to, prepared)?;
        let written = match target.fill(step, &step.to) {
            Ok(written) => written,
            Err(stop) => {
                let stop = with_remains(target, step, stop);
                return self.note(&step.to, Err(stop)).map(|_| Filled::Not);
            }
        };
        let weighed = self.weigh(target, step, &step.to, written);
        is_whole &= self.note(&step.to, weighed)?;
        let finished = target.finish(step, &step.to, is_whole);
        is_whole &= self.note(&step.to, finished)?;
        self.observer.on(Event::Items(1));
        match is_whole {
            true => {
                self.report.loaded += 1;
                Ok(Filled::Whole)
            }
            false => Ok(Filled::Partly),
        }
    }

    /// Puts tables in the place of others, one after the other, so that what stops this leaves at most one undone.
    /// Steps that replace nothing are made in their turn.
    pub fn replace_all(
        &mut self,
        target: &mut dyn TableTarget,
        steps: &[TableStep],
    ) -> Result<(), SourceError> {
        let replacement = target.replacement();
        let mut ready = Vec::new();
        for step in steps {
            // Before the first is dropped.
            let checked = match replacement != Replacement::Swap && step.replaces() {
                true => target.check(step, true).map_err(unharmed),
                false => Ok(()),
            };
            if self.note(&step.to, checked)? {
                ready.push(step);
            }
        }
        for step in ready {
            match (step.replaces(), replacement) {
                (true, Replacement::Swap) => {
                    let swapped = self.swap(target, step);
                    self.note(&step.to, swapped)?;
                }
                (true, _) => self.overwrite(target, step)?,
                (false, _) => {
                    if self.create(target, step)? && self.fill(target, step)? != Filled::Not {
                        let linked = target.relink(step, None);
                        self.note(&step.to, linked)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a complete table in the place of one that stays as it is until then.
    fn swap(&mut self, target: &mut dyn TableTarget, step: &TableStep) -> Result<(), Stop> {
        target.check(step, false).map_err(unharmed)?;
        let temporary = temporary(&step.to)?;
        if let Err(stop) = self.build(target, step, &temporary) {
            self.discard(target, step, &temporary);
            return Err(unharmed(stop));
        }
        let kept = match &step.action {
            TableAction::KeepAs(kept) => {
                self.keep(target, step, kept, &temporary)?;
                Some(kept.as_str())
            }
            _ => {
                self.drop_old(target, step, &temporary)?;
                None
            }
        };
        self.journal.record(&self.called(&step.to), Deed::Replaced);
        self.report.loaded += 1;
        target.relink(step, kept)
    }

    /// A table under a temporary name, where nothing less than all of it will do.
    fn build(
        &mut self,
        target: &mut dyn TableTarget,
        step: &TableStep,
        name: &str,
    ) -> Result<(), Stop> {
        self.observer.on(Event::Current(step.to.as_bytes()));
        target.create(step, name, false)?;
        target.prepare(step, name)?;
        let written = target.fill(step, name)?;
        self.weigh(target, step, name, written)?;
        target.finish(step, name, true)?;
        self.observer.on(Event::Items(1));
        Ok(())
    }

    /// The old table is dropped, and the new one gets its name. That one is never deleted from here on.
    fn drop_old(
        &mut self,
        target: &mut dyn TableTarget,
        step: &TableStep,
        temporary: &str,
    ) -> Result<(), Stop> {
        let called = self.called(&step.to);
        if let Err(stop) = target.drop_table(&step.to) {
            // An answer that was lost may have been a yes.
            if target.look_last(&step.to).is_some() {
                self.discard(target, step, temporary);
                return Err(unharmed(stop));
            }
            self.journal.record(&called, Deed::LeftAs(temporary.to_owned()));
            return Err(stop);
        }
        let Err(stop) = target.rename(temporary, &step.to) else { return Ok(()) };
        self.journal.record(&called, Deed::Dropped);
        self.journal.record(&called, Deed::LeftAs(temporary.to_owned()));
        Err(match stop {
            Stop::One(message) => Stop::One(format!(
                "was dropped, and what takes its place is complete as {temporary}: rename that to {}; {message}",
                step.to
            )),
            all => all,
        })
    }

    /// The old table gets another name, and the new one gets its.
    fn keep(
        &mut self,
        target: &mut dyn TableTarget,
        step: &TableStep,
        kept: &str,
        temporary: &str,
    ) -> Result<(), Stop> {
        let renamed = target.remember().and_then(|()| target.rename(&step.to, kept));
        if let Err(stop) = renamed {
            self.discard(target, step, temporary);
            return Err(unharmed(stop));
        }
        let called = self.called(&step.to);
        let Err(stop) = target.rename(temporary, &step.to) else {
            self.report.notes.push(format!("{} that was there is kept as {kept}", step.to));
            self.journal.record(&called, Deed::KeptAs(kept.to_owned()));
            return Ok(());
        };
        if target.rename(kept, &step.to).is_ok() {
            self.discard(target, step, temporary);
            return Err(unharmed(stop));
        }
        self.journal.record(&called, Deed::KeptAs(kept.to_owned()));
        self.journal.record(&called, Deed::LeftAs(temporary.to_owned()));
        Err(match stop {
            Stop::One(message) => Stop::One(format!(
                "{message}; what was there is now {kept}, what takes its place is complete as {temporary}"
            )),
            all => all,
        })
    }

    /// Where nothing can be renamed.
    fn overwrite(
        &mut self,
        target: &mut dyn TableTarget,
        step: &TableStep,
    ) -> Result<(), SourceError> {
        if let TableAction::KeepAs(kept) = &step.action {
            let message = format!(
                "cannot be kept as {kept}, since this server renames no {}s",
                target.nouns().table
            );
            self.problem(&step.to, message);
            return Ok(());
        }
        let called = self.called(&step.to);
        let drops = target.replacement() == Replacement::DropFirst;
        if drops {
            self.journal.record(&called, Deed::Dropped);
            let made = target.create(step, &step.to, true);
            if made.is_err() && target.look_last(&step.to).is_some_and(|rows| rows > 0) {
                self.journal.retract(&called, &Deed::Dropped);
            }
            if !self.note(&step.to, made)? {
                return Ok(());
            }
        }
        let filled = self.fill(target, step)?;
        if filled == Filled::Whole {
            self.journal.retract(&called, &Deed::Dropped);
            self.journal.record(&called, Deed::Replaced);
        }
        if !drops && filled == Filled::Not {
            return Ok(());
        }
        let relinked = target.relink(step, None);
        self.note(&step.to, relinked).map(drop)
    }

    /// Whether the target has what was sent, and the snapshot what was backed up.
    fn weigh(
        &mut self,
        target: &dyn TableTarget,
        step: &TableStep,
        name: &str,
        written: Option<u64>,
    ) -> Result<(), Stop> {
        let counts = RowCounts {
            recorded: target.recorded(step),
            written,
            counted: target.count(name)?,
            is_merged: step.action == TableAction::Merge,
        };
        let note = counts.check(target.nouns()).map_err(Stop::One)?;
        self.report.notes.extend(note.map(|note| format!("{}: {note}", step.to)));
        Ok(())
    }

    /// Deletes a temporary table that is of no use.
    fn discard(&mut self, target: &mut dyn TableTarget, step: &TableStep, temporary: &str) {
        if let Err(error) = target.discard(temporary) {
            tracing::warn!("{temporary} could not be deleted: {error}");
            self.journal.record(&self.called(&step.to), Deed::LeftAs(temporary.to_owned()));
            let note =
                format!("{temporary} is left behind, since it could not be deleted: drop it");
            self.report.notes.push(note);
        }
    }
}

/// The same trouble with what it leaves of a table that was not there before.
fn with_remains(target: &dyn TableTarget, step: &TableStep, stop: Stop) -> Stop {
    let is_others = matches!(&stop, Stop::All(error) if error.kind() == ErrorKind::Exists);
    if step.action != TableAction::Create || is_others || target.look_last(&step.to).is_none() {
        return stop;
    }
    let remains =
        format!("{} {} is there now, and not whole: delete it", target.nouns().table, step.to);
    match stop {
        Stop::One(message) => Stop::One(format!("{message}; {remains}")),
        Stop::All(error) => Stop::All(error.with_context(&remains)),
    }
}

/// A name that nobody else has.
fn temporary(name: &str) -> Result<String, Stop> {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return Err(Stop::One("no random name for it: not replaced".to_owned()));
    }
    let short = name.get(..name.floor_char_boundary(NAME)).unwrap_or_default();
    Ok(format!("restow_{:08x}_{short}", u32::from_le_bytes(bytes)))
}

/// What is there is as it was.
fn unharmed(stop: Stop) -> Stop {
    match stop {
        Stop::One(message) => {
            Stop::One(format!("{message}; not replaced, what was there is as it was"))
        }
        Stop::All(SourceError::Refused { kind: ErrorKind::Damage, path, message }) => {
            let message = format!("{message}; nothing was replaced");
            Stop::All(SourceError::Refused { kind: ErrorKind::Damage, path, message })
        }
        all => all,
    }
}
