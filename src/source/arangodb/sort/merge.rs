//! Merging what is sorted: of records with one key, the youngest stands.

use std::io;
use std::sync::Arc;

use super::run::{Head, Run, RunReader};
use super::{Buffer, Record};

/// A place in sorted records.
pub(super) enum Cursor {
    Memory { buffer: Arc<Buffer>, next: usize },
    Run { reader: Box<RunReader>, head: Head },
}

impl Cursor {
    pub fn memory(buffer: &Arc<Buffer>) -> Self {
        Self::Memory { buffer: Arc::clone(buffer), next: 0 }
    }

    pub fn run(run: &Run) -> io::Result<Self> {
        Ok(Self::Run { reader: Box::new(run.read()?), head: Head::default() })
    }

    /// Goes to the next record, of a buffer to the last with its key. False at the end.
    fn advance(&mut self) -> io::Result<bool> {
        match self {
            Self::Run { reader, head } => reader.next(head),
            Self::Memory { buffer, next } => {
                let Some(key) = buffer.key(*next) else { return Ok(false) };
                *next += 1;
                while buffer.key(*next) == Some(key) {
                    *next += 1;
                }
                Ok(true)
            }
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Run { head, .. } => &head.key,
            Self::Memory { buffer, next } => {
                next.checked_sub(1).and_then(|at| buffer.key(at)).unwrap_or_default()
            }
        }
    }

    /// Whether it is a removal; bytes of revision and document.
    fn head(&self) -> (bool, u64, u64) {
        match self {
            Self::Run { head, .. } => (head.is_removal, head.revision, head.document),
            Self::Memory { buffer, next } => {
                next.checked_sub(1).and_then(|at| buffer.head(at)).unwrap_or((true, 0, 0))
            }
        }
    }

    fn read(&mut self, record: &mut Record) -> io::Result<()> {
        record.key.clear();
        record.key.extend_from_slice(self.key());
        match self {
            Self::Run { reader, head } => reader.read(head, record),
            Self::Memory { buffer, next } => {
                next.checked_sub(1).map(|at| buffer.read(at, record)).unwrap_or_default();
                Ok(())
            }
        }
    }
}

/// Cursors, oldest first, as one.
pub(in crate::source::arangodb) struct Merge {
    /// With a cursor that has ended, or has not begun, its state says so.
    cursors: Vec<(Cursor, CursorState)>,
    current: Option<usize>,
    drop_removals: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CursorState {
    /// Its record was given out, or passed over for a younger one.
    Used,
    Waiting,
    Ended,
}

impl Merge {
    pub(super) fn new(cursors: Vec<Cursor>, drop_removals: bool) -> Self {
        let cursors = cursors.into_iter().map(|cursor| (cursor, CursorState::Used)).collect();
        Self { cursors, current: None, drop_removals }
    }

    /// Goes to the next record. False at the end.
    pub fn next(&mut self) -> io::Result<bool> {
        loop {
            self.current = self.lowest()?;
            if self.current.is_none() {
                return Ok(false);
            }
            if !(self.drop_removals && self.is_removal()) {
                return Ok(true);
            }
        }
    }

    /// The youngest cursor at the lowest key. All cursors at that key are used.
    fn lowest(&mut self) -> io::Result<Option<usize>> {
        let mut lowest: Option<(usize, &[u8])> = None;
        let mut shared = Vec::new();
        for (at, (cursor, state)) in self.cursors.iter_mut().enumerate() {
            if *state == CursorState::Used {
                *state = if cursor.advance()? { CursorState::Waiting } else { CursorState::Ended };
            }
            if *state == CursorState::Ended {
                continue;
            }
            let key = (*cursor).key();
            match &lowest {
                Some((_, low)) if *low < key => continue,
                Some((_, low)) if *low == key => {}
                _ => shared.clear(),
            }
            shared.push(at);
            lowest = Some((at, key));
        }
        let lowest = lowest.map(|(at, _)| at);
        for at in shared {
            if let Some((_, state)) = self.cursors.get_mut(at) {
                *state = CursorState::Used;
            }
        }
        Ok(lowest)
    }

    pub fn is_removal(&self) -> bool {
        self.head().0
    }

    /// Bytes of the record's revision and document.
    pub fn lengths(&self) -> (u64, u64) {
        let (_, revision, document) = self.head();
        (revision, document)
    }

    fn head(&self) -> (bool, u64, u64) {
        let current = self.current.and_then(|at| self.cursors.get(at));
        current.map_or((true, 0, 0), |(cursor, _)| cursor.head())
    }

    pub fn read(&mut self, record: &mut Record) -> io::Result<()> {
        match self.current.and_then(|at| self.cursors.get_mut(at)) {
            Some((cursor, _)) => cursor.read(record),
            None => Err(io::Error::other("there is no record")),
        }
    }
}
