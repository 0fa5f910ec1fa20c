//! The one way to report progress, and the one way to be told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an operation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    LoadIndex,
    Backup,
    Commit,
    Restore,
    RestoreMetadata,
    CheckNames,
    CheckSnapshots,
    CheckData,
    /// Prune: what snapshots need is found, copied out of packs that go, and the rest deleted.
    Mark,
    Copy,
    Delete,
    /// What packs hold is read from their ends, to make an index of it.
    ReadTrailers,
}

/// One step of progress. Counts are increments, totals replace what was known before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    Started(Phase),
    /// What the phase will come to, as far as known.
    Total {
        bytes: Option<u64>,
        items: Option<u64>,
    },
    Bytes(u64),
    Items(u64),
    /// What is being worked on now.
    Current(&'a [u8]),
    /// Something went wrong with one thing; the rest goes on.
    Problem {
        path: &'a [u8],
        message: &'a str,
    },
    Finished(Phase),
}

/// Hears of progress, from any thread. Must return quickly.
pub trait Observer: Send + Sync {
    fn on(&self, event: Event<'_>);
}

/// An observer that hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&self, _: Event<'_>) {}
}

/// A flag every long loop looks at. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    above: Option<Arc<Self>>,
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Is cancelled with this one, and can be on its own.
    pub fn child(&self) -> Self {
        Self { flag: Arc::default(), above: Some(Arc::new(self.clone())) }
    }

    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.above.as_deref().is_some_and(Self::is_cancelled)
    }

    /// The flag itself, for a signal handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

#[cfg(test)]
mod tests {
    use super::Cancel;

    #[test]
    fn a_stop_reaches_all_below_and_none_above() {
        let top = Cancel::new();
        let (middle, beside) = (top.child(), top.child());
        let bottom = middle.child();
        beside.cancel();
        assert!(!top.is_cancelled() && !middle.is_cancelled() && !bottom.is_cancelled());
        top.clone().cancel();
        assert!(middle.is_cancelled() && bottom.is_cancelled());
    }
}
