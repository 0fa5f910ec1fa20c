//! A restore under way: one collection after the other, compared with what was backed up.

use std::cell::Cell;
use std::io::{BufReader, Read};

use super::api::Api;
use super::decide::Decision;
use super::failure::refused;
use super::form::Delivery;
use super::layout::Layout;
use super::load::{Part, QdrantLoader};
use super::logical::import;
use super::parts::{HeldAs, Piece};
use super::recreate;
use super::upload::Task;
use crate::fault::ErrorKind;
use crate::format::{Entry, Problem};
use crate::limits::MIB;
use crate::progress::{Event, Observer};
use crate::source::{LoadReport, SourceError, Stored};

/// A restore under way.
pub(super) struct Loading<'l> {
    may_replace: bool,
    loader: &'l QdrantLoader,
    stored: &'l dyn Stored,
    observer: &'l dyn Observer,
    pub report: LoadReport,
    /// Pieces of the collection under way that the server has taken in.
    taken: Cell<usize>,
}

impl<'l> Loading<'l> {
    pub fn new(
        loader: &'l QdrantLoader,
        stored: &'l dyn Stored,
        observer: &'l dyn Observer,
        may_replace: bool,
    ) -> Self {
        let report = LoadReport::default();
        Self { may_replace, loader, stored, observer, report, taken: Cell::new(0) }
    }

    pub fn one(&mut self, part: &Part) -> Result<(), SourceError> {
        let was_planned = matches!(part.decision, Decision::Replace(_));
        let decision = self.loader.decide(part, self.may_replace && was_planned)?;
        let name = &part.wanted.collection;
        if let Decision::Skip(why) = decision {
            self.skipped(part, &why)?;
            return self.make_aliases(part);
        }
        let is_new = decision == Decision::Create;
        match self.bring(part, is_new) {
            Ok(()) => {}
            Err(error) => {
                let is_damage = error.kind() == ErrorKind::Damage;
                let error = self.with_what_is_left(error, part, is_new);
                if !is_damage {
                    return Err(error);
                }
                self.report.damaged.push(problem(name, format!("not restored: {error}")));
                return Ok(());
            }
        }
        self.report.loaded += 1;
        self.report.bytes += part.held.bytes();
        self.compare(part)?;
        self.make_aliases(part)
    }

    /// Everything that the snapshot holds of a collection.
    fn bring(&self, part: &Part, is_new: bool) -> Result<(), SourceError> {
        let (name, api) = (&part.wanted.collection, self.loader.api()?);
        self.taken.set(0);
        self.check_whole(part)?;
        if is_new && part.held.needs_collection() {
            recreate::create(api, name, &part.held.about(self.stored)?)?;
        }
        match &part.held.form {
            HeldAs::Snapshot(piece) => self.upload(api, name, None, piece, is_new),
            HeldAs::Peers(peers) => {
                let nodes = self.loader.apis.iter().cycle();
                for (at, ((_, piece), api)) in peers.iter().zip(nodes).enumerate() {
                    self.upload(api, name, None, piece, is_new && at == 0)?;
                }
                Ok(())
            }
            HeldAs::Shards(shards) => {
                for (shard, piece) in shards {
                    let api = self.node_of(name, *shard)?;
                    self.upload(api, name, Some(*shard), piece, false)?;
                }
                Ok(())
            }
            HeldAs::Points(entry) => self.write_points(api, name, entry),
        }
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
        Task { api, stored, observer, entry: &piece.entry, delivery, must_be_missing }.run()?;
        self.taken.set(self.taken.get() + 1);
        Ok(())
    }

