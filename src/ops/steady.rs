//! Looking at a repository while others work on it.

use std::collections::BTreeSet;

use crate::progress::Cancel;
use crate::repo::Repository;

use super::OpError;

/// How often it is looked in all; and where nothing but a snapshot that came meanwhile seems not to be whole. The
/// index was listed before its chunks were in it: a repository where backups end all the time is no damaged one.
const TRIES: usize = 5;
const RACES: usize = 200;

/// What to do about something that is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextTry {
    /// Look again: it may only have been moved.
    Again,
    /// Nobody moved anything: that is how it is.
    Unmoved,
    /// Others never rest.
    Enough,
}

/// Counts how often it was looked, and says whether once more is worth it.
pub(super) struct Steady<'r> {
    repository: &'r Repository,
    before: [BTreeSet<String>; 3],
    tries: usize,
    races: usize,
}

impl<'r> Steady<'r> {
    pub fn new(repository: &'r Repository) -> Result<Self, OpError> {
        Ok(Self { repository, before: repository.names()?, tries: 0, races: 0 })
    }

    /// Whether somebody committed, deleted, pruned or was taken for dead meanwhile: what was only moved is no damage.
    pub fn next<T>(&mut self, found: &Result<T, OpError>) -> Result<NextTry, OpError> {
        let [_, snapshots, _] = &self.before;
        let is_race = match found {
            Err(OpError::NotWhole { snapshot, .. }) => !snapshots.contains(&snapshot.to_hex()),
            _ => false,
        };
        let now = self.repository.names()?;
        let has_changed = now != self.before;
        self.before = now;
        if is_race && self.races < RACES {
            self.races += 1;
            return Ok(NextTry::Again);
        }
        self.tries += 1;
        Ok(match has_changed {
            true if self.tries < TRIES => NextTry::Again,
            true => NextTry::Enough,
            false => NextTry::Unmoved,
        })
    }
}

/// Looks again where what was found is not good and may have been moved.
pub(super) fn steadily<T>(
    repository: &Repository,
    cancel: &Cancel,
    mut look: impl FnMut() -> Result<T, OpError>,
    is_good: impl Fn(&Result<T, OpError>) -> bool,
) -> Result<T, OpError> {
    let mut steady = Steady::new(repository)?;
    loop {
        if cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        let found = look();
        if cancel.is_cancelled() || is_good(&found) || steady.next(&found)? != NextTry::Again {
            return found;
        }
    }
}
