//! Collections as tables that a restore writes: as snapshots that the server takes in, or point by point.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use super::api::Api;
use super::failure::refused;
use super::form::Delivery;
use super::layout::Layout;
use super::load::{NOUNS, QdrantLoader, points};
use super::logical::import;
use super::parts::{Held, HeldAs, Piece};
use super::recreate;
use super::upload::Task;
use crate::fault::ErrorKind;
use crate::format::Entry;
use crate::limits::MIB;
use crate::progress::{Event, Observer};
use crate::source::tables::{
    Nouns, Recorded, Replacement, RowCounts, Stop, TableAction, TableStep, TableTarget,
};
use crate::source::{SourceError, Stored};

pub(super) struct QdrantWriter<'l> {
    loader: &'l QdrantLoader,
    /// By their names in the snapshot.
    held: BTreeMap<String, Held>,
    stored: &'l dyn Stored,
    observer: &'l dyn Observer,
    may_replace: bool,
    /// Bytes of all collections that were taken in.
    pub bytes: u64,
}

impl TableTarget for QdrantWriter<'_> {
    fn nouns(&self) -> Nouns {
        NOUNS
    }

    /// A snapshot takes the place of what is there, and no collection can be renamed.
    fn replacement(&self) -> Replacement {
        Replacement::InPlace
    }

    /// What goes in piece by piece is read to its end before: half of it would be a collection that is neither the
    /// old one nor the new one. A single upload is broken off before the server acts.
    fn check(&mut self, step: &TableStep, _: bool) -> Result<(), Stop> {
        let entries: Vec<&Entry> = match &self.held(step)?.form {
            HeldAs::Snapshot(_) => return Ok(()),
            HeldAs::Peers(list) | HeldAs::Shards(list) => {
                list.iter().map(|(_, piece)| &piece.entry).collect()
            }
            HeldAs::Points(entry) => vec![entry],
        };
        for entry in entries {
            let read = std::io::copy(&mut self.stored.open(entry)?, &mut std::io::sink());
            read.map_err(|error| SourceError::of_read(&entry.path.display().to_string(), error))?;
        }
        Ok(())
    }

    /// The server makes a collection itself where it takes in a snapshot.
    fn create(&mut self, step: &TableStep, name: &str, _: bool) -> Result<(), Stop> {
        self.check(step, true)?;
        let held = self.held(step)?;
        if held.needs_collection() {
            recreate::create(self.loader.api()?, name, &held.about(self.stored)?)?;
        }
        Ok(())
    }

    fn fill(&mut self, step: &TableStep, name: &str) -> Result<Option<u64>, Stop> {
        let (held, api) = (self.held(step)?, self.loader.api()?);
        let is_new = step.action == TableAction::Create;
        match &held.form {
            HeldAs::Snapshot(piece) => self.upload(api, name, None, piece, is_new)?,
            HeldAs::Peers(peers) => {
                let nodes = self.loader.apis.iter().cycle();
                for (at, ((_, piece), api)) in peers.iter().zip(nodes).enumerate() {
                    let uploaded = self.upload(api, name, None, piece, is_new && at == 0);
                    uploaded.map_err(|error| with_parts(error, name, at))?;
                }
            }
            HeldAs::Shards(shards) => {
                for (at, (shard, piece)) in shards.iter().enumerate() {
                    let node = self.node_of(name, *shard);
                    let uploaded =
                        node.and_then(|api| self.upload(api, name, Some(*shard), piece, false));
                    uploaded.map_err(|error| with_parts(error, name, at))?;
                }
            }
            HeldAs::Points(entry) => self.write_points(api, name, entry)?,
        }
        self.bytes += held.bytes();
        Ok(None)
    }

    fn count(&self, name: &str) -> Result<Option<u64>, SourceError> {
        Ok(self.loader.api()?.info(name)?.as_ref().and_then(points))
    }

    fn look_last(&self, name: &str) -> Option<u64> {
        let info = self.loader.api().and_then(|api| api.undisturbed().info(name)).ok().flatten();
        info.map(|info| points(&info).unwrap_or_default())
    }

    /// Counts are those of a moment before the snapshot. Points deleted while the backup began are no loss.
    fn recorded(&self, step: &TableStep) -> Recorded {
        let held = self.held.get(&step.from);
        let is_whole = held.is_some_and(|held| matches!(held.form, HeldAs::Snapshot(_)));
        match held.and_then(|held| held.points) {
            Some(rows) => Recorded::About { rows, is_whole },
            None => Recorded::Unknown,
        }
    }

    /// Aliases stand for the collection under its new name.
    fn relink(&mut self, step: &TableStep, _: Option<&str>) -> Result<(), Stop> {
        let held = self.held(step)?;
        if !self.loader.restore.aliases || held.aliases.is_empty() {
            return Ok(());
        }
        let (api, collection) = (self.loader.api()?, &step.to);
        let may_move = self.may_replace && !self.loader.restore.if_missing;
        let existing = api.aliases(None)?;
        let mut failed = Vec::new();
        for alias in &held.aliases {
            let now = existing.iter().find(|(name, _)| name == alias).map(|(_, of)| of);
            match now {
                Some(of) if of == collection => {}
                Some(of) if !may_move => {
                    failed.push(format!("alias {alias} stays with {of}: --overwrite moves it"));
                }
                now => match api.set_alias(alias, collection, now.is_some()) {
                    Ok(()) => {}
                    Err(SourceError::Interrupted) => return Err(SourceError::Interrupted.into()),
                    Err(error) => failed.push(format!("alias {alias} was not made: {error}")),
                },
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Stop::One(failed.join("; "))),
        }
    }
}

