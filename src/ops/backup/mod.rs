//! Backing up: exporters on one side, a snapshot on the other.
//!
//! The feeder (a thread) pulls entries, decides what is unchanged, reads and cuts. Segments are named, looked
//! up and coded on all cores. The assembler (the calling thread) takes them back in order, fills packs,
//! builds recipes and the catalog. Bounded channels between them: memory does not grow with the source.

mod assemble;
mod batch;
mod describe;
mod feed;
mod lanes;
mod parent;
mod segments;

use std::time::Instant;

use crate::fault::ErrorKind;
use crate::format::{EntryPath, Manifest, Problem, SourceRecord, Statistics, TreeRoot};
use crate::id::SnapshotId;
use crate::limits::{PROBLEM_BYTES_MAX, PROBLEMS_MAX};
use crate::options::options;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::{Repository, Snapshot, WriteSession};
use crate::source::Exporter;
use crate::store::Written;

use self::assemble::Assembler;
use self::feed::{Fed, Feed, SourceFeed, SourceRead};
use self::parent::ParentCursor;
use self::segments::Segments;
use super::OpError;

options! {
    /// What the user says of a backup.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct BackupOptions {
        /// Instead of `<source>_<date>_<time>_<description>`.
        pub name: Option<String>,
        /// What the snapshot is taken for.
        pub description: String,
        /// Tags of the snapshot.
        pub tags: Vec<String>,
        /// Exempts the snapshot from every retention rule.
        pub permanent: bool,
        /// Read and count everything, store nothing.
        pub dry_run: bool,
        /// Read every file even where a parent shows it unchanged.
        pub force_read: bool,
        /// Look ahead for totals, so that progress has an end in sight.
        pub estimate: bool,
    }
}

/// What a backup came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupReport {
    /// `None` in a dry run.
    pub id: Option<SnapshotId>,
    /// The manifest that was put, or would be.
    pub manifest: Manifest,
    /// Bytes that were stored.
    pub written: Written,
}

