//! Stream bytes gathered into segments and cut. A long stream is cut on all cores: each segment as if a chunk
//! began where it begins, which from some cut on is where chunks really end (`chunk::Guess`).

use std::collections::VecDeque;
use std::io::ErrorKind as IoKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::chunk::{Cutter, Guess};
use crate::format::Entry;
use crate::progress::{Cancel, Event, Observer};
use crate::repo::WriteSession;
use crate::source::Body;
use crate::store::{Encoder, Segment, SegmentChunk};

use super::super::OpError;
use super::batch::{Batch, BatchPlace, OldContent, OnItsWay, Step};

/// What the lanes of a backup have in common.
#[derive(Clone)]
struct Shared<'a> {
    cutter: Arc<Cutter>,
    encoder: Arc<Encoder>,
    observer: &'a dyn Observer,
    cancel: &'a Cancel,
    batches: Sender<Batch>,
    /// Segments that come back from the assembler.
    spent: Receiver<Segment>,
    /// A fresh segment is filled from here on; before it is room for what the one before left uncut.
    headroom: usize,
    capacity: usize,
}

pub(super) struct Segments<'a> {
    lane: usize,
    shared: Shared<'a>,
    current: Segment,
    /// Whether the stream being read has an old self; whether any in the current segment has.
    stream_is_old: bool,
    segment_is_old: bool,
    /// Bytes of the current segment up to here hold something; up to `cut` they are cut.
    filled: usize,
    cut: usize,
    /// Segments of the current stream before the current one, in order.
    guessing: VecDeque<Receiver<Guessed>>,
    guessing_max: usize,
    /// What they left uncut so far.
    carry: Vec<u8>,
    steps: Vec<Step>,
    /// Chunks of the current entry since the last step.
    chunks_begun: usize,
}

/// A segment cut from `from` on, wherever its first chunk really begins.
struct Guessed {
    segment: Segment,
    is_old: bool,
    from: usize,
    guess: Guess,
}

/// Steps without a segment are sent on at this many entries.
const STEPS_MAX: usize = 1024;
/// Segments that are coded at once: more than this, and memory would grow with the cores.
const IN_FLIGHT_MAX: usize = 12;
/// And not more bytes than this, where chunks are large.
const SEGMENTS_MAX: usize = 48 * 1024 * 1024;
/// Segments that are cut at once.
const GUESSING_MAX: usize = 4;
/// A segment holds this much, or four chunks of the largest size.
const SEGMENT: usize = 2 * 1024 * 1024;

/// Segments that memory is for, where chunks are at most so long.
pub(super) fn segments_affordable(chunk_max: u32) -> usize {
    let headroom = chunk_max as usize;
    (SEGMENTS_MAX / (headroom + SEGMENT.max(4 * headroom))).max(2)
}

impl<'a> Segments<'a> {
    /// The segments, the batches they are sent in, and where spent ones go back.
    pub fn new(
        cutter: Cutter,
        session: &WriteSession<'_>,
        observer: &'a dyn Observer,
        cancel: &'a Cancel,
    ) -> (Self, Receiver<Batch>, Sender<Segment>) {
        let threads = rayon::current_num_threads();
        let headroom = cutter.sizes().max as usize;
        let capacity = headroom + SEGMENT.max(4 * headroom);
        let affordable = segments_affordable(cutter.sizes().max);
        // Half of them wait to be aligned, where anything is, and half to be coded.
        let in_flight = threads.min(IN_FLIGHT_MAX).min(affordable).div_ceil(2) + 1;
        let guessing_max = threads.min(GUESSING_MAX).min(affordable);
        let (batches, to_assembler) = crossbeam_channel::bounded(in_flight);
        let (give_back, spent) = crossbeam_channel::bounded(in_flight + guessing_max + 2);
        let shared = Shared {
            cutter: Arc::new(cutter),
            encoder: Arc::clone(session.encoder()),
            observer,
            cancel,
            batches,
            spent,
            headroom,
            capacity,
        };
        (Self::with(shared, 0, guessing_max), to_assembler, give_back)
    }