impl<'l> QdrantWriter<'l> {
    pub fn new(
        loader: &'l QdrantLoader,
        held: BTreeMap<String, Held>,
        stored: &'l dyn Stored,
        observer: &'l dyn Observer,
        may_replace: bool,
    ) -> Self {
        Self { loader, held, stored, observer, may_replace, bytes: 0 }
    }

    fn held(&self, step: &TableStep) -> Result<&Held, SourceError> {
        let missing = || refused(ErrorKind::Failed, &step.from, "is not in the snapshot");
        self.held.get(&step.from).ok_or_else(missing)
    }

    fn upload(
        &self,
        api: &Api,
        collection: &str,
        shard: Option<u64>,
        piece: &Piece,
        must_be_missing: bool,
    ) -> Result<(), SourceError> {
        let delivery = Delivery {
            collection,
            shard,
            len: piece.entry.len(),
            priority: self.loader.restore.priority.as_str(),
            sha256: piece.sha256.as_deref(),
        };
        let (stored, observer) = (self.stored, self.observer);
        Task { api, stored, observer, entry: &piece.entry, delivery, must_be_missing }.run()
    }

    /// The node on which a shard of a collection is now.
    fn node_of(&self, collection: &str, shard: u64) -> Result<&Api, SourceError> {
        for api in &self.loader.apis {
            let layout = Layout::of(&api.cluster(collection)?.unwrap_or_default());
            if layout.local.iter().any(|local| local.id == shard) {
                return Ok(api);
            }
        }
        let message = format!(
            "shard {shard} is on none of the nodes named: name its node with --qdrant-node"
        );
        let url = self.loader.api()?.collection_url(collection);
        Err(refused(ErrorKind::Unreachable, &url, message))
    }

    /// Each came once, and there were none before: there must be as many now. If they are not ordered, some may be the
    /// same.
    fn write_points(&self, api: &Api, name: &str, entry: &Entry) -> Result<(), SourceError> {
        let reader = ObservedReader { bytes: self.stored.open(entry)?, observer: self.observer };
        let imported = import(api, name, &mut BufReader::with_capacity(MIB, reader))?;
        if !imported.is_ordered {
            return Ok(());
        }
        let counts = RowCounts {
            recorded: Recorded::Unknown,
            written: Some(imported.points),
            counted: Some(api.count(name)?),
            is_merged: false,
        };
        let wrong = |message| refused(ErrorKind::Unreachable, &api.collection_url(name), message);
        counts.check(NOUNS).map(drop).map_err(wrong)
    }
}

/// The server has taken in some pieces of a collection.
fn with_parts(error: SourceError, name: &str, taken: usize) -> SourceError {
    match taken {
        0 => error,
        taken => error.with_context(&format!(
            "{taken} parts of the snapshot are in collection {name} already, the others are what they were: \
             restore it again, or restore another snapshot of it"
        )),
    }
}

/// Bytes that are counted as they are read.
struct ObservedReader<'s> {
    bytes: Box<dyn Read + Send>,
    observer: &'s dyn Observer,
}

impl Read for ObservedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.observer.on(Event::Bytes(count as u64));
        Ok(count)
    }
}
