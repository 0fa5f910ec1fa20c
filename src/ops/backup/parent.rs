//! The parent snapshot, read beside the source in the same order.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::format::{Content, Entry, EntryPath, TreeRoot};
use crate::repo::{Snapshot, SnapshotView, WriteSession};
use crate::store::{CatalogItem, Encoder, RecipePart, StoreError};

/// Finds, for each path of an ascending sequence, the parent's entry. Each leaf is read once.
pub(super) struct ParentCursor {
    view: SnapshotView,
    encoder: Arc<Encoder>,
    /// Whether everything the parent refers to is known to be there.
    whole: bool,
    /// Whether an equal token says that the bytes are equal.
    by_token: bool,
    old_prefix: EntryPath,
    new_prefix: EntryPath,
    window: Window,
}

/// An entry as the parent has it.
pub(super) enum Old {
    /// Its bytes can be taken over as they are: equal kind and token, and every chunk still there.
    Unchanged(Option<Content>),
    /// Its bytes must be read; they are likely to be much like these: of an entry with this name, or with one that
    /// differs in its numbers. Whether everything the parent refers to is known to be there.
    Changed { content: Content, whole: bool, same_name: bool },
}

/// Entries read ahead. The cursor into the catalog lives for one leaf's worth only: it borrows the view.
#[derive(Default)]
struct Window {
    entries: VecDeque<Entry>,
    /// Paths and contents that were stepped over last.
    passed: VecDeque<(EntryPath, Content)>,
    ended: bool,
    broken: bool,
}

/// Entries read at a time.
const AHEAD: usize = 1024;
/// Entries in which one with another number in its name is looked for, before and behind it.
const PASSED: usize = 32;

impl Window {
    fn step(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        if let Some(content) = entry.content.as_ref().filter(|content| content.len > 0)
            && has_number(&entry.path)
        {
            if self.passed.len() == PASSED {
                self.passed.pop_front();
            }
            self.passed.push_back((entry.path.clone(), content.clone()));
        }
        Some(entry)
    }

    /// The content of the entry nearest by whose path differs in numbers only: dumps are often named after the
    /// day.
    fn alike(&self, path: &EntryPath) -> Option<Content> {
        if !has_number(path) {
            return None;
        }
        let before = self.passed.iter().rev().map(|(path, content)| (path, Some(content)));
        let behind = self.entries.iter().take(PASSED);
        let behind = behind.map(|entry| (&entry.path, entry.content.as_ref()));
        let alike = |(other, _): &(&EntryPath, _)| {
            without_numbers(path.as_bytes()).eq(without_numbers(other.as_bytes()))
        };
        let content = before.chain(behind).find(alike)?.1?;
        (content.len > 0).then(|| content.clone())
    }
}

fn has_number(path: &EntryPath) -> bool {
    path.as_bytes().iter().any(u8::is_ascii_digit)
}

/// The path with one zero for every run of digits.
fn without_numbers(path: &[u8]) -> impl Iterator<Item = u8> {
    let mut in_number = false;
    path.iter().filter_map(move |byte| {
        let continues = in_number && byte.is_ascii_digit();
        in_number = byte.is_ascii_digit();
        match (in_number, continues) {
            (_, true) => None,
            (true, false) => Some(b'0'),
            _ => Some(*byte),
        }
    })
}

impl ParentCursor {
    pub fn new(
        session: &WriteSession<'_>,
        parent: Snapshot,
        [old_prefix, new_prefix]: [EntryPath; 2],
        by_token: bool,
    ) -> Self {
        let reader = Arc::clone(session.reader());
        let whole = session.is_whole(&parent.id);
        if !whole {
            tracing::debug!("chunks of parent {} are looked up one by one", parent.id);
        }
        Self {
            view: SnapshotView::new(parent.id, parent.manifest, reader),
            encoder: Arc::clone(session.encoder()),
            whole,
            by_token,
            old_prefix,
            new_prefix,
            window: Window::default(),
        }
    }

    pub fn catalog(&self) -> TreeRoot {
        self.view.manifest.catalog
    }

    /// What the parent has at the entry's path.
    pub fn find(&mut self, entry: &Entry) -> Option<Old> {
        if self.window.broken {
            return None;
        }
        let old_path = self.old_path(&entry.path)?;
        let found = self.look_for(&old_path).unwrap_or_else(|error| {
            // A damaged parent costs reading everything again, nothing more.
            tracing::warn!("parent {} cannot be read on: {error}", self.view.id);
            self.window.broken = true;
            None
        });
        let Some(found) = found else {
            let content = self.window.alike(&old_path)?;
            return Some(Old::Changed { content, whole: self.whole, same_name: false });
        };
        let same = self.by_token && !entry.token.is_empty() && found.token == entry.token;
        if same && found.kind == entry.kind && self.is_there(&found) {
            return Some(Old::Unchanged(found.content));
        }
        let content = found.content.filter(|content| content.len > 0)?;
        Some(Old::Changed { content, whole: self.whole, same_name: true })
    }

    fn old_path(&self, path: &EntryPath) -> Option<EntryPath> {
        self.old_prefix.join(path.strip(&self.new_prefix)?.as_bytes()).ok()
    }

    fn look_for(&mut self, path: &EntryPath) -> Result<Option<Entry>, StoreError> {
        loop {
            match self.window.entries.front() {
                Some(entry) if entry.path < *path => drop(self.window.step()),
                Some(entry) if entry.path == *path => return Ok(self.window.step()),
                Some(_) => return Ok(None),
                None if self.window.ended => return Ok(None),
                None => self.read_ahead(path)?,
            }
        }
    }

    fn read_ahead(&mut self, from: &EntryPath) -> Result<(), StoreError> {
        let mut cursor = self.view.entries();
        cursor.seek(from)?;
        while self.window.entries.len() < AHEAD {
            match cursor.next_item()? {
                Some(CatalogItem::Entry(entry)) => self.window.entries.push_back(entry),
                // What it told of is read again: that is all a damaged parent costs.
                Some(CatalogItem::Lost(lost)) => {
                    let (id, last) = (self.view.id, lost.last.display());
                    let (entries, error) = (lost.entries, lost.error);
                    tracing::warn!("parent {id} has lost {entries} entries up to {last}: {error}");
                }
                None => {
                    self.window.ended = true;
                    break;
                }
            }
        }
        Ok(())
    }

    fn is_there(&self, entry: &Entry) -> bool {
        let Some(content) = &entry.content else { return true };
        if self.whole {
            return true;
        }
        let mut recipe = self.view.recipe(content);
        loop {
            // The recipe's own nodes too: the new entry will refer to them.
            let id = match recipe.next_part() {
                Ok(Some(RecipePart::Chunk(chunk))) => chunk.id,
                Ok(Some(RecipePart::Node(node))) => node.id,
                Ok(None) => return true,
                Err(_) => return false,
            };
            if !self.encoder.known.is_stored(&id).unwrap_or(false) {
                return false;
            }
        }
    }
}
