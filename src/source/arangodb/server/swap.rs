//! What is there makes way for what was backed up: only once that is complete, where the server can rename.

use std::collections::BTreeSet;

use super::decide::{Action, Step};
use super::run::Run;
use super::target::Stop;
use super::verify::not_replaced;
use crate::source::SourceError;

/// Characters of a collection's name in that of a temporary one: a server takes names of 256 bytes only.
const NAME: usize = 40;

impl Run<'_> {
    /// Puts a complete collection in the place of one that stays as it is until then.
    pub(super) fn swap(&mut self, step: &Step) -> Result<(), SourceError> {
        let swapped = self.swapped(step);
        if self.note(&step.to, swapped)? {
            self.report.loaded += 1;
        }
        Ok(())
    }

    fn swapped(&mut self, step: &Step) -> Result<(), Stop> {
        self.check_structure(step)?;
        let temporary = temporary(&step.to)?;
        if let Err(stop) = self.complete(step, &temporary).map_err(unharmed) {
            self.discard(step, &temporary);
            return Err(stop);
        }
        match &step.action {
            Action::Rename(kept) => self.keep_as(step, kept, &temporary)?,
            _ => {
                if let Err(stop) = self.database.target.drop_collection(&step.to) {
                    // An answer that was lost may have been a yes.
                    if self.is_there(&step.to) {
                        self.discard(step, &temporary);
                        return Err(unharmed(stop));
                    }
                    self.left.temporary.push((self.called(&step.to), temporary));
                    return Err(stop);
                }
                self.named(step, &temporary)?;
            }
        }
        self.left.replaced.push(self.called(&step.to));
        self.relink(step)
    }

    /// The last step: what is complete gets its name. It is never deleted from here on.
    fn named(&mut self, step: &Step, temporary: &str) -> Result<(), Stop> {
        let renamed = self.database.target.rename(temporary, &step.to);
        let Err(stop) = renamed else { return Ok(()) };
        let called = self.called(&step.to);
        self.left.emptied.push(called.clone());
        self.left.temporary.push((called, temporary.to_owned()));
        match stop {
            Stop::One(message) => Err(Stop::One(format!(
                "was dropped, and what takes its place is complete as {temporary}: rename that to {}; {message}",
                step.to
            ))),
            all => Err(all),
        }
    }

    fn keep_as(&mut self, step: &Step, kept: &str, temporary: &str) -> Result<(), Stop> {
        let graphs = self.database.target.graphs();
        let renamed = graphs.map_err(Stop::All).and_then(|graphs| {
            self.database.target.rename(&step.to, kept)?;
            Ok(graphs)
        });
        let graphs = match renamed {
            Ok(graphs) => graphs,
            Err(stop) => {
                self.discard(step, temporary);
                return Err(unharmed(stop));
            }
        };
        let named = self.database.target.rename(temporary, &step.to);
        if let Err(stop) = named {
            return Err(self.taken_back(step, kept, temporary, stop));
        }
        self.report.notes.push(format!("{} that was there is kept as {kept}", step.to));
        self.left.kept.push((self.called(&step.to), kept.to_owned()));
        // A server has its graphs follow what is renamed.
        if let Err(graphs) = self.database.target.put_graphs_back(&graphs) {
            let message = format!(
                "graphs follow what is kept as {kept}, and could not be put back on {}: {graphs}",
                step.to
            );
            let noted = self.note(&step.to, Err(Stop::One(message)));
            noted.map_err(Stop::All)?;
        }
        Ok(())
    }

    /// What was to be kept gets its own name again.
    fn taken_back(&mut self, step: &Step, kept: &str, temporary: &str, stop: Stop) -> Stop {
        match self.database.target.rename(kept, &step.to) {
            Ok(()) => {
                self.discard(step, temporary);
                unharmed(stop)
            }
            Err(_) => {
                let called = self.called(&step.to);
                self.left.kept.push((called.clone(), kept.to_owned()));
                self.left.temporary.push((called, temporary.to_owned()));
                match stop {
                    Stop::One(message) => Stop::One(format!(
                        "{message}; what was there is now {kept}, what takes its place is complete as {temporary}"
                    )),
                    all => all,
                }
            }
        }
    }

    /// In a cluster nothing is renamed: what is there is dropped first.
    pub(super) fn recreate(&mut self, step: &Step) -> Result<(), SourceError> {
        if let Action::Rename(kept) = &step.action {
            let message =
                format!("cannot be kept as {kept}, since a cluster renames no collections");
            return self.note(&step.to, Err(Stop::One(message))).map(drop);
        }
        let called = self.called(&step.to);
        let (structure, target) = (self.structure(step), &self.database.target);
        self.left.emptied.push(called.clone());
        let made = target.make(&structure, &step.to, step.follows.as_deref(), true);
        if made.is_err() && self.count(&step.to).is_some_and(|count| count > 0) {
            self.left.emptied.retain(|it| *it != called);
        }
        if !self.note(&step.to, made)? {
            return Ok(());
        }
        if self.fill(step)? {
            self.left.emptied.retain(|it| *it != called);
            self.left.replaced.push(called);
        }
        let relinked = self.relink(step);
        self.note(&step.to, relinked).map(drop)
    }

    /// Views that stood on what was there stand on what took its place.
    fn relink(&mut self, step: &Step) -> Result<(), Stop> {
        let replaced = BTreeSet::from([step.to.clone()]);
        let kept = match &step.action {
            Action::Rename(kept) => vec![(step.to.clone(), kept.clone())],
            _ => Vec::new(),
        };
        let mut failed = Vec::new();
        for view in self.database.touched.iter().filter(|it| it.collections.contains(&step.to)) {
            match self.database.target.relink(view, &replaced, &kept) {
                Ok(()) => {}
                Err(Stop::One(message)) => failed.push(format!("{} ({message})", view.name)),
                Err(Stop::All(error)) => failed.push(format!("{} ({error})", view.name)),
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Stop::One(format!(
                "was replaced, but views that stood on it could not be put back on it: {}",
                failed.join(", ")
            ))),
        }
    }

    /// A collection of restow's own that is of no use.
    fn discard(&mut self, step: &Step, temporary: &str) {
        if let Err(error) = self.database.target.discard(temporary) {
            tracing::warn!("{temporary} could not be deleted: {error}");
            self.left.temporary.push((self.called(&step.to), temporary.to_owned()));
            let note =
                format!("{temporary} is left behind, since it could not be deleted: drop it");
            self.report.notes.push(note);
        }
    }

    fn count(&self, name: &str) -> Option<u64> {
        let target = &self.database.target;
        target.api.undisturbed().count(&target.database, name).ok().flatten()
    }

    /// False also where nobody can tell.
    fn is_there(&self, name: &str) -> bool {
        let target = &self.database.target;
        matches!(target.api.undisturbed().count(&target.database, name), Ok(Some(_)))
    }
}

/// A name that nobody else has.
fn temporary(name: &str) -> Result<String, Stop> {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return Err(Stop::One("no random name for it: not replaced".to_owned()));
    }
    let short: String = name.chars().take(NAME).collect();
    Ok(format!("restow_{:08x}_{short}", u32::from_le_bytes(bytes)))
}

/// What is there is as it was.
fn unharmed(stop: Stop) -> Stop {
    match stop {
        Stop::One(message) => {
            Stop::One(format!("{message}; not replaced, what was there is as it was"))
        }
        Stop::All(error) => not_replaced(error),
    }
}
