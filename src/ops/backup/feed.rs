//! The feeder: pulls entries, decides what is unchanged, reads and cuts the rest into segments.

use std::io::ErrorKind as IoKind;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::chunk::Cutter;
use crate::format::{Bytes, Entry, EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::repo::WriteSession;
use crate::source::{Body, BodyStatus, Item, Session, SourceEntry, SourceError};
use crate::store::{CodedSegment, Encoder, Segment, SegmentChunk, StoreError};

use super::super::OpError;
use super::Problems;
use super::parent::ParentCursor;

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
    /// An entry whose bytes follow.
    Begin(Box<Entry>),
    /// That many chunks of the entry begun.
    Chunks(usize),
    /// The entry begun is read; whether its token still holds.
    End { keep_token: bool },
    /// The entry begun is given up.
    Drop,
}

/// A segment on its way through the pool, and what to do with it.
pub(super) struct Batch {
    pub coded: Option<Receiver<Result<CodedSegment, StoreError>>>,
    pub steps: Vec<Step>,
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
    cutter: Cutter,
    encoder: Arc<Encoder>,
    observer: &'a dyn Observer,
    cancel: &'a Cancel,
    batches: Sender<Batch>,
    /// Buffers that come back from the assembler.
    spent: Receiver<Vec<u8>>,
    capacity: usize,
    segment: Segment,
    /// Bytes of the segment that hold something, and those already cut.
    filled: usize,
    cut: usize,
    steps: Vec<Step>,
    /// Chunks of the current entry in the current segment.
    chunks_begun: usize,
    fed: Fed,
}

/// Steps without a segment are sent on at this many entries.
const STEPS_MAX: usize = 1024;
/// Segments that are coded at once: more than this, and memory would grow with the cores.
const IN_FLIGHT_MAX: usize = 12;
/// A segment holds this much, or four chunks of the largest size.
const SEGMENT: usize = 2 * 1024 * 1024;

type Fedback = Result<(Fed, Vec<Box<dyn Session>>), OpError>;

