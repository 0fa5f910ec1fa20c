//! New names for what is restored, which loaders of servers take.

use std::collections::BTreeSet;

use super::SourceError;
use crate::fault::ErrorKind;

/// Names in a snapshot and at the server `target`: no thing goes to two places, and no place gets two.
pub(super) fn check_renames(renames: &[(String, String)], target: &str) -> Result<(), SourceError> {
    let (mut from, mut to) = (BTreeSet::new(), BTreeSet::new());
    for (old, new) in renames {
        if !from.insert(old) || !to.insert(new) {
            let message = format!("--collection {old}:{new}: that name was given before");
            let path = target.to_owned();
            return Err(SourceError::Refused { kind: ErrorKind::Usage, path, message });
        }
    }
    Ok(())
}
