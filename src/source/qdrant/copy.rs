//! The copy that a server makes for us: found a name of its own, read, and deleted whatever happens.

use std::collections::HashSet;
use std::time::Duration;

use super::api::{Api, Described, NotCreated};
use super::failure::refused;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::http::{Download, HttpError};

/// Names have a second's resolution: two copies made in the same one have the same name.
const SECOND: Duration = Duration::from_millis(1100);
/// Copies that are asked for before it is given up.
const ATTEMPTS: u32 = 4;

pub(super) struct ServerCopy {
    api: Api,
    pub collection: String,
    pub described: Described,
    is_gone: bool,
}

impl ServerCopy {
    /// Has the server make one. One whose name was there before took the place of somebody else's, who will
    /// look for it under that name: it is left to them, and another is made.
    pub fn make(api: &Api, collection: &str) -> Result<Self, SourceError> {
        let names = |list: Vec<Described>| list.into_iter().map(|one| one.name);
        let before: HashSet<String> = names(api.snapshots(collection)?).collect();
        for _ in 0..ATTEMPTS {
            let described = match api.create_snapshot(collection) {
                Ok(described) => described,
                Err(NotCreated::Surely(error)) => return Err(error),
                Err(NotCreated::Perhaps(error)) => {
                    return Err(left_behind(api, collection, &before, error));
                }
            };
            if !before.contains(&described.name) {
                let (api, collection) = (api.clone(), collection.to_owned());
                return Ok(Self { api, collection, described, is_gone: false });
            }
            api.sleep(SECOND)?;
        }
        let message = format!("each of {ATTEMPTS} snapshots got a name that was taken before");
        Err(refused(ErrorKind::Unreachable, &api.collection_url(collection), message))
    }

    /// Begins to read it. Where another backup of the same second deleted or replaced it, another is made.
    pub fn download(&mut self) -> Result<Download, SourceError> {
        for _ in 0..ATTEMPTS {
            match self.api.download(&self.collection, &self.described.name) {
                Ok(begun) if !self.may_be_another(&begun) || self.is_listed()? => return Ok(begun),
                Err(error) if error.status() != Some(404) => return Err(self.api.plain(error)),
                // Behind one address may be several nodes, and another of them have ours.
                Err(_) => drop(self.api.clean_up(&self.collection, &self.described.name)),
                Ok(_) => {}
            }
            tracing::info!("{} is not what was made: making another", self.described.name);
            // Theirs by now, whoever they are.
            self.is_gone = true;
            self.api.sleep(SECOND)?;
            *self = Self::make(&self.api, &self.collection)?;
        }
        let message = "each snapshot that was made was replaced or deleted before it could be read: does \
                       another backup of this collection run, or is more than one node behind this address?";
        Err(refused(ErrorKind::Unreachable, &self.api.collection_url(&self.collection), message))
    }

    pub fn plain(&self, error: HttpError) -> SourceError {
        self.api.plain(error)
    }

    fn may_be_another(&self, begun: &Download) -> bool {
        begun.expected_len().is_some_and(|len| len != self.described.size)
    }

    /// Whether the server has it as it was made, for all it says.
    fn is_listed(&self) -> Result<bool, SourceError> {
        Ok(self.api.snapshots(&self.collection)?.contains(&self.described))
    }

    /// Whether what was read is what was made.
    pub fn check(&self, len: u64, sha256: &str) -> Result<(), SourceError> {
        let Described { name, size, checksum, .. } = &self.described;
        let wrong = match checksum {
            _ if len != *size => format!("{len} bytes came, the server made {size}"),
            Some(checksum) if !checksum.eq_ignore_ascii_case(sha256) => {
                format!("its SHA-256 is {sha256}, the server made one with {checksum}")
            }
            _ => return Ok(()),
        };
        let message = format!(
            "{name} is not what was made: {wrong}; nothing of it is kept. Run the backup again, and if that \
             does not help, look at the server's disk and at what is between it and here"
        );
        Err(refused(ErrorKind::Unreachable, &self.api.collection_url(&self.collection), message))
    }

    /// Deletes it, whatever else is to stop.
    pub fn delete(&mut self) -> Result<(), SourceError> {
        if self.is_gone {
            return Ok(());
        }
        self.is_gone = true;
        // It was there when it was made: who does not know it is another node, or somebody deleted it.
        match self.api.clean_up(&self.collection, &self.described.name)? {
            true => Ok(()),
            false => {
                let message =
                    "is not known where it was made: is there another node behind this address?";
                Err(refused(ErrorKind::Unreachable, &self.described.name, message))
            }
        }
    }
}

/// Where it is unknown what became of a call, a copy may stay that nobody deletes: the error names it. It may also be
/// somebody else's, so it is left.
fn left_behind(
    api: &Api,
    collection: &str,
    before: &HashSet<String>,
    error: SourceError,
) -> SourceError {
    let (kind, path, message) = match error {
        SourceError::Refused { kind, path, message } => (kind, path, message),
        SourceError::Interrupted => {
            tracing::warn!("the server may still make a snapshot of {collection}, and keep it");
            return SourceError::Interrupted;
        }
        other => return other,
    };
    let now = api.undisturbed().snapshots(collection).unwrap_or_default();
    let names = now.into_iter().map(|one| one.name).filter(|name| !before.contains(name));
    let names = names.collect::<Vec<_>>().join(", ");
    let left = match names.is_empty() {
        true => "the server may still make a snapshot, and keep it: look there later".to_owned(),
        false => format!("it may have left {names} on the server"),
    };
    SourceError::Refused { kind, path, message: format!("{message}; {left}") }
}

impl Drop for ServerCopy {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            let (name, collection) = (&self.described.name, &self.collection);
            tracing::warn!("snapshot {name} of {collection} stays on the server: {error}");
        }
    }
}
