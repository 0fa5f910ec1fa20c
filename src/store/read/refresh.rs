//! What is new in the repository's index, taken in where something is missing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::store::StoreError;

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
    pub(in crate::store) fn times(&self) -> u64 {
        self.times.load(Ordering::Acquire)
    }

    /// Whether there is anything that was not there when there had been news so often.
    pub(in crate::store) fn since(&self, seen: u64) -> Result<bool, StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn news_are_asked_for_once_by_all_who_miss_something_and_again_by_who_still_does() {
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        // There are news twice.
        let news = move || Ok(counted.fetch_add(1, Ordering::Relaxed) < 2);
        let refresh = Refresh::new(Box::new(news));
        assert!(refresh.since(0).unwrap());
        assert!(refresh.since(0).unwrap(), "who waited meanwhile has them, too");
        assert_eq!((refresh.times(), asked.load(Ordering::Relaxed)), (1, 1));
        assert!(refresh.since(1).unwrap(), "who did not find it there asks again");
        assert_eq!((refresh.times(), asked.load(Ordering::Relaxed)), (2, 2));
        for asks in 3..5 {
            assert!(!refresh.since(2).unwrap(), "until there is nothing new");
            assert_eq!((refresh.times(), asked.load(Ordering::Relaxed)), (2, asks));
        }
    }

    #[test]
    fn an_error_is_no_news() {
        let refresh = Refresh::new(Box::new(|| Err(StoreError::Interrupted)));
        assert!(refresh.since(0).is_err());
        assert_eq!(refresh.times(), 0);
    }
}
