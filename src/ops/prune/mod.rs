//! Prune: gives back the space of what no snapshot needs, beside backups and restores (docs/PRUNE.md has the protocol,
//! step by step; [`PruneSession`] its operations).

mod ancestors;
mod choose;
mod costs;
mod keep;
mod mark;
mod merge;
mod names;
mod packs;
mod plan;
mod recent;
mod recode;
mod rescue;
mod weigh;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::id::{PackId, SnapshotId};
use crate::options::options;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::{Begun, Peer, PruneSession, RepoError, Repository, Sight};
use crate::store::{Copied, StoreError, Wanted};

use self::choose::Compaction;
use self::mark::is_lost;
use self::plan::{Emptied, Work, refuse_unreadable, work};
use self::recode::Recoder;
use super::OpError;
use super::steady::{NextTry, Steady, steadily};

pub use self::costs::{Costs, EntryCost, costs, entry_costs};
pub use self::plan::{PackTotals, PrunePlan};

options! {
    /// What a prune does.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct PruneOptions {
        /// Only say what would be done.
        pub dry_run: bool,
        /// Who gave no sign of life for so long is taken for dead. Signs come every ten minutes.
        pub expire_after: Duration,
        /// Codes old packs more tightly by the way.
        pub compact: Option<CompactOptions>,
        /// Frees everything where there is no snapshot at all. Without this, that is an error: they may be out of sight.
        pub empty: bool,
    }
}

options! {
    /// Packs stored so long ago are written anew, their plain blocks compressed at this zstd level, unless that was done.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct CompactOptions {
        /// Age from which packs are compacted.
        pub older_than: Duration,
        /// zstd level for plain blocks.
        pub level: i32,
    }
}

impl Default for CompactOptions {
    /// Packs of a week, at level 19.
    fn default() -> Self {
        Self { older_than: Duration::from_secs(7 * 24 * 3600), level: 19 }
    }
}

impl CompactOptions {
    fn at(&self, now: SystemTime, merges: bool) -> Compaction {
        let before = now.checked_sub(self.older_than).unwrap_or(SystemTime::UNIX_EPOCH);
        Compaction { before, level: self.level, merges }
    }
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            expire_after: Duration::from_secs(24 * 3600),
            compact: None,
            empty: false,
        }
    }
}

/// What was done; in a dry run what would be.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PruneReport {
    /// `None` where all there was to do was to go on where an earlier prune had stopped.
    pub plan: Option<PrunePlan>,
    /// What was copied out of packs that went.
    pub copied: Copied,
    /// Packs that were deleted.
    pub deleted: PackTotals,
    /// Backups that have to end first: what is condemned is deleted by a later prune.
    pub waits_for: Vec<Peer>,
    /// Who was taken for dead.
    pub expired: Vec<Peer>,
    /// Whether it finished what an earlier prune had begun.
    pub went_on: bool,
}

impl PruneReport {
    /// Bytes of packs the repository has less than before.
    pub fn freed(&self) -> i64 {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        signed(self.deleted.bytes) - signed(self.copied.pack_bytes)
    }
}

