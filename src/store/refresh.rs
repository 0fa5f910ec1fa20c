//! What is new in the repository's index, taken in where something is missing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::StoreError;

type News = dyn Fn() -> Result<bool, StoreError> + Send + Sync;

/// One at a time, however many threads miss something.
pub struct Refresh {
    /// Takes in what is new. Whether that was anything.
    news: Mutex<Box<News>>,
    times: AtomicU64,
}

impl Refresh {
    pub fn new(news: Box<News>) -> Self {
        Self { news: Mutex::new(news), times: AtomicU64::new(0) }
    }

    /// How often there was anything.
    pub(super) fn times(&self) -> u64 {
        self.times.load(Ordering::Acquire)
    }

    /// Whether there is anything that was not there when there had been news so often.
    pub(super) fn since(&self, seen: u64) -> Result<bool, StoreError> {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread, that waited before us, took it in.
        if self.times() != seen {
            return Ok(true);
        }
        let is_new = news()?;
        if is_new {
            self.times.fetch_add(1, Ordering::AcqRel);
        }
        Ok(is_new)
    }
}
