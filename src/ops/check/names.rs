//! Scrubbing without a key: every content-named object hashes to its name.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::format::name;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::storage::{Key, Listed, Storage};
use crate::store::{StoreError, hash_object};

use super::super::OpError;
use super::CheckReport;

/// Reads every object that is named by the BLAKE3 of its bytes and compares. Needs no passphrase.
pub fn check_names(
    storage: &dyn Storage,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<CheckReport, OpError> {
    let mut objects: Vec<Listed> = Vec::new();
    for folder in name::CONTENT_NAMED {
        let prefix = Key::new(folder).map_err(crate::repo::RepoError::from)?;
        storage.list(&prefix, &mut |listed| objects.push(listed))?;
    }
    observer.on(Event::Started(Phase::CheckNames));
    let total = objects.iter().map(|listed| listed.len).sum();
    observer.on(Event::Total { bytes: Some(total), items: Some(objects.len() as u64) });
    let (bytes, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    objects.par_iter().for_each(|listed| {
        if cancel.is_cancelled() {
            return;
        }
        let key = &listed.key;
        let result = match hash_object(storage, listed, |len| observer.on(Event::Bytes(len))) {
            Ok(found) if found.to_hex().as_str() == key.name() => Ok(()),
            Ok(found) => {
                let (object, found) = (key.to_string(), found.to_string());
                Err(StoreError::WrongName { object, found }.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        bytes.fetch_add(listed.len, Ordering::Relaxed);
        observer.on(Event::Items(1));
        if let Err(message) = result {
            found.lock().unwrap_or_else(PoisonError::into_inner).push((key.to_string(), message));
        }
    });
    if cancel.is_cancelled() {
        return Err(OpError::Interrupted);
    }
    observer.on(Event::Finished(Phase::CheckNames));
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort();
    let bytes_read = bytes.into_inner();
    let mut report =
        CheckReport { objects: objects.len() as u64, bytes_read, ..CheckReport::default() };
    for (object, message) in found {
        report.object(&object, message);
    }
    Ok(report)
}