/// Frees what no snapshot needs. Whatever interrupts it, nothing that is needed is lost, and another prune goes on.
pub fn prune(
    repository: &Repository,
    options: &PruneOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<PruneReport, OpError> {
    let mut report = PruneReport::default();
    if options.dry_run {
        // Nothing is put, so that the storage does not say what time it is.
        let compaction = options.compact.map(|compact| compact.at(SystemTime::now(), true));
        let when = (options.expire_after, compaction);
        report.plan = Some(plan_settled(repository, &[], when, observer, cancel)?);
        return Ok(report);
    }
    settled_round(repository, options, observer, cancel, &mut report)?;
    if report.went_on && report.waits_for.is_empty() {
        // Now for what became waste since.
        match settled_round(repository, options, observer, cancel, &mut report) {
            Err(OpError::PruneAtWork { .. }) => {}
            done => done?,
        }
    }
    Ok(report)
}

/// What a prune would do now if these snapshots were gone. Changes nothing.
pub fn plan_prune(
    repository: &Repository,
    without: &[SnapshotId],
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<PrunePlan, OpError> {
    let when = (PruneOptions::default().expire_after, None);
    plan_settled(repository, without, when, observer, cancel)
}

fn plan_settled(
    repository: &Repository,
    without: &[SnapshotId],
    when: (Duration, Option<Compaction>),
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<PrunePlan, OpError> {
    let look = || plan_once(repository, without, when, observer, cancel);
    steadily(repository, cancel, look, Result::is_ok)
}

fn plan_once(
    repository: &Repository,
    without: &[SnapshotId],
    (expiry, compaction): (Duration, Option<Compaction>),
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<PrunePlan, OpError> {
    let mut sight = repository.look(None)?;
    refuse_unreadable(&mut sight, without)?;
    // Nothing is put, so that the storage does not say what time it is: no earlier than this.
    let latest = sight.packs.values().map(|object| object.stored).max();
    let oldest = repository.oldest_work(latest.map(|latest| (latest, expiry)))?;
    let mut roots = sight.roots.clone();
    roots.retain(|root| !without.contains(&root.id));
    let packs = (&repository.condemned()?, &HashSet::new());
    Ok(work(repository, &sight, &roots, packs, (oldest, compaction), observer, cancel)?.plan)
}

/// What earlier rounds of a prune found out.
struct Care {
    /// Packs in which something cannot be read.
    fixed: HashSet<PackId>,
    /// Whether chains are made shorter: not, once one of them was found that cannot be read. It would be met again in
    /// pack after pack.
    merges: bool,
}

impl Default for Care {
    fn default() -> Self {
        Self { fixed: HashSet::new(), merges: true }
    }
}

/// A backup that ends between the listings of index and snapshots has a manifest, and its chunks seem to be nowhere. A
/// prune that was taken for dead may wake up in its step 7, and index objects go under our eyes. Then all is looked at
/// anew.
fn settled_round(
    repository: &Repository,
    options: &PruneOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
    report: &mut PruneReport,
) -> Result<(), OpError> {
    let (mut steady, mut care) = (Steady::new(repository)?, Care::default());
    loop {
        let had_merged = care.merges;
        match round(repository, options, &mut care, observer, cancel, report) {
            Err(OpError::DamagedPack { source, .. }) if had_merged && !care.merges => {
                tracing::warn!("chains stay as long as they are: {source}");
            }
            // It is left as it is, and the rest goes on. What is condemned cannot be left.
            Err(OpError::DamagedPack { pack, source }) if !care.fixed.contains(&pack) => {
                tracing::warn!("pack {pack} is left as it is: {source}");
                care.fixed.insert(pack);
            }
            Err(error) if may_be_moved(&error) => {
                let done = Err(error);
                if cancel.is_cancelled() || steady.next(&done)? != NextTry::Again {
                    return done;
                }
            }
            done => return done,
        }
    }
}

fn may_be_moved(error: &OpError) -> bool {
    match error {
        OpError::NotWhole { .. } => true,
        OpError::Repo(error) => error.is_missing_object(),
        _ => false,
    }
}

fn round(
    repository: &Repository,
    options: &PruneOptions,
    care: &mut Care,
    observer: &dyn Observer,
    cancel: &Cancel,
    report: &mut PruneReport,
) -> Result<(), OpError> {
    let mut session = match repository.begin_prune(options.expire_after)? {
        Begun::Session(session) => session,
        Begun::Busy(other) => return Err(OpError::PruneAtWork { other: other.describe() }),
    };
    report.expired.append(&mut session.expired);
    report.went_on |= session.goes_on;
    let mut round = Round { repository, options, care, observer, cancel, report };
    match round.run(&mut session) {
        Ok(Some(sight)) => round.delete(*session, &sight),
        Ok(None) => Ok(session.retire()?),
        Err(error) => {
            let is_void = |error: &RepoError| matches!(error, RepoError::PruneExpired { .. });
            let is_known = matches!(&error, OpError::Repo(error) if is_void(error));
            // Whoever took it for dead moved things under its eyes: that is why, whatever it looked like.
            let cause = if is_known { None } else { session.still_counts().err().filter(is_void) };
            session.give_up();
            Err(cause.map_or(error, OpError::from))
        }
    }
}

fn damaged(pack: &Emptied, source: StoreError) -> OpError {
    match is_lost(&source) {
        true => OpError::DamagedPack { pack: pack.id, source },
        false => source.into(),
    }
}

struct Round<'r> {
    repository: &'r Repository,
    options: &'r PruneOptions,
    care: &'r mut Care,
    observer: &'r dyn Observer,
    cancel: &'r Cancel,
    report: &'r mut PruneReport,
}

impl Round<'_> {
    /// All but step 7. `None`: nothing is to be deleted, or not yet.
    fn run(&mut self, session: &mut PruneSession<'_>) -> Result<Option<Sight>, OpError> {
        let mut before = None;
        if !session.goes_on {
            let sight = self.look(None)?;
            if sight.roots.is_empty() && !sight.packs.is_empty() && !self.options.empty {
                return Err(OpError::NoSnapshots { packs: sight.packs.len() });
            }
            let compaction =
                self.options.compact.map(|compact| compact.at(session.now, self.care.merges));
            let none = HashSet::new();
            let (packs, when) = ((&none, &self.care.fixed), (session.oldest, compaction));
            let (repository, roots) = (self.repository, &sight.roots);
            let work = work(repository, &sight, roots, packs, when, self.observer, self.cancel)?;
            self.report.plan = Some(work.plan);
            if work.condemned.is_empty() {
                let is_stale = sight.lists_what_is_gone();
                if is_stale {
                    session.still_counts()?;
                }
                return Ok(is_stale.then_some(sight));
            }
            self.empty_and_condemn(session, work)?;
            before = Some(sight);
        }
        self.stop_if_cancelled()?;
        self.report.waits_for = session.wait()?;
        if !self.report.waits_for.is_empty() {
            return Ok(None);
        }
        session.still_counts()?;
        let theirs = session.condemned_by_others()?;
        let index = before.as_ref().map(|sight| Arc::clone(&sight.index.index));
        let sight = self.look(index)?;
        // Alone, nothing has changed since it was decided what goes.
        let is_alone = theirs.is_empty()
            && before.as_ref().is_some_and(|before| sight.adds_only(before, session.id()));
        if !is_alone {
            let going = session.condemned();
            let needed = rescue::rescue(
                self.repository,
                &sight,
                going,
                &theirs,
                self.observer,
                self.cancel,
            )?;
            self.copy(session, &needed, None)?;
        }
        self.stop_if_cancelled()?;
        session.still_counts()?;
        Ok(Some(sight))
    }

    /// Steps 3 and 4.
    fn empty_and_condemn(
        &mut self,
        session: &mut PruneSession<'_>,
        work: Work,
    ) -> Result<(), OpError> {
        session.still_counts()?;
        self.copy(session, &work.emptied, Some(&work.recoder))?;
        self.stop_if_cancelled()?;
        session.still_counts()?;
        Ok(session.condemn(work.condemned)?)
    }

    fn look(&self, index: Option<Arc<dyn crate::index::ChunkIndex>>) -> Result<Sight, OpError> {
        let mut sight = self.repository.look(index)?;
        refuse_unreadable(&mut sight, &[])?;
        Ok(sight)
    }

    fn stop_if_cancelled(&self) -> Result<(), OpError> {
        if self.cancel.is_cancelled() { Err(OpError::Interrupted) } else { Ok(()) }
    }

    /// With a recoder only what is needed of a block, and deltas against what is kept; without, blocks as they are.
    fn copy(
        &mut self,
        session: &PruneSession<'_>,
        packs: &[Emptied],
        recoder: Option<&Recoder>,
    ) -> Result<(), OpError> {
        if packs.is_empty() {
            return Ok(());
        }
        self.observer.on(Event::Started(Phase::Copy));
        let total = Some(packs.len() as u64);
        self.observer.on(Event::Total { bytes: None, items: total });
        let level = self.options.compact.map(|compact| compact.level);
        let mut copier = session.copier().compressing(level);
        for pack in packs {
            self.stop_if_cancelled()?;
            let what = (&pack.id, pack.kind, pack.len);
            let wanted = Wanted {
                blocks: &|ordinal| pack.live.has(ordinal),
                chunks: &|raw_len, chunk| {
                    recoder.is_none_or(|recoder| recoder.needs(&pack.id, raw_len, chunk))
                },
                level: pack.level,
                recode: &|id, at| recoder.map_or(Ok(None), |recoder| recoder.recode(id, at)),
            };
            let copied = copier.copy(what, &pack.contents, &wanted);
            self.care.merges &= !recoder.is_some_and(Recoder::has_met_damage);
            copied.map_err(|source| damaged(pack, source))?;
            if copier.is_due() {
                copier.flush()?;
                session.still_counts()?;
            }
            self.observer.on(Event::Items(1));
        }
        let copied = copier.flush()?;
        let all = &mut self.report.copied;
        all.blocks += copied.blocks;
        all.read_bytes += copied.read_bytes;
        all.packs += copied.packs;
        all.pack_bytes += copied.pack_bytes;
        all.rebased += copied.rebased;
        self.observer.on(Event::Finished(Phase::Copy));
        Ok(())
    }

    /// Step 7.
    fn delete(&mut self, session: PruneSession<'_>, sight: &Sight) -> Result<(), OpError> {
        self.observer.on(Event::Started(Phase::Delete));
        let total = session.condemned().iter().filter(|id| sight.packs.contains_key(id)).count();
        self.observer.on(Event::Total { bytes: None, items: Some(total as u64) });
        let (count, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let done = session.delete(sight, &|id: PackId| {
            let len = sight.packs.get(&id).map_or(0, |object| object.len);
            count.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(len, Ordering::Relaxed);
            self.observer.on(Event::Items(1));
        });
        self.report.deleted.count += count.into_inner();
        self.report.deleted.bytes += bytes.into_inner();
        done?;
        self.observer.on(Event::Finished(Phase::Delete));
        Ok(())
    }
}
