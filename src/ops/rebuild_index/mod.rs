//! The index made of the packs: what no index object lists is listed by its trailer, and index objects that cannot be read
//! go. Beside backups, restores and checks; as a prune among prunes (docs/PRUNE.md says why that is safe).

mod fill;
mod look;
mod merge;

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use crate::fault::ErrorKind;
use crate::format::{Bytes, IndexedPack, Problem, name};
use crate::id::{ObjectId, PackId};
use crate::index::PackEntry;
use crate::options::options;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::{Begun, Peer, PruneSession, Repository, Stock};
use crate::store::StoreError;

use self::fill::{Fill, Group};
use self::look::{Damaged, Look, Readable, look};
use super::{OpError, PackTotals};

options! {
    /// How an index is rebuilt.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RebuildOptions {
        /// Only say what would be done.
        pub dry_run: bool,
        /// Reads every trailer and replaces every index object, readable ones as well. Packs that a prune means to delete are
        /// listed in any case; else only where an index object cannot be read, or there is none.
        pub all: bool,
        /// Who gave no sign of life for so long is taken for dead. Signs come every ten minutes.
        pub expire_after: Duration,
    }
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self { dry_run: false, all: false, expire_after: Duration::from_secs(24 * 3600) }
    }
}

/// What was done; in a dry run what would be.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RebuildReport {
    /// All packs and index objects there were.
    pub packs: u64,
    /// Index objects before the rebuild.
    pub index_objects: u64,
    /// Packs whose trailers were read, and in how many bytes.
    pub packs_read: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Packs that no readable index object listed as they are, and now one does.
    pub listed: PackTotals,
    /// Packs that index objects listed otherwise than their trailers do, and now as these do.
    pub corrected: u64,
    /// Index objects that were put.
    pub objects_put: u64,
    /// Index objects that were deleted.
    pub objects_removed: u64,
    /// Index objects that could not be read and are not there any more.
    pub mended: Vec<Problem>,
    /// What cannot be read, and is left as it is.
    pub problems: Vec<Problem>,
    /// Unlisted packs that somebody at work may have put: left alone.
    pub young: PackTotals,
    /// Unlisted packs that a prune means to delete: left alone.
    pub condemned: PackTotals,
    /// Who was taken for dead.
    pub expired: Vec<Peer>,
}

