//! Looking at a repository while others work on it.

use crate::progress::Cancel;
use crate::repo::Repository;

use super::OpError;

const TRIES: usize = 5;

/// Looks again where what was found is not good and, meanwhile, somebody committed, deleted, pruned or was taken for dead:
/// what was only moved is no damage.
pub(super) fn steadily<T>(
    repository: &Repository,
    cancel: &Cancel,
    mut look: impl FnMut() -> Result<T, OpError>,
    is_good: impl Fn(&Result<T, OpError>) -> bool,
) -> Result<T, OpError> {
    let mut tries = 0;
    loop {
        let before = repository.names()?;
        if cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        let found = look();
        tries += 1;
        let is_over = tries == TRIES || cancel.is_cancelled() || is_good(&found);
        if is_over || repository.names()? == before {
            return found;
        }
    }
}
