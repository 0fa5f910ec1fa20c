//! Lanes: several bodies of one source are read at once, each into segments of its own. What they come to is taken
//! in the order of the entries, so that problems, counts and the first failure are those of reading one by one.

use std::collections::VecDeque;
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use crate::format::{Entry, EntryPath, Problem};
use crate::progress::Cancel;
use crate::source::{BodyEnd, Need, OpenBody, SourceError};

use super::super::OpError;
use super::batch::{BatchPlace, OldContent, Step};
use super::segments::Segments;

/// Bodies of one source that are read at once, at most: each has a thread, a segment that it fills and one that is being cut.
pub(super) const BODIES_AT_ONCE_MAX: usize = 4;
/// How many entries may follow the first body that is not read to its end: they wait in memory.
const AHEAD_MAX: usize = 256;

/// A body to read.
pub(super) struct Job {
    pub place: BatchPlace,
    pub entry: Entry,
    pub old: Option<OldContent>,
    pub need: Need,
    pub body: Box<dyn OpenBody>,
}

/// A body that was read, or given up for the reason in `end`.
pub(super) struct BodyRead {
    pub path: EntryPath,
    pub len: u64,
    pub end: Result<BodyEnd, String>,
}

impl Job {
    /// Reads the body to its end. An error ends the backup.
    pub fn read(self, segments: &mut Segments<'_>) -> Result<BodyRead, OpError> {
        let Self { place, entry, old, need, body } = self;
        let path = entry.path.clone();
        let mut body = match body.open() {
            Ok(body) => body,
            Err(SourceError::Interrupted) => return Err(OpError::Interrupted),
            Err(error) if need == Need::Whole => return Err(error.into()),
            Err(error) => {
                segments.step(Step::Drop(place))?;
                return Ok(BodyRead { path, len: 0, end: Err(error.to_string()) });
            }
        };
        segments.begin(place, entry, old)?;
        let len = match segments.read(&mut *body)? {
            Ok(len) => len,
            Err(error) if need == Need::Best => {
                segments.step(Step::Drop(place))?;
                return Ok(BodyRead { path, len: 0, end: Err(format!("cannot be read: {error}")) });
            }
            Err(error) => return Err(SourceError::of_read(&path.display(), error).into()),
        };
        let end = match body.finish() {
            Ok(mut end) => {
                let properties = std::mem::take(&mut end.properties);
                segments.step(Step::End { keep_token: end.is_good(), properties })?;
                Ok(end)
            }
            Err(error) if need == Need::Best => {
                segments.step(Step::Drop(place))?;
                Err(error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        Ok(BodyRead { path, len, end })
    }
}

/// What an entry came to, in the order of the entries.
pub(super) enum Outcome {
    Read(BodyRead),
    Problem(Problem),
}

type LaneDone = Result<BodyRead, OpError>;

enum Pending {
    Body(BatchPlace, Receiver<LaneDone>),
    Problem(Problem),
}

/// The feeder's end of the lanes. Once it is dropped, the lanes end.
pub(super) struct Lanes {
    jobs: Sender<(Job, Sender<LaneDone>)>,
    pending: VecDeque<Pending>,
}

impl Lanes {
    /// Starts a thread for each of the segments.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        segments: Vec<Segments<'scope>>,
        cancel: &'scope Cancel,
    ) -> Self {
        // Never full: no more bodies than this are pending.
        let (jobs, waiting) = crossbeam_channel::bounded(AHEAD_MAX + 1);
        for segments in segments {
            let waiting = waiting.clone();
            scope.spawn(move || lane(segments, &waiting, cancel));
        }
        Self { jobs, pending: VecDeque::new() }
    }

    pub fn read(&mut self, job: Job) {
        let (done, result) = crossbeam_channel::bounded(1);
        self.pending.push_back(Pending::Body(job.place, result));
        // Where all lanes have ended, the failure of the first comes out in its turn.
        let _ = self.jobs.send((job, done));
    }

    pub fn problem(&mut self, problem: Problem) {
        self.pending.push_back(Pending::Problem(problem));
    }

    /// What the next entry came to, if that is known, if too much waits for it before `place` or if all is waited for.
    pub fn settled(&mut self, place: BatchPlace, all: bool) -> Result<Option<Outcome>, OpError> {
        let full = self.pending.len() >= AHEAD_MAX;
        let outcome = match self.pending.front() {
            None => return Ok(None),
            Some(Pending::Problem(_)) => None,
            Some(Pending::Body(first, result)) => {
                let wait = all || full || place.saturating_sub(*first) >= AHEAD_MAX as u64;
                Some(match result.try_recv() {
                    Ok(done) => done?,
                    Err(TryRecvError::Empty) if !wait => return Ok(None),
                    Err(_) => result.recv().map_err(|_| OpError::Lost)??,
                })
            }
        };
        Ok(match (self.pending.pop_front(), outcome) {
            (_, Some(read)) => Some(Outcome::Read(read)),
            (Some(Pending::Problem(problem)), None) => Some(Outcome::Problem(problem)),
            (_, None) => None,
        })
    }
}

/// Reads bodies until there are no more, or one of them ends the backup.
fn lane(mut segments: Segments<'_>, waiting: &Receiver<(Job, Sender<LaneDone>)>, cancel: &Cancel) {
    for (job, reply) in waiting {
        let done = match cancel.is_cancelled() {
            true => Err(OpError::Interrupted),
            // Nothing is held back: an entry must not wait for the lane's next body.
            false => job.read(&mut segments).and_then(|read| segments.dispatch().map(|()| read)),
        };
        let failed = done.is_err();
        // Nobody waits any more when the backup was given up.
        let _ = reply.send(done);
        if failed {
            return;
        }
    }
}