    /// What goes in piece by piece is read to its end before: half of it would be a collection that is neither the
    /// old one nor the new one. A single upload is broken off before the server acts.
    fn check_whole(&self, part: &Part) -> Result<(), SourceError> {
        let entries: Vec<&Entry> = match &part.held.form {
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
        Err(refused(
            ErrorKind::Unreachable,
            &self.loader.api()?.collection_url(collection),
            message,
        ))
    }

    /// Each came once, and there were none before: there must be as many now.
    fn write_points(&self, api: &Api, name: &str, entry: &Entry) -> Result<(), SourceError> {
        let seen = Seen { bytes: self.stored.open(entry)?, observer: self.observer };
        let imported = import(api, name, &mut BufReader::with_capacity(MIB, seen))?;
        let after = api.count(name)?;
        if imported.is_ordered && after != imported.points {
            let message = format!("{} points were written, it has {after}", imported.points);
            return Err(refused(ErrorKind::Unreachable, &api.collection_url(name), message));
        }
        Ok(())
    }

    /// A restore that failed half-way may have left the collection empty: that is no success.
    fn skipped(&mut self, part: &Part, why: &str) -> Result<(), SourceError> {
        let name = &part.wanted.collection;
        let is_empty = self.loader.existing(name)?.is_some_and(|there| there.points == Some(0));
        match part.held.points {
            Some(points @ 1..) if is_empty => {
                let message = format!(
                    "{why}, but has no points where the snapshot has {points}: left alone. If a restore was \
                     broken off there, delete it, or restore with --overwrite"
                );
                self.report.problems.push(problem(name, message));
            }
            _ => {
                self.report.notes.push(format!("skipped: {why}, and only missing ones were wanted"))
            }
        }
        Ok(())
    }

    /// The server creates a collection before it fills it.
    fn with_what_is_left(&self, error: SourceError, part: &Part, is_new: bool) -> SourceError {
        let (name, taken) = (&part.wanted.collection, self.taken.get());
        let SourceError::Refused { kind, path, message } = error else { return error };
        let is_there = || {
            let api = self.loader.api().map(Api::undisturbed);
            matches!(api.and_then(|api| api.info(name)), Ok(Some(_)))
        };
        let is_left = is_new && kind != ErrorKind::Exists && is_there();
        let message = match is_left {
            false if taken > 0 => format!(
                "{message}; {taken} parts of the snapshot are in collection {name} already, the others are what \
                 they were: restore it again, or restore another snapshot of it"
            ),
            true => format!("{message}; collection {name} is there now, and not whole: delete it"),
            false => message,
        };
        SourceError::Refused { kind, path, message }
    }

    /// Counts are those of a moment before the snapshot: what differs is told, what is gone is a problem.
    fn compare(&mut self, part: &Part) -> Result<(), SourceError> {
        let name = &part.wanted.collection;
        let now = self.loader.existing(name)?.and_then(|there| there.points);
        let is_whole = matches!(part.held.form, HeldAs::Snapshot(_));
        match (part.held.points, now) {
            (Some(before @ 1..), Some(0)) => {
                let message =
                    format!("has no points, the backup had {before}: see the server's log");
                self.report.problems.push(problem(name, message));
            }
            (Some(before), Some(now)) if before == now => {
                self.report.notes.push(format!("{name}: {now} points, as when it was backed up"));
            }
            // Whole snapshots are taken in whole; points deleted while the backup began are no loss.
            (Some(before), Some(now)) if now < before && !is_whole => {
                let message =
                    format!("has {now} points, the backup had {before}: parts did not come in");
                self.report.problems.push(problem(name, message));
            }
            (Some(before), Some(now)) => {
                let note = format!("{name}: {now} points; {before} when its backup began");
                self.report.notes.push(note);
            }
            (None, Some(now)) => self.report.notes.push(format!("{name}: {now} points")),
            (_, None) => {}
        }
        Ok(())
    }

    fn make_aliases(&mut self, part: &Part) -> Result<(), SourceError> {
        if !self.loader.restore.aliases || part.held.aliases.is_empty() {
            return Ok(());
        }
        let (api, collection) = (self.loader.api()?, &part.wanted.collection);
        let may_move = self.may_replace && !self.loader.restore.if_missing;
        let existing = api.aliases(None)?;
        for alias in &part.held.aliases {
            let now = existing.iter().find(|(name, _)| name == alias).map(|(_, of)| of);
            let failed = match now {
                Some(of) if of == collection => continue,
                Some(of) if !may_move => {
                    format!("alias {alias} stays with {of}: --overwrite moves it")
                }
                now => match api.set_alias(alias, collection, now.is_some()) {
                    Ok(()) => continue,
                    Err(SourceError::Interrupted) => return Err(SourceError::Interrupted),
                    Err(error) => format!("alias {alias} was not made: {error}"),
                },
            };
            self.report.problems.push(problem(collection, failed));
        }
        Ok(())
    }
}

/// Bytes that are counted as they are read.
struct Seen<'s> {
    bytes: Box<dyn Read + Send>,
    observer: &'s dyn Observer,
}

impl Read for Seen<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.observer.on(Event::Bytes(count as u64));
        Ok(count)
    }
}

fn problem(collection: &str, message: String) -> Problem {
    Problem { path: collection.as_bytes().into(), message }
}
