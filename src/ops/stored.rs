//! A snapshot's part as loaders read it.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use crate::fault::ErrorKind;
use crate::format::Entry;
use crate::progress::Cancel;
use crate::repo::SnapshotView;
use crate::source::{SourceError, Stored};

use super::OpError;
use super::restore::{Losses, RestoreOptions, Selected};
use super::stream::EntryReader;

/// The selected entries below a prefix, and their bytes.
pub(super) struct StoredPart<'v> {
    view: &'v SnapshotView,
    options: &'v RestoreOptions,
    cancel: &'v Cancel,
    /// What the last walk could not tell.
    losses: Mutex<Losses>,
}

impl<'v> StoredPart<'v> {
    pub fn new(view: &'v SnapshotView, options: &'v RestoreOptions, cancel: &'v Cancel) -> Self {
        Self { view, options, cancel, losses: Mutex::default() }
    }

    /// What nothing is known of any more, as far as it was walked.
    pub fn losses(&self) -> Losses {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Stored for StoredPart<'_> {
    fn each(
        &self,
        each: &mut dyn FnMut(Entry) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let mut selected = Selected::new(self.view, self.options).map_err(handed_on)?;
        while let Some(entry) = selected.next_entry().map_err(handed_on)? {
            if self.cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            each(entry)?;
        }
        *self.losses.lock().unwrap_or_else(PoisonError::into_inner) = selected.losses();
        Ok(())
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>, SourceError> {
        let reader = EntryReader::open(self.view, entry, self.cancel).map_err(handed_on)?;
        Ok(Box::new(reader))
    }
}

/// A repository's error on its way through a loader.
fn handed_on(error: OpError) -> SourceError {
    match error {
        OpError::Source(error) => error,
        OpError::Interrupted => SourceError::Interrupted,
        OpError::NoBytes { path, what } => SourceError::Refused {
            kind: ErrorKind::Damage,
            path: path.display().to_string(),
            message: format!("is {what}"),
        },
        error => SourceError::Io {
            action: "read",
            path: "the snapshot".to_owned(),
            source: std::io::Error::other(error.to_string()),
        },
    }
}