/// Takes one snapshot of all sources together: all of them, or none.
pub fn backup(
    repository: &Repository,
    sources: &[&dyn Exporter],
    options: &BackupOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<BackupReport, OpError> {
    if sources.is_empty() {
        return Err(OpError::Usage("nothing to back up: name a source".into()));
    }
    let started = Instant::now();
    observer.on(Event::Started(Phase::LoadIndex));
    let session = WriteSession::begin(repository, options.dry_run)?;
    observer.on(Event::Finished(Phase::LoadIndex));
    // Looked at last: whoever said stop before the commit began finds no snapshot.
    let stopped = |taken| if cancel.is_cancelled() { Err(OpError::Interrupted) } else { Ok(taken) };
    match take(repository, &session, sources, options, observer, cancel).and_then(stopped) {
        Ok(mut taken) => {
            taken.manifest.statistics.duration_ms =
                u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            observer.on(Event::Started(Phase::Commit));
            let id = session.commit(&taken.manifest)?;
            observer.on(Event::Finished(Phase::Commit));
            Ok(BackupReport { id, manifest: taken.manifest, written: taken.written })
        }
        Err(error) => {
            session.abandon();
            // A stop shows in many ways, a broken pipe among them; it was a stop.
            if cancel.is_cancelled() || error.kind() == ErrorKind::Interrupted {
                return Err(OpError::Interrupted);
            }
            Err(error)
        }
    }
}

struct Taken {
    manifest: Manifest,
    written: Written,
}

/// Everything up to the commit.
fn take(
    repository: &Repository,
    session: &WriteSession<'_>,
    sources: &[&dyn Exporter],
    options: &BackupOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Taken, OpError> {
    // Failure stops sources as the user's stop does, and is told from it.
    let cancel = &cancel.child();
    let prefixes = describe::prefixes(sources);
    // Its time is that of the beginning: what changes while it runs is newer than the snapshot.
    let template = describe::manifest(repository.identity(), sources, options);
    let snapshots = repository.snapshots()?.0;
    let mut records = Vec::new();
    let mut feeds = Vec::new();
    for (source, prefix) in sources.iter().zip(prefixes) {
        let about = source.describe();
        let parent = repository.parent_of(&snapshots, &about.kind, &about.url).cloned();
        records.push(SourceRecord {
            kind: about.kind.clone(),
            url: about.url.clone(),
            prefix: prefix.clone(),
            parent: parent.as_ref().map(|parent| parent.id),
            consistency: None,
            properties: Vec::new(),
        });
        let opened = source.open(cancel)?;
        let by_token = !options.force_read;
        let parent = parent.map(|parent| parent_cursor(session, parent, &about, &prefix, by_token));
        feeds.push(SourceFeed { session: opened, prefix, parent });
    }
    drop(snapshots);
    // The catalog is sorted, so sources are read in the order of their prefixes.
    let mut order: Vec<(SourceRecord, SourceFeed)> = records.into_iter().zip(feeds).collect();
    order.sort_by(|(a, _), (b, _)| a.prefix.cmp(&b.prefix));
    let (mut records, feeds): (Vec<_>, Vec<_>) = order.into_iter().unzip();

    let done = run(repository, session, sources, feeds, options, observer, cancel)?;
    for (record, outcome) in records.iter_mut().zip(done.outcomes) {
        record.consistency = outcome.consistency;
        record.properties = outcome.properties;
    }
    let manifest = Manifest {
        sources: records,
        catalog: done.catalog,
        incomplete: done.fed.problems.count > 0,
        problem_count: done.fed.problems.count,
        problems: done.fed.problems.kept,
        statistics: statistics(&done.fed.counts, &done.written, done.chunks),
        writer: session.writer_id(),
        ..template
    };
    Ok(Taken { manifest, written: done.written })
}

fn parent_cursor(
    session: &WriteSession<'_>,
    parent: Snapshot,
    about: &crate::source::Description,
    prefix: &EntryPath,
    by_token: bool,
) -> ParentCursor {
    let same = |source: &&SourceRecord| source.kind == about.kind && source.url == about.url;
    let old = parent.manifest.sources.iter().find(same);
    let old_prefix = old.map(|source| source.prefix.clone()).unwrap_or_default();
    ParentCursor::new(session, parent, [old_prefix, prefix.clone()], by_token)
}

struct Done {
    catalog: TreeRoot,
    chunks: u64,
    fed: Fed,
    outcomes: Vec<crate::source::Outcome>,
    written: Written,
}

/// Runs feeder and assembler to the end, then asks every source whether what it gave can be relied on.
fn run(
    repository: &Repository,
    session: &WriteSession<'_>,
    sources: &[&dyn Exporter],
    feeds: Vec<SourceFeed>,
    options: &BackupOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Done, OpError> {
    observer.on(Event::Started(Phase::Backup));
    let cutter = repository.cutter()?;
    let old = feeds.iter().find_map(|feed| feed.parent.as_ref()).map(ParentCursor::catalog);
    let mut assembler =
        Assembler::new(session, repository.vault().keys().node_cut(), cutter.sizes().max, old);
    let enough = cancel.child();
    let (fed, read) = std::thread::scope(|scope| {
        if options.estimate {
            scope.spawn(|| estimate(sources, observer, &enough));
        }
        let (segments, batches, spent) = Segments::new(cutter, session, observer, cancel);
        let feed = Feed::new(segments, observer, cancel);
        let feeder = scope.spawn(move || feed.run(feeds));
        let assembled = assembler.run(&batches, &spent);
        // Hanging up first: a feeder with nobody to feed stops.
        drop(batches);
        if assembled.is_err() {
            cancel.cancel();
        }
        let fed = feeder.join().map_err(|_| OpError::Lost)?;
        // Nobody waits for a total once the rest is done, or has failed.
        enough.cancel();
        // Where both failed, the assembler's failure came first: the feeder merely lost its channel.
        assembled?;
        fed
    })?;
    if cancel.is_cancelled() {
        return Err(OpError::Interrupted);
    }
    let outcomes = read.into_iter().map(SourceRead::finish).collect::<Result<Vec<_>, _>>()?;
    let (catalog, chunks, written) = assembler.finish()?;
    observer.on(Event::Finished(Phase::Backup));
    Ok(Done { catalog, chunks, fed, outcomes, written })
}

/// Totals for the progress display. Failures show in the backup itself.
fn estimate(sources: &[&dyn Exporter], observer: &dyn Observer, cancel: &Cancel) {
    let (mut bytes, mut items) = (0u64, 0u64);
    for source in sources {
        match source.estimate(cancel) {
            Ok(Some(estimate)) => {
                bytes += estimate.bytes;
                items += estimate.entries;
            }
            Ok(None) | Err(_) => return,
        }
    }
    observer.on(Event::Total { bytes: Some(bytes), items: Some(items) });
}

fn statistics(counts: &feed::Counts, written: &Written, chunks: u64) -> Statistics {
    Statistics {
        entries: counts.entries,
        unchanged: counts.unchanged,
        logical_bytes: counts.logical_bytes,
        read_bytes: counts.read_bytes,
        chunks,
        new_chunks: written.new_chunks,
        new_bytes: written.new_bytes,
        plain_stored: written.data_stored - written.delta_stored,
        delta_bytes: written.delta_bytes,
        delta_stored: written.delta_stored,
        metadata_bytes: written.metadata_bytes,
        metadata_stored: written.metadata_stored,
        duration_ms: 0,
    }
}

/// Problems of a backup: the first are kept whole, as far as a manifest has room, the rest are counted.
#[derive(Debug, Default)]
struct Problems {
    kept: Vec<Problem>,
    bytes: usize,
    count: u64,
}

impl Problems {
    fn note(&mut self, problem: Problem) {
        self.count += 1;
        let size = problem.path.len() + problem.message.len();
        if self.kept.len() < PROBLEMS_MAX && self.bytes + size <= PROBLEM_BYTES_MAX {
            self.bytes += size;
            self.kept.push(problem);
        }
    }
}