impl<'a> Feed<'a> {
    /// The feeder, the batches it sends, and where spent buffers go back.
    pub fn new(
        cutter: Cutter,
        session: &WriteSession<'_>,
        observer: &'a dyn Observer,
        cancel: &'a Cancel,
    ) -> (Self, Receiver<Batch>, Sender<Vec<u8>>) {
        let in_flight = rayon::current_num_threads().min(IN_FLIGHT_MAX) + 1;
        let (batches, to_assembler) = crossbeam_channel::bounded(in_flight);
        let (give_back, spent) = crossbeam_channel::bounded(in_flight + 2);
        let capacity = SEGMENT.max(4 * cutter.sizes().max as usize);
        let feed = Self {
            cutter,
            encoder: Arc::clone(session.encoder()),
            observer,
            cancel,
            batches,
            spent,
            capacity,
            segment: Segment { bytes: vec![0; capacity], chunks: Vec::new() },
            filled: 0,
            cut: 0,
            steps: Vec::new(),
            chunks_begun: 0,
            fed: Fed::default(),
        };
        (feed, to_assembler, give_back)
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
                        Item::Problem(problem) => self.problem(problem),
                    }
                }
            }
            sessions.push(source.session);
        }
        self.dispatch()?;
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
            self.whole(entry);
            return self.dispatch_if_many();
        };
        if let Some(old) = parent.as_mut().and_then(|parent| parent.unchanged(&entry)) {
            entry.content = old.content;
            self.fed.counts.unchanged += 1;
            self.observer.on(Event::Bytes(entry.len()));
            self.whole(entry);
            return self.dispatch_if_many();
        }
        match body.open() {
            Ok(body) => self.body(entry, body),
            Err(SourceError::Interrupted) => Err(OpError::Interrupted),
            Err(error) => {
                self.problem_with(&entry.path, &error.to_string());
                Ok(())
            }
        }
    }

    fn whole(&mut self, entry: Entry) {
        self.fed.counts.entries += 1;
        self.fed.counts.logical_bytes += entry.len();
        self.observer.on(Event::Items(1));
        self.steps.push(Step::Whole(Box::new(entry)));
    }

    /// Reads a stream to its end.
    fn body(&mut self, entry: Entry, mut body: Box<dyn Body>) -> Result<(), OpError> {
        let path = entry.path.clone();
        self.steps.push(Step::Begin(Box::new(entry)));
        let read = self.read_all(&mut *body);
        let outcome = match read {
            Ok(Ok(len)) => body.finish().map(|status| (len, status)).map_err(|e| e.to_string()),
            Ok(Err(error)) => Err(format!("cannot be read: {error}")),
            Err(fatal) => return Err(fatal),
        };
        self.steps.push(Step::Chunks(std::mem::take(&mut self.chunks_begun)));
        match outcome {
            Ok((len, status)) => {
                self.fed.counts.entries += 1;
                self.fed.counts.logical_bytes += len;
                self.observer.on(Event::Items(1));
                if let BodyStatus::Changed(how) = &status {
                    self.problem_with(&path, how);
                }
                self.steps.push(Step::End { keep_token: status == BodyStatus::Good });
            }
            Err(message) => {
                self.steps.push(Step::Drop);
                self.problem_with(&path, &message);
            }
        }
        self.dispatch_if_many()
    }

    /// The outer error is the backup's, the inner one this entry's only.
    fn read_all(&mut self, body: &mut dyn Body) -> Result<Result<u64, std::io::Error>, OpError> {
        let mut len = 0u64;
        loop {
            if self.filled == self.capacity {
                self.dispatch()?;
            }
            let room = self.segment.bytes.get_mut(self.filled..).unwrap_or_default();
            let count = match body.read(room) {
                Ok(count) => count,
                Err(error) if error.kind() == IoKind::Interrupted => {
                    if self.cancel.is_cancelled() {
                        return Err(OpError::Interrupted);
                    }
                    continue;
                }
                Err(error) => {
                    // What was read of it so far must not run into the next stream.
                    self.filled = self.cut;
                    return Ok(Err(error));
                }
            };
            self.filled += count;
            len += count as u64;
            self.fed.counts.read_bytes += count as u64;
            self.observer.on(Event::Bytes(count as u64));
            let ended = count == 0;
            self.cut_ready(ended);
            if ended {
                return Ok(Ok(len));
            }
            if self.cancel.is_cancelled() {
                return Err(OpError::Interrupted);
            }
        }
    }

    fn cut_ready(&mut self, ended: bool) {
        while let Some(found) = self
            .segment
            .bytes
            .get(self.cut..self.filled)
            .and_then(|uncut| self.cutter.cut(uncut, ended))
        {
            let chunk = SegmentChunk { start: self.cut, len: found.len, cut: found.kind };
            self.segment.chunks.push(chunk);
            self.cut += found.len;
            self.chunks_begun += 1;
        }
    }

    fn dispatch_if_many(&mut self) -> Result<(), OpError> {
        if self.steps.len() >= STEPS_MAX { self.dispatch() } else { Ok(()) }
    }

    /// Sends the segment into the pool and the steps to the assembler; bytes not cut yet stay.
    fn dispatch(&mut self) -> Result<(), OpError> {
        if self.chunks_begun > 0 {
            self.steps.push(Step::Chunks(std::mem::take(&mut self.chunks_begun)));
        }
        let steps = std::mem::take(&mut self.steps);
        let coded = if self.segment.chunks.is_empty() { None } else { Some(self.spawn()) };
        if coded.is_none() && steps.is_empty() {
            return Ok(());
        }
        self.batches.send(Batch { coded, steps }).map_err(|_| OpError::Interrupted)
    }

    fn spawn(&mut self) -> Receiver<Result<CodedSegment, StoreError>> {
        let capacity = self.capacity;
        let mut fresh = self.spent.try_recv().unwrap_or_else(|_| vec![0; capacity]);
        let rest = self.segment.bytes.get(self.cut..self.filled).unwrap_or_default();
        for (to, from) in fresh.iter_mut().zip(rest) {
            *to = *from;
        }
        self.filled -= self.cut;
        self.cut = 0;
        let next = Segment { bytes: fresh, chunks: Vec::new() };
        let segment = std::mem::replace(&mut self.segment, next);
        let (done, result) = crossbeam_channel::bounded(1);
        let encoder = Arc::clone(&self.encoder);
        rayon::spawn(move || {
            // Nobody waits any more when the backup was given up.
            let _ = done.send(encoder.encode(segment));
        });
        result
    }

    fn problem_with(&mut self, path: &EntryPath, message: &str) {
        self.problem(Problem { path: Bytes::from(path.as_bytes()), message: message.into() });
    }

    fn problem(&mut self, problem: Problem) {
        self.observer.on(Event::Problem { path: &problem.path, message: &problem.message });
        self.fed.problems.note(problem);
    }
}
