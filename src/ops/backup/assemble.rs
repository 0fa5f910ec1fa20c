//! The assembler: coded segments and steps, in order, to packs, recipes and the catalog.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};

use crate::format::{Bytes, ChunkRef, Entry, TreeRoot};
use crate::repo::WriteSession;
use crate::store::{
    Aligned, Aligner, CatalogBuilder, Encoder, OldStream, RecipeBuilder, RecipeCursor, Segment,
    StoreReader, StoreWriter, Written,
};

use super::super::OpError;
use super::batch::{Batch, BatchPlace, Coded, OldContent, OnItsWay, Step};
use super::segments::{segments_affordable, spawned};

/// Segments that are aligned and wait to be coded and stored, at most.
const CODING_MAX: usize = 7;

pub(super) struct Assembler {
    writer: StoreWriter,
    encoder: Arc<Encoder>,
    reader: Arc<StoreReader>,
    catalog: CatalogBuilder,
    /// Entries that are complete before an earlier one is; `None` is an entry given up.
    early: BTreeMap<BatchPlace, Option<Box<Entry>>>,
    /// The next entry of the catalog.
    next: BatchPlace,
    /// By lane, the stream whose chunks are aligned now, as it was.
    old: BTreeMap<usize, Follower>,
    /// Segments being coded, in order.
    coding: VecDeque<InCoding>,
    coding_max: usize,
    /// By lane, the entry whose recipe is being built.
    begun: BTreeMap<usize, Begun>,
    chunks: u64,
}

/// A batch that is aligned and being coded.
struct InCoding {
    lane: usize,
    coded: Option<Coded>,
    steps: Vec<Step>,
}

struct Begun {
    place: BatchPlace,
    entry: Box<Entry>,
    recipe: RecipeBuilder,
}

/// What the assembler does next.
enum Next {
    Batch(Batch),
    /// The feeder hung up.
    Ended,
    /// The segment that was begun first is coded, or soon is.
    Coded,
}

/// What waits is aligned first: all cores are to have something to code.
fn first_of(batches: &Receiver<Batch>, coded: &Coded) -> Next {
    let mut select = Select::new_biased();
    let waits = select.recv(batches);
    select.recv(coded);
    match select.ready() {
        index if index == waits => match batches.try_recv() {
            Ok(batch) => Next::Batch(batch),
            Err(TryRecvError::Disconnected) => Next::Ended,
            // Nobody else takes batches: it is the other, after all.
            Err(TryRecvError::Empty) => Next::Coded,
        },
        _ => Next::Coded,
    }
}

/// Follows an old stream.
struct Follower {
    aligner: Aligner,
    whole: bool,
}

impl Assembler {
    /// `old` is the catalog of the parent.
    pub fn new(
        session: &WriteSession<'_>,
        cut_key: &[u8; 32],
        chunk_max: u32,
        old: Option<TreeRoot>,
    ) -> Self {
        // While all cores code there is one more, for the next that is done.
        let cores = rayon::current_num_threads();
        let affordable = segments_affordable(chunk_max).div_ceil(2) + 1;
        let coding_max = (cores / 2 + 2).min(CODING_MAX).min(affordable);
        Self {
            writer: session.store_writer(),
            encoder: Arc::clone(session.encoder()),
            reader: Arc::clone(session.reader()),
            catalog: CatalogBuilder::new(cut_key, session.reader(), old),
            early: BTreeMap::new(),
            next: 0,
            old: BTreeMap::new(),
            coding: VecDeque::new(),
            coding_max,
            begun: BTreeMap::new(),
            chunks: 0,
        }
    }

    /// Until the feeder hangs up.
    pub fn run(
        &mut self,
        batches: &Receiver<Batch>,
        spent: &Sender<Segment>,
    ) -> Result<(), OpError> {
        let mut more = true;
        loop {
            let front = self.coding.front().map(|front| front.coded.as_ref());
            let next = match front {
                None if !more => return Ok(()),
                None => batches.recv().map_or(Next::Ended, Next::Batch),
                Some(Some(coded)) if more && self.coding.len() < self.coding_max => {
                    first_of(batches, coded)
                }
                Some(_) => Next::Coded,
            };
            match next {
                Next::Batch(batch) => self.begin(batch)?,
                Next::Ended => more = false,
                Next::Coded => {
                    if let Some(front) = self.coding.pop_front() {
                        self.assemble(front, spent)?;
                    }
                }
            }
        }
    }

