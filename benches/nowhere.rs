//! A target that only counts: that the bytes are right the reader has verified.

use std::sync::atomic::{AtomicU64, Ordering};

use restow::format::Entry;
use restow::source::{Fate, Importer, Sink, SourceError};

/// Takes everything, keeps nothing.
pub struct Nowhere;

static RESTORED: AtomicU64 = AtomicU64::new(0);

/// Bytes that were restored so far.
pub fn restored() -> u64 {
    RESTORED.load(Ordering::Relaxed)
}

impl Importer for Nowhere {
    fn inspect(&mut self, _: &Entry) -> Result<Fate, SourceError> {
        Ok(Fate::New)
    }

    fn place(&mut self, _: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError> {
        Ok(Some(Box::new(Self)))
    }

    fn settle(&mut self, _: &Entry) -> Result<(), SourceError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        Ok(())
    }
}

impl Sink for Nowhere {
    fn existing_len(&self) -> u64 {
        0
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<bool, SourceError> {
        Ok(false)
    }

    fn write_at(&self, _: u64, bytes: &[u8]) -> Result<(), SourceError> {
        RESTORED.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        Ok(())
    }
}
