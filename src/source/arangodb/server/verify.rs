//! What is checked of a restore: that what replaces anything can be read, that what was sent is there.

use serde_json::Value;

use super::decide::{Action, Step};
use super::inventory::{ANALYZERS, GRAPHS};
use super::look::LINE_MAX;
use super::run::Run;
use super::target::{Stop, without_revision};
use crate::fault::ErrorKind;
use crate::source::SourceError;

impl Run<'_> {
    /// Before what is there is dropped: what takes its place has a structure, and can be read to its end.
    pub(super) fn check(&self, step: &Step) -> Result<(), Stop> {
        self.check_structure(step)?;
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

    pub(super) fn check_structure(&self, step: &Step) -> Result<(), Stop> {
        match self.structure(step).get("indexes") {
            Some(_) => Ok(()),
            None => Err(Stop::One(
                "its structure is not in the snapshot, or was not selected: not replaced"
                    .to_owned(),
            )),
        }
    }

    /// Whether the server has what was sent, and the snapshot what was backed up.
    pub(super) fn compare(&self, step: &Step, name: &str, sent: u64) -> Result<(), Stop> {
        let counted = self.database.collections.get(&step.from).and_then(|it| it.stored.count);
        if let Some(message) = miscounted(counted, sent) {
            return Err(Stop::One(message));
        }
        let is_own = step.action == Action::Merge;
        let target = &self.database.target;
        match target.api.count(&target.database, name)? {
            Some(count) if count == sent || (is_own && count > sent) => {}
            Some(count) => {
                return Err(Stop::One(format!(
                    "{sent} documents were sent, and the server counts {count}: restore it again, and see the \
                     server's log"
                )));
            }
            None => return Err(Stop::One("is not there any more".to_owned())),
        }
        match is_own && [GRAPHS, ANALYZERS].contains(&name) {
            true => self.reread(step),
            false => Ok(()),
        }
    }

    /// Among documents that were there, a number says little.
    fn reread(&self, step: &Step) -> Result<(), Stop> {
        let Some(planned) = self.database.collections.get(&step.from) else { return Ok(()) };
        let Some(mut documents) = planned.stored.joined(self.stored, LINE_MAX)? else {
            return Ok(());
        };
        let (mut line, mut wrong) = (Vec::new(), Vec::new());
        while documents.next_line(&mut line)? {
            let document: Value = serde_json::from_slice(&line).unwrap_or_default();
            let Some(key) = document.get("_key").and_then(Value::as_str).map(str::to_owned) else {
                continue;
            };
            let found = self.database.target.document(&step.to, &key)?;
            let document = without_revision(document);
            if found.is_none_or(|found| found != document && !self.database.if_missing) {
                wrong.push(key);
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(Stop::One(format!(
                "these were sent, and the server does not have them so: {}",
                wrong.join(", ")
            ))),
        }
    }
}

fn miscounted(counted: Option<u64>, sent: u64) -> Option<String> {
    let counted = counted.filter(|counted| *counted != sent)?;
    Some(format!("{counted} documents were backed up, and {sent} are in the snapshot"))
}

/// What is there stays where what was to take its place is lost.
pub(super) fn not_replaced(error: SourceError) -> Stop {
    Stop::All(match error {
        SourceError::Refused { kind: ErrorKind::Damage, path, message } => {
            let message = format!("{message}; nothing was replaced");
            SourceError::Refused { kind: ErrorKind::Damage, path, message }
        }
        other => other,
    })
}