    /// Aligns a batch with the streams it is the new version of, and has it coded.
    fn begin(&mut self, batch: Batch) -> Result<(), OpError> {
        let Batch { lane, segment, steps } = batch;
        let coded = match segment {
            Some(OnItsWay::Named(named)) => {
                let mut named = named.recv().map_err(|_| OpError::Lost)?;
                named.aligned = self.align(lane, &named.refs, &steps);
                let encoder = Arc::clone(&self.encoder);
                Some(spawned(move || encoder.code(named)))
            }
            Some(OnItsWay::Coded(coded)) => {
                self.align(lane, &[], &steps);
                Some(coded)
            }
            None => {
                self.align(lane, &[], &steps);
                None
            }
        };
        self.coding.push_back(InCoding { lane, coded, steps });
        Ok(())
    }

    fn align(&mut self, lane: usize, refs: &[ChunkRef], steps: &[Step]) -> Vec<Aligned> {
        let (mut aligned, mut refs) = (Vec::with_capacity(refs.len()), refs.iter());
        for step in steps {
            match step {
                Step::Begin(_, _, old) => {
                    self.old.remove(&lane);
                    if let Some(OldContent { content, whole, same_name }) = old {
                        let recipe = RecipeCursor::new(Arc::clone(&self.reader), content);
                        let old = OldStream::new(Box::new(recipe));
                        let aligner = match same_name {
                            true => Aligner::new(old),
                            false => Aligner::unproven(old),
                        };
                        self.old.insert(lane, Follower { aligner, whole: *whole });
                    }
                }
                Step::Chunks(count) => {
                    let mut old = self.old.get_mut(&lane);
                    for chunk in refs.by_ref().take(*count) {
                        let found = old.as_mut().map(|old| {
                            let found = old.aligner.next(chunk);
                            // Of a parent that is not whole the chunk may be gone.
                            Aligned { is_old: found.is_old && old.whole, ..found }
                        });
                        aligned.push(found.unwrap_or_default());
                    }
                }
                Step::End { .. } | Step::Drop(_) => drop(self.old.remove(&lane)),
                Step::Whole(..) => {}
            }
        }
        aligned
    }

    fn assemble(
        &mut self,
        InCoding { lane, coded, steps }: InCoding,
        spent: &Sender<Segment>,
    ) -> Result<(), OpError> {
        let mut refs = Vec::new();
        if let Some(coded) = coded {
            let mut segment = coded.recv().map_err(|_| OpError::Lost)??;
            self.writer.add_segment(&segment)?;
            refs = std::mem::take(&mut segment.refs);
            // A full or abandoned return channel only means one more buffer is made.
            let _ = spent.try_send(segment.into_spent());
        }
        let mut refs = refs.into_iter();
        for step in steps {
            self.step(lane, step, &mut refs)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        lane: usize,
        step: Step,
        refs: &mut impl Iterator<Item = ChunkRef>,
    ) -> Result<(), OpError> {
        match step {
            Step::Whole(place, entry) => self.complete(place, Some(entry))?,
            Step::Begin(place, entry, old) => {
                let old = old.as_ref().map(|old| &old.content.recipe);
                let recipe = RecipeBuilder::new(&self.reader, old);
                self.begun.insert(lane, Begun { place, entry, recipe });
            }
            Step::Chunks(count) => {
                let Some(begun) = self.begun.get_mut(&lane) else { return Err(OpError::Lost) };
                for chunk in refs.by_ref().take(count) {
                    begun.recipe.push(&mut self.writer, chunk)?;
                    self.chunks += 1;
                }
            }
            Step::End { keep_token, properties } => {
                let Some(Begun { place, mut entry, recipe }) = self.begun.remove(&lane) else {
                    return Err(OpError::Lost);
                };
                entry.content = Some(recipe.finish(&mut self.writer)?);
                entry.properties.extend(properties);
                if !keep_token {
                    entry.token = Bytes::default();
                }
                self.complete(place, Some(entry))?;
            }
            Step::Drop(place) => {
                self.begun.remove(&lane);
                self.complete(place, None)?;
            }
        }
        Ok(())
    }

    /// Puts into the catalog what has its turn: lanes end in any order, the catalog keeps its own.
    fn complete(&mut self, place: BatchPlace, entry: Option<Box<Entry>>) -> Result<(), OpError> {
        self.early.insert(place, entry);
        while let Some(entry) = self.early.remove(&self.next) {
            self.next += 1;
            if let Some(entry) = entry {
                self.catalog.push(&mut self.writer, *entry)?;
            }
        }
        Ok(())
    }

    /// The catalog's root, the chunks referred to, and what was written, all durable.
    pub fn finish(mut self) -> Result<(TreeRoot, u64, Written), OpError> {
        let root = self.catalog.finish(&mut self.writer)?;
        let written = self.writer.finish()?;
        Ok((root, self.chunks, written))
    }
}