impl RebuildReport {
    /// Whether everything could be read, or does not matter any more.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Makes the index from the packs. Whatever interrupts it, nothing is lost, and another run completes it: what stands for an
/// index object is there before that goes.
pub fn rebuild_index(
    repository: &Repository,
    options: &RebuildOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<RebuildReport, OpError> {
    if options.dry_run {
        let (oldest, condemned) = (repository.oldest_work(None)?, repository.condemned()?);
        let limits = (oldest, &condemned);
        return run_within(repository, None, limits, options, observer, cancel);
    }
    let mut session = match repository.begin_prune(options.expire_after)? {
        Begun::Session(session) => session,
        Begun::Busy(other) => return Err(OpError::PruneAtWork { other: other.describe() }),
    };
    let expired = std::mem::take(&mut session.expired);
    let done = {
        let limits = (session.oldest, session.condemned());
        run_within(repository, Some(&session), limits, options, observer, cancel)
    };
    match done {
        Ok(report) => {
            session.retire()?;
            Ok(RebuildReport { expired, ..report })
        }
        Err(error) => {
            session.give_up();
            Err(error)
        }
    }
}

fn run_within<'r>(
    repository: &'r Repository,
    session: Option<&'r PruneSession<'r>>,
    limits: (SystemTime, &'r HashSet<PackId>),
    options: &RebuildOptions,
    observer: &'r dyn Observer,
    cancel: &'r Cancel,
) -> Result<RebuildReport, OpError> {
    let mut rebuild = Rebuild {
        repository,
        session,
        all: options.all,
        limits,
        observer,
        cancel,
        report: RebuildReport::default(),
        some_unread: false,
    };
    rebuild.run()?;
    Ok(rebuild.report)
}

/// Trailers read at once: most take a few KiB, none more than 64 MiB with what is decoded of it.
const READ_AT_ONCE: usize = 8;

struct Rebuild<'r> {
    repository: &'r Repository,
    /// `None` in a dry run.
    session: Option<&'r PruneSession<'r>>,
    all: bool,
    /// What was put then or later is somebody's at work; what is condemned.
    limits: (SystemTime, &'r HashSet<PackId>),
    observer: &'r dyn Observer,
    cancel: &'r Cancel,
    report: RebuildReport,
    /// Some pack cannot be read at the moment: what a damaged index object may list is not known to be listed.
    some_unread: bool,
}

/// A pack and its length.
type PackLen = (PackId, u64);

impl Rebuild<'_> {
    fn run(&mut self) -> Result<(), OpError> {
        let Look { stock, readable, damaged, unread } = look(self.repository, self.cancel)?;
        self.report.packs = stock.packs.len() as u64;
        self.report.index_objects = stock.objects.len() as u64;
        // What those listed may be packs that a prune means to delete. It has to find there what it copies.
        let may_lack = !damaged.is_empty() || !unread.is_empty() || readable.is_empty();
        for (id, error) in unread {
            self.problem(&name::index(&id), format!("it stays: {error}"));
        }
        let (oldest, _) = self.limits;
        let is_merged = |object: &Readable| self.all && object.stored < oldest;
        let (merged, kept): (Vec<_>, Vec<_>) = readable.into_iter().partition(is_merged);
        let listed = self.compare(&kept, &stock);
        let unlisted = self.unlisted(&stock, &listed, &merged, self.all || may_lack);

        self.observer.on(Event::Started(Phase::ReadTrailers));
        let packs = merged.iter().flat_map(|object| &object.packs).map(|pack| pack.id);
        let mut total: HashSet<PackId> = packs.collect();
        total.extend(unlisted.iter().map(|(id, _)| *id));
        self.observer.on(Event::Total { bytes: None, items: Some(total.len() as u64) });
        drop(total);
        let mut fill = Fill::new(self.repository, self.session)?;
        self.merge(&merged, &stock, &mut fill)?;
        fill.turn_to(&Group::default())?;
        self.list_anew(&unlisted, &mut fill)?;
        fill.flush()?;
        self.report.objects_put = fill.put;
        self.observer.on(Event::Finished(Phase::ReadTrailers));
        self.remove(&merged, damaged)
    }

    /// What index objects that stay say of packs, against those there are: gives the packs that are as some object says. One
    /// that is gone is not missed where only a writer lists it that was taken for dead: it may have listed it too late.
    fn compare(&mut self, kept: &[Readable], stock: &Stock) -> HashSet<PackId> {
        let entries: BTreeSet<&PackEntry> = kept.iter().flat_map(|object| &object.packs).collect();
        let counts = |object: &&Readable| !stock.void.contains(&object.writer);
        let of_the_living: HashSet<PackId> = kept
            .iter()
            .filter(counts)
            .flat_map(|object| &object.packs)
            .map(|pack| pack.id)
            .collect();
        let mut as_listed = HashSet::new();
        for entry in entries {
            match stock.packs.get(&entry.id) {
                Some(there) if there.len == entry.len => {
                    as_listed.insert(entry.id);
                }
                None if !of_the_living.contains(&entry.id) => {}
                there => self.differs(entry, there.map(|there| there.len)),
            }
        }
        as_listed
    }

    fn differs(&mut self, entry: &PackEntry, found: Option<u64>) {
        let message = match found {
            None => "an index object lists it, but it does not exist".to_owned(),
            Some(found) => {
                format!("it has {found} bytes, and an index object says {}", entry.len)
            }
        };
        self.problem(&name::pack(&entry.id), message);
    }

    /// Packs that no index object lists as they are, in the order in which they were stored.
    fn unlisted(
        &mut self,
        stock: &Stock,
        listed: &HashSet<PackId>,
        merged: &[Readable],
        lists_condemned: bool,
    ) -> Vec<PackLen> {
        let in_merged: HashSet<PackId> =
            merged.iter().flat_map(|object| &object.packs).map(|pack| pack.id).collect();
        let (oldest, condemned) = self.limits;
        let mut unlisted = Vec::new();
        for (id, object) in &stock.packs {
            if listed.contains(id) || in_merged.contains(id) {
                continue;
            }
            let left = if object.stored >= oldest {
                &mut self.report.young
            } else if condemned.contains(id) && !lists_condemned {
                &mut self.report.condemned
            } else {
                unlisted.push((object.stored, *id, object.len));
                continue;
            };
            left.count += 1;
            left.bytes += object.len;
        }
        unlisted.sort_unstable();
        unlisted.into_iter().map(|(_, id, len)| (id, len)).collect()
    }

    fn list_anew(&mut self, unlisted: &[PackLen], fill: &mut Fill<'_>) -> Result<(), OpError> {
        for some in unlisted.chunks(READ_AT_ONCE) {
            for ((id, len), read) in some.iter().zip(self.read(some)?) {
                match read {
                    Ok(pack) => {
                        self.report.listed.count += 1;
                        self.report.listed.bytes += len;
                        fill.push(pack)?;
                    }
                    Err(error) => {
                        self.some_unread |= error.kind() != ErrorKind::Damage;
                        self.problem(&name::pack(id), not_listed(&error));
                    }
                }
            }
        }
        Ok(())
    }

    /// Some packs by their trailers. An error that every other would meet, too, ends it.
    fn read(&mut self, packs: &[PackLen]) -> Result<Vec<Result<IndexedPack, StoreError>>, OpError> {
        if self.cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        let frames: Vec<_> =
            packs.par_iter().map(|(id, len)| self.repository.pack_frame(id, *len)).collect();
        let mut read = Vec::new();
        for ((id, len), frame) in packs.iter().zip(frames) {
            self.observer.on(Event::Items(1));
            let (id, len) = (*id, *len);
            read.push(match frame {
                Ok(frame) => {
                    self.report.packs_read += 1;
                    self.report.bytes_read += frame.read;
                    self.observer.on(Event::Bytes(frame.read));
                    let (kind, contents) = (frame.kind, frame.view.contents);
                    Ok(IndexedPack { id, kind, len, contents })
                }
                Err(error) if error.is_general() => return Err(error.into()),
                Err(error) => Err(error),
            });
        }
        Ok(read)
    }

    /// What other objects stand for now, and what cannot be read.
    fn remove(&mut self, merged: &[Readable], damaged: Vec<Damaged>) -> Result<(), OpError> {
        let mut going: Vec<ObjectId> = merged.iter().map(|object| object.id).collect();
        for Damaged { id, stored, error } in damaged {
            let object = name::index(&id);
            if stored >= self.limits.0 {
                let why = "it is newer than this rebuild or a running backup: it stays for now";
                self.problem(&object, format!("{why}; {error}"));
                continue;
            }
            if self.some_unread {
                let why = "it stays until every pack can be read";
                self.problem(&object, format!("{why}; {error}"));
                continue;
            }
            match self.repository.index_object(&id) {
                Ok(_) => tracing::warn!("{object} stays, for now it can be read ({error})"),
                Err(again) if again.kind() == ErrorKind::Damage => {
                    self.report.mended.push(problem(&object, error));
                    going.push(id);
                }
                Err(again) if again.is_missing_object() => {}
                Err(again) => self.problem(&object, format!("it stays: {again}")),
            }
        }
        self.report.objects_removed = going.len() as u64;
        let Some(session) = self.session.filter(|_| !going.is_empty()) else { return Ok(()) };
        if self.cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        session.still_counts()?;
        for id in &going {
            self.repository.delete_index_object(id)?;
        }
        Ok(())
    }

    fn problem(&mut self, object: &str, message: impl ToString) {
        let problem = problem(object, message);
        self.observer.on(Event::Problem { path: object.as_bytes(), message: &problem.message });
        self.report.problems.push(problem);
    }
}

fn problem(object: &str, message: impl ToString) -> Problem {
    Problem { path: Bytes::from(object.as_bytes()), message: message.to_string() }
}

fn not_listed(error: &StoreError) -> String {
    format!("its contents are unknown, so it is not listed: {error}")
}
