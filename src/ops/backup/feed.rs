//! The feeder: pulls entries, decides what is unchanged, reads and cuts the rest into segments.

use crate::format::{Bytes, Entry, EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::source::{BodyEnd, BodyStatus, Item, Outcome, Session, SourceEntry, SourceError};

use super::super::OpError;
use super::Problems;
use super::batch::{BatchPlace, OldContent, Step};
use super::lanes::{self, BODIES_AT_ONCE_MAX, BodyRead, Job, Lanes};
use super::parent::{Old, ParentCursor};
use super::segments::Segments;

/// One source, opened.
pub(super) struct SourceFeed {
    pub session: Box<dyn Session>,
    pub prefix: EntryPath,
    pub parent: Option<ParentCursor>,
}

/// A source whose entries are all read.
pub(super) struct SourceRead {
    session: Box<dyn Session>,
    /// What its bodies add to the manifest.
    facts: Vec<(String, String)>,
}

impl SourceRead {
    /// Asks the source whether what it gave may be kept.
    pub fn finish(self) -> Result<Outcome, SourceError> {
        let mut outcome = self.session.finish()?;
        outcome.properties.extend(self.facts);
        Ok(outcome)
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub entries: u64,
    pub unchanged: u64,
    pub logical_bytes: u64,
    pub read_bytes: u64,
}

/// What the feeder saw.
#[derive(Default)]
pub(super) struct Fed {
    pub counts: Counts,
    pub problems: Problems,
}

pub(super) struct Feed<'a> {
    segments: Segments<'a>,
    observer: &'a dyn Observer,
    /// Set once the backup fails: bodies that are read at the same time stop.
    cancel: &'a Cancel,
    fed: Fed,
    /// The place of the next entry.
    next: BatchPlace,
    /// Facts of the bodies of the current source.
    facts: Vec<(String, String)>,
}

type Fedback = Result<(Fed, Vec<SourceRead>), OpError>;

impl<'a> Feed<'a> {
    pub fn new(segments: Segments<'a>, observer: &'a dyn Observer, cancel: &'a Cancel) -> Self {
        Self { segments, observer, cancel, fed: Fed::default(), next: 0, facts: Vec::new() }
    }

    /// Reads all sources to their ends.
    pub fn run(mut self, sources: Vec<SourceFeed>) -> Fedback {
        let mut read = Vec::new();
        for mut source in sources {
            let at_once = source.session.bodies_at_once().min(BODIES_AT_ONCE_MAX);
            match at_once.min(self.segments.lanes_affordable()) {
                0 | 1 => self.source(&mut source, &mut None)?,
                lanes => self.source_in_lanes(&mut source, lanes)?,
            }
            let facts = std::mem::take(&mut self.facts);
            read.push(SourceRead { session: source.session, facts });
        }
        self.segments.dispatch()?;
        Ok((self.fed, read))
    }

    fn source_in_lanes(&mut self, source: &mut SourceFeed, count: usize) -> Result<(), OpError> {
        let segments = (1..=count).map(|lane| self.segments.of_lane(lane, count)).collect();
        let cancel = self.cancel;
        std::thread::scope(|scope| {
            let mut lanes = Some(Lanes::start(scope, segments, cancel));
            let read = self.source(source, &mut lanes);
            if read.is_err() {
                cancel.cancel();
            }
            read
        })
    }

    fn source(
        &mut self,
        source: &mut SourceFeed,
        lanes: &mut Option<Lanes>,
    ) -> Result<(), OpError> {
        let SourceFeed { session, prefix, parent } = source;
        loop {
            let item = session.next();
            let last = !matches!(item, Ok(Some(_)));
            // Entries given before fail before what was given now.
            self.settle(lanes, last)?;
            let Some(item) = item? else { return Ok(()) };
            if self.cancel.is_cancelled() {
                return Err(OpError::Interrupted);
            }
            match item {
                Item::Entry(entry) => self.entry(*entry, prefix, parent, lanes)?,
                Item::Problem(problem) => self.problem(below(prefix, problem), lanes),
            }
        }
    }

    fn settle(&mut self, lanes: &mut Option<Lanes>, all: bool) -> Result<(), OpError> {
        let Some(lanes) = lanes else { return Ok(()) };
        while let Some(outcome) = lanes.settled(self.next, all)? {
            match outcome {
                lanes::Outcome::Read(read) => self.body_read(read),
                lanes::Outcome::Problem(problem) => self.note(problem),
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        source: SourceEntry,
        prefix: &EntryPath,
        parent: &mut Option<ParentCursor>,
        lanes: &mut Option<Lanes>,
    ) -> Result<(), OpError> {
        let SourceEntry { mut entry, body, need, .. } = source;
        if !prefix.is_root() {
            entry.path = match prefix.join(entry.path.as_bytes()) {
                Ok(joined) => joined,
                Err(error) => {
                    self.problem(problem_with(&entry.path, &error.to_string()), lanes);
                    return Ok(());
                }
            };
        }
        self.observer.on(Event::Current(entry.path.as_bytes()));
        let Some(body) = body else {
            return self.whole(entry);
        };
        let old = match parent.as_mut().and_then(|parent| parent.find(&entry)) {
            Some(Old::Unchanged(content)) => {
                entry.content = content;
                self.fed.counts.unchanged += 1;
                self.observer.on(Event::Bytes(entry.len()));
                return self.whole(entry);
            }
            Some(Old::Changed { content, whole, same_name }) => {
                Some(OldContent { content, whole, same_name })
            }
            None => None,
        };
        let job = Job { place: self.place(), entry, old, need, body };
        match lanes {
            Some(lanes) => lanes.read(job),
            None => {
                let read = job.read(&mut self.segments)?;
                self.body_read(read);
            }
        }
        Ok(())
    }

    fn place(&mut self) -> BatchPlace {
        self.next += 1;
        self.next - 1
    }

    fn whole(&mut self, entry: Entry) -> Result<(), OpError> {
        self.fed.counts.entries += 1;
        self.fed.counts.logical_bytes += entry.len();
        self.observer.on(Event::Items(1));
        let place = self.place();
        self.segments.step(Step::Whole(place, Box::new(entry)))
    }

    fn body_read(&mut self, read: BodyRead) {
        self.fed.counts.read_bytes += read.len;
        match read.end {
            Ok(BodyEnd { status, facts, .. }) => {
                self.fed.counts.entries += 1;
                self.fed.counts.logical_bytes += read.len;
                self.observer.on(Event::Items(1));
                self.facts.extend(facts);
                if let BodyStatus::Changed(how) = &status {
                    self.note(problem_with(&read.path, how));
                }
            }
            Err(why) => self.note(problem_with(&read.path, &why)),
        }
    }

    /// Notes a problem after those of the entries before.
    fn problem(&mut self, problem: Problem, lanes: &mut Option<Lanes>) {
        match lanes {
            Some(lanes) => lanes.problem(problem),
            None => self.note(problem),
        }
    }

    fn note(&mut self, problem: Problem) {
        self.observer.on(Event::Problem { path: &problem.path, message: &problem.message });
        self.fed.problems.note(problem);
    }
}

fn problem_with(path: &EntryPath, message: &str) -> Problem {
    Problem { path: Bytes::from(path.as_bytes()), message: message.into() }
}

/// Where in the snapshot a source's problem is. Its path may be what is wrong with it.
fn below(prefix: &EntryPath, mut problem: Problem) -> Problem {
    if !prefix.is_root() {
        let parts = [prefix.as_bytes(), &problem.path];
        problem.path = parts
            .iter()
            .filter(|it| !it.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(&b'/')
            .into();
    }
    problem
}
