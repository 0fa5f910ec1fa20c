//! The one way to report progress, and the one way to be told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an operation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The index is brought up to date.
    LoadIndex,
    /// Sources are read and stored.
    Backup,
    /// The manifest is put.
    Commit,
    /// Contents are written.
    Restore,
    /// Attributes of folders are set.
    RestoreMetadata,
    /// Names of objects are compared with their bytes.
    CheckNames,
    /// Catalogs and recipes are checked.
    CheckSnapshots,
    /// Packs are read and decoded.
    CheckData,
    /// Prune: what snapshots need is found, copied out of packs that go, and the rest deleted.
    Mark,
    /// Needed blocks are copied into new packs.
    Copy,
    /// Condemned packs are deleted.
    Delete,
    /// What packs hold is read from their ends, to make an index of it.
    ReadTrailers,
}

/// One step of progress. Counts are increments, totals replace what was known before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A phase began.
    Started(Phase),
    /// What the phase will come to, as far as known.
    Total {
        /// All bytes of the phase.
        bytes: Option<u64>,
        /// All entries or objects of the phase.
        items: Option<u64>,
    },
    /// So many more bytes are done.
    Bytes(u64),
    /// So many more entries or objects are done.
    Items(u64),
    /// What is being worked on now.
    Current(&'a [u8]),
    /// Something went wrong with one thing; the rest goes on.
    Problem {
        /// The entry or object.
        path: &'a [u8],
        /// What happened to it.
        message: &'a str,
    },
    /// A phase ended.
    Finished(Phase),
}

/// Hears of progress, from any thread. Must return quickly.
pub trait Observer: Send + Sync {
    /// Takes an event, on any thread.
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
    /// Makes a flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Is cancelled with this one, and can be on its own.
    pub fn child(&self) -> Self {
        Self { flag: Arc::default(), above: Some(Arc::new(self.clone())) }
    }

    /// Sets the flag.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// True once the flag is set.
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