    /// The segments of another lane, one of `lanes`, which share what may be cut at once. They go the same way.
    pub fn of_lane(&self, lane: usize, lanes: usize) -> Self {
        Self::with(self.shared.clone(), lane, self.guessing_max / lanes)
    }

    fn with(shared: Shared<'a>, lane: usize, guessing_max: usize) -> Self {
        let Shared { headroom, capacity, .. } = shared;
        Self {
            lane,
            shared,
            current: Segment::with_len(capacity),
            stream_is_old: false,
            segment_is_old: false,
            filled: headroom,
            cut: headroom,
            guessing: VecDeque::new(),
            guessing_max,
            carry: Vec::new(),
            steps: Vec::new(),
            chunks_begun: 0,
        }
    }

    /// How many lanes have memory for the segment that each of them fills and the one that it has cut.
    pub fn lanes_affordable(&self) -> usize {
        segments_affordable(self.shared.cutter.sizes().max) / 2
    }

    /// A stream begins.
    pub fn begin(
        &mut self,
        place: BatchPlace,
        entry: Entry,
        old: Option<OldContent>,
    ) -> Result<(), OpError> {
        self.stream_is_old = old.is_some();
        self.segment_is_old |= self.stream_is_old;
        self.step(Step::Begin(place, Box::new(entry), old))
    }

    pub fn step(&mut self, step: Step) -> Result<(), OpError> {
        self.steps.push(step);
        if self.steps.len() >= STEPS_MAX { self.dispatch() } else { Ok(()) }
    }

    /// Reads a stream to its end and cuts all of it, as one step. The outer error is the backup's, the inner
    /// one this stream's only.
    pub fn read(&mut self, body: &mut dyn Body) -> Result<Result<u64, std::io::Error>, OpError> {
        let read = self.read_all(body)?;
        self.settle(read.is_ok())?;
        let chunks = std::mem::take(&mut self.chunks_begun);
        self.step(Step::Chunks(chunks))?;
        Ok(read)
    }

