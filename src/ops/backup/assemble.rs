//! The assembler: coded segments and steps, in order, to packs, recipes and the catalog.

use crossbeam_channel::{Receiver, Sender};

use crate::format::{Bytes, ChunkRef, Entry, TreeRoot};
use crate::repo::WriteSession;
use crate::store::{CatalogBuilder, RecipeBuilder, Segment, StoreWriter, Written};

use super::super::OpError;
use super::feed::Step;
use super::segments::Batch;

pub(super) struct Assembler {
    writer: StoreWriter,
    catalog: CatalogBuilder,
    begun: Option<(Box<Entry>, RecipeBuilder)>,
    chunks: u64,
}

impl Assembler {
    pub fn new(session: &WriteSession<'_>, cut_key: &[u8; 32]) -> Self {
        Self {
            writer: session.store_writer(),
            catalog: CatalogBuilder::new(cut_key),
            begun: None,
            chunks: 0,
        }
    }

    /// Until the feeder hangs up.
    pub fn run(
        &mut self,
        batches: &Receiver<Batch>,
        spent: &Sender<Segment>,
    ) -> Result<(), OpError> {
        for batch in batches {
            let mut refs = Vec::new();
            if let Some(coded) = batch.coded {
                let mut segment = coded.recv().map_err(|_| OpError::Lost)??;
                self.writer.add_segment(&segment)?;
                refs = std::mem::take(&mut segment.refs);
                // A full or abandoned return channel only means one more buffer is made.
                let _ = spent.try_send(segment.into_spent());
            }
            let mut refs = refs.into_iter();
            for step in batch.steps {
                self.step(step, &mut refs)?;
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        step: Step,
        refs: &mut impl Iterator<Item = ChunkRef>,
    ) -> Result<(), OpError> {
        match step {
            Step::Whole(entry) => self.catalog.push(&mut self.writer, *entry)?,
            Step::Begin(entry) => self.begun = Some((entry, RecipeBuilder::default())),
            Step::Chunks(count) => {
                let Some((_, recipe)) = &mut self.begun else { return Err(OpError::Lost) };
                for chunk in refs.by_ref().take(count) {
                    recipe.push(&mut self.writer, chunk)?;
                    self.chunks += 1;
                }
            }
            Step::End { keep_token } => {
                let Some((mut entry, recipe)) = self.begun.take() else {
                    return Err(OpError::Lost);
                };
                entry.content = Some(recipe.finish(&mut self.writer)?);
                if !keep_token {
                    entry.token = Bytes::default();
                }
                self.catalog.push(&mut self.writer, *entry)?;
            }
            Step::Drop => self.begun = None,
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
