//! The feeder: pulls entries, decides what is unchanged, reads and cuts the rest into segments.

use crate::format::{Bytes, Entry, EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::source::{
    Body, BodyEnd, BodyStatus, Item, Need, Outcome, Session, SourceEntry, SourceError,
};

use super::super::OpError;
use super::Problems;
use super::batch::{OldContent, Step};
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
    cancel: &'a Cancel,
    fed: Fed,
    /// Facts of the bodies of the current source.
    facts: Vec<(String, String)>,
}

type Fedback = Result<(Fed, Vec<SourceRead>), OpError>;

impl<'a> Feed<'a> {
    pub fn new(segments: Segments<'a>, observer: &'a dyn Observer, cancel: &'a Cancel) -> Self {
        Self { segments, observer, cancel, fed: Fed::default(), facts: Vec::new() }
    }

    /// Reads all sources to their ends.
    pub fn run(mut self, sources: Vec<SourceFeed>) -> Fedback {
        let mut read = Vec::new();
        for SourceFeed { mut session, prefix, mut parent } in sources {
            while let Some(item) = session.next()? {
                if self.cancel.is_cancelled() {
                    return Err(OpError::Interrupted);
                }
                match item {
                    Item::Entry(entry) => self.entry(*entry, &prefix, &mut parent)?,
                    Item::Problem(problem) => self.problem(below(&prefix, problem)),
                }
            }
            read.push(SourceRead { session, facts: std::mem::take(&mut self.facts) });
        }
        self.segments.dispatch()?;
        Ok((self.fed, read))
    }

    fn entry(
        &mut self,
        source: SourceEntry,
        prefix: &EntryPath,
        parent: &mut Option<ParentCursor>,
    ) -> Result<(), OpError> {
        let SourceEntry { mut entry, body, need, .. } = source;
        if !prefix.is_root() {
            entry.path = match prefix.join(entry.path.as_bytes()) {
                Ok(joined) => joined,
                Err(error) => {
                    self.problem_with(&entry.path, &error.to_string());
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
        match body.open() {
            Ok(body) => self.body(entry, old, need, body),
            Err(SourceError::Interrupted) => Err(OpError::Interrupted),
            Err(error) if need == Need::Whole => Err(error.into()),
            Err(error) => {
                self.problem_with(&entry.path, &error.to_string());
                Ok(())
            }
        }
    }

    fn whole(&mut self, entry: Entry) -> Result<(), OpError> {
        self.fed.counts.entries += 1;
        self.fed.counts.logical_bytes += entry.len();
        self.observer.on(Event::Items(1));
        self.segments.step(Step::Whole(Box::new(entry)))
    }

    /// Reads a stream to its end.
    fn body(
        &mut self,
        entry: Entry,
        old: Option<OldContent>,
        need: Need,
        mut body: Box<dyn Body>,
    ) -> Result<(), OpError> {
        let path = entry.path.clone();
        self.segments.begin(entry, old)?;
        let len = match self.segments.read(&mut *body)? {
            Ok(len) => len,
            Err(error) if need == Need::Best => {
                self.problem_with(&path, &format!("cannot be read: {error}"));
                return self.segments.step(Step::Drop);
            }
            Err(error) => return Err(SourceError::of_read(&path.display(), error).into()),
        };
        self.fed.counts.read_bytes += len;
        match body.finish() {
            Ok(BodyEnd { status, properties, facts }) => {
                self.fed.counts.entries += 1;
                self.fed.counts.logical_bytes += len;
                self.observer.on(Event::Items(1));
                self.facts.extend(facts);
                if let BodyStatus::Changed(how) = &status {
                    self.problem_with(&path, how);
                }
                let keep_token = status == BodyStatus::Good;
                self.segments.step(Step::End { keep_token, properties })
            }
            Err(error) if need == Need::Best => {
                self.problem_with(&path, &error.to_string());
                self.segments.step(Step::Drop)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn problem_with(&mut self, path: &EntryPath, message: &str) {
        self.problem(Problem { path: Bytes::from(path.as_bytes()), message: message.into() });
    }

    fn problem(&mut self, problem: Problem) {
        self.observer.on(Event::Problem { path: &problem.path, message: &problem.message });
        self.fed.problems.note(problem);
    }
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