    fn read_all(&mut self, body: &mut dyn Body) -> Result<Result<u64, std::io::Error>, OpError> {
        let mut len = 0u64;
        loop {
            if self.shared.cancel.is_cancelled() {
                return Err(OpError::Interrupted);
            }
            if self.filled == self.shared.capacity {
                self.turn_over()?;
            }
            let room = self.current.bytes.get_mut(self.filled..).unwrap_or_default();
            match body.read(room) {
                Ok(0) => return Ok(Ok(len)),
                Ok(count) => {
                    self.filled += count;
                    len += count as u64;
                    self.shared.observer.on(Event::Bytes(count as u64));
                }
                Err(error) if error.kind() == IoKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// The current segment is full, the stream goes on.
    fn turn_over(&mut self) -> Result<(), OpError> {
        if self.guessing.is_empty() && self.cut == self.filled {
            return self.dispatch();
        }
        let (from, is_old, segment) = (self.cut, self.segment_is_old, self.take_current());
        let cutter = Arc::clone(&self.shared.cutter);
        self.guessing.push_back(spawned(move || {
            let guess = cutter.guess(&segment.bytes, from);
            Guessed { segment, is_old, from, guess }
        }));
        if self.guessing.len() > self.guessing_max { self.confirm() } else { Ok(()) }
    }

    /// Cuts the oldest segment truly, with the help of its guess, and sends it on.
    fn confirm(&mut self) -> Result<(), OpError> {
        let Some(guessed) = self.guessing.pop_front() else { return Ok(()) };
        let Guessed { mut segment, is_old, from, guess } =
            guessed.recv().map_err(|_| OpError::Lost)?;
        let start = self.put_carry(&mut segment, from)?;
        let mut end = start;
        self.shared.cutter.confirm(&segment.bytes, start, &guess, |start, found| {
            segment.chunks.push(SegmentChunk { start, len: found.len, cut: found.kind });
            self.chunks_begun += 1;
            end = start + found.len;
        });
        self.carry.extend_from_slice(segment.bytes.get(end..).unwrap_or_default());
        self.send(segment, is_old)
    }

    /// Where the segment's first uncut byte is, once what was left before it lies in front of it.
    fn put_carry(&mut self, segment: &mut Segment, from: usize) -> Result<usize, OpError> {
        // Less than the largest chunk is ever left.
        let start = from.checked_sub(self.carry.len()).ok_or(OpError::Lost)?;
        let place = segment.bytes.get_mut(start..from).ok_or(OpError::Lost)?;
        place.copy_from_slice(&self.carry);
        self.carry.clear();
        Ok(start)
    }

    /// The stream has ended, or broken off: then what is not cut yet is let go.
    fn settle(&mut self, is_whole: bool) -> Result<(), OpError> {
        while !self.guessing.is_empty() {
            self.confirm()?;
        }
        if !is_whole {
            self.carry.clear();
            self.filled = self.cut;
            return Ok(());
        }
        let mut current = std::mem::take(&mut self.current);
        self.cut = self.put_carry(&mut current, self.cut)?;
        while let Some(found) = current
            .bytes
            .get(self.cut..self.filled)
            .and_then(|uncut| self.shared.cutter.cut(uncut, true))
        {
            current.chunks.push(SegmentChunk { start: self.cut, len: found.len, cut: found.kind });
            self.cut += found.len;
            self.chunks_begun += 1;
        }
        self.current = current;
        Ok(())
    }

    /// Sends the current segment, all cut, and the steps so far.
    pub fn dispatch(&mut self) -> Result<(), OpError> {
        if self.current.chunks.is_empty() {
            return self.send_steps(None);
        }
        let (is_old, segment) = (self.segment_is_old, self.take_current());
        self.send(segment, is_old)
    }

    fn take_current(&mut self) -> Segment {
        let capacity = self.shared.capacity;
        let next = self.shared.spent.try_recv().unwrap_or_else(|_| Segment::with_len(capacity));
        self.filled = self.shared.headroom;
        self.cut = self.shared.headroom;
        self.segment_is_old = self.stream_is_old;
        std::mem::replace(&mut self.current, next)
    }

    fn send(&mut self, segment: Segment, is_old: bool) -> Result<(), OpError> {
        if segment.chunks.is_empty() {
            return self.send_steps(None);
        }
        let encoder = Arc::clone(&self.shared.encoder);
        let on_its_way = if is_old {
            OnItsWay::Named(spawned(move || encoder.name(segment)))
        } else {
            OnItsWay::Coded(spawned(move || encoder.encode(segment)))
        };
        self.send_steps(Some(on_its_way))
    }

    fn send_steps(&mut self, segment: Option<OnItsWay>) -> Result<(), OpError> {
        if self.chunks_begun > 0 {
            self.steps.push(Step::Chunks(std::mem::take(&mut self.chunks_begun)));
        }
        let steps = std::mem::take(&mut self.steps);
        if segment.is_none() && steps.is_empty() {
            return Ok(());
        }
        let lane = self.lane;
        self.shared.batches.send(Batch { lane, segment, steps }).map_err(|_| OpError::Interrupted)
    }
}

/// Done on the pool; the result comes through a channel.
pub(super) fn spawned<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (done, result) = crossbeam_channel::bounded(1);
    rayon::spawn(move || {
        // A panic would end the process; so it ends this backup, and whoever waits hears of it.
        if let Ok(worked) = catch_unwind(AssertUnwindSafe(work)) {
            // Nobody waits any more when the backup was given up.
            let _ = done.send(worked);
        }
    });
    result
}
