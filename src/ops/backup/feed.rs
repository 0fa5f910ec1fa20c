//! The feeder: pulls entries, decides what is unchanged, reads and cuts the rest into segments.

use crate::format::{Bytes, Content, Entry, EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::source::{Body, BodyStatus, Item, Session, SourceEntry, SourceError};

use super::super::OpError;
use super::Problems;
use super::parent::{Old, ParentCursor};
use super::segments::Segments;

/// One source, opened.
pub(super) struct SourceFeed {
    pub session: Box<dyn Session>,
    pub prefix: EntryPath,
    pub parent: Option<ParentCursor>,
}

/// What the assembler does next. Chunks are taken from the batch's segment, in order.
pub(super) enum Step {
    /// An entry that is complete as it is.
    Whole(Box<Entry>),
    /// An entry whose bytes follow, and what it was.
    Begin(Box<Entry>, Option<OldContent>),
    /// That many chunks of the entry begun.
    Chunks(usize),
    /// The entry begun is read; whether its token still holds.
    End { keep_token: bool },
    /// The entry begun is given up.
    Drop,
}

/// The bytes of an entry as the parent has them.
pub(super) struct OldContent {
    pub content: Content,
    /// Whether everything the parent refers to is known to be there.
    pub whole: bool,
    /// Whether the parent has them under this name, or one like it.
    pub same_name: bool,
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
}

type Fedback = Result<(Fed, Vec<Box<dyn Session>>), OpError>;

impl<'a> Feed<'a> {
    pub fn new(segments: Segments<'a>, observer: &'a dyn Observer, cancel: &'a Cancel) -> Self {
        Self { segments, observer, cancel, fed: Fed::default() }
    }

    /// Reads all sources to their ends.
    pub fn run(mut self, sources: Vec<SourceFeed>) -> Fedback {
        let mut sessions = Vec::new();
        for mut source in sources {
            for mut section in source.session.sections()? {
                while let Some(item) = section.next()? {
                    if self.cancel.is_cancelled() {
                        return Err(OpError::Interrupted);
                    }
                    match item {
                        Item::Entry(entry) => {
                            self.entry(*entry, &source.prefix, &mut source.parent)?;
                        }
                        Item::Problem(problem) => self.problem(below(&source.prefix, problem)),
                    }
                }
            }
            sessions.push(source.session);
        }
        self.segments.dispatch()?;
        Ok((self.fed, sessions))
    }

    fn entry(
        &mut self,
        source: SourceEntry,
        prefix: &EntryPath,
        parent: &mut Option<ParentCursor>,
    ) -> Result<(), OpError> {
        let SourceEntry { mut entry, body, .. } = source;
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
            Ok(body) => self.body(entry, old, body),
            Err(SourceError::Interrupted) => Err(OpError::Interrupted),
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
        mut body: Box<dyn Body>,
    ) -> Result<(), OpError> {
        let path = entry.path.clone();
        self.segments.begin(entry, old)?;
        let outcome = match self.segments.read(&mut *body)? {
            Ok(len) => {
                self.fed.counts.read_bytes += len;
                body.finish().map(|status| (len, status)).map_err(|e| e.to_string())
            }
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        match outcome {
            Ok((len, status)) => {
                self.fed.counts.entries += 1;
                self.fed.counts.logical_bytes += len;
                self.observer.on(Event::Items(1));
                if let BodyStatus::Changed(how) = &status {
                    self.problem_with(&path, how);
                }
                self.segments.step(Step::End { keep_token: status == BodyStatus::Good })
            }
            Err(message) => {
                self.problem_with(&path, &message);
                self.segments.step(Step::Drop)
            }
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
