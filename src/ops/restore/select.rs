//! Which entries of a snapshot are meant: all, or those some glob names with all they contain.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::format::{Entry, EntryKind, EntryPath};
use crate::limits::PROBLEMS_MAX;
use crate::repo::SnapshotView;
use crate::store::{CatalogCursor, CatalogItem, Lost};

use super::super::OpError;
use super::{Losses, LostStretch, RestoreOptions};

/// Globs as a user gives them. Without a `/` one matches a name anywhere, with one a path from the root.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    globs: Option<GlobSet>,
    /// Folders in which something may be that `globs` name.
    above: GlobSet,
}

impl Selection {
    pub fn only(globs: &[String]) -> Result<Self, OpError> {
        if globs.is_empty() {
            return Ok(Self::default());
        }
        let (mut set, mut above) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in globs {
            let trimmed = text.trim_matches('/');
            let anchored = match text.contains('/') {
                true => trimmed.to_owned(),
                false => format!("**/{trimmed}"),
            };
            let wrong = |error| OpError::Usage(format!("{text:?} is no glob: {error}"));
            set.add(glob(&anchored).map_err(wrong)?);
            for folder in folders_above(&anchored) {
                // Where a `/` stands in braces its parts are no globs: then any folder may be one.
                let everything = |_| glob("**").map_err(wrong);
                above.add(glob(folder).or_else(everything)?);
            }
        }
        let wrong = |error: globset::Error| OpError::Usage(error.to_string());
        let (globs, above) = (set.build().map_err(wrong)?, above.build().map_err(wrong)?);
        Ok(Self { globs: Some(globs), above })
    }

    /// Whether `path` is selected, by itself or with a folder it is in.
    pub(super) fn covers(&self, path: &EntryPath) -> bool {
        std::iter::successors(Some(path.clone()), EntryPath::parent).any(|path| self.names(&path))
    }

    /// Whether something in the folder `path` may be selected.
    pub(super) fn may_enter(&self, path: &EntryPath) -> bool {
        path.is_root() || self.above.is_match(Path::new(OsStr::from_bytes(path.as_bytes())))
    }

    fn names(&self, path: &EntryPath) -> bool {
        match &self.globs {
            None => true,
            Some(globs) => globs.is_match(Path::new(OsStr::from_bytes(path.as_bytes()))),
        }
    }
}

fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}

/// Globs of the folders on the way to what a glob names.
fn folders_above(glob: &str) -> impl Iterator<Item = &str> {
    let ends = glob.match_indices('/').map(|(end, _)| end);
    // From a `**` on, everything: that is a glob of its own.
    let depths = glob.find("**").map(|at| at + 2);
    let folders = ends.filter(move |end| depths.is_none_or(|depth| *end < depth));
    folders.chain(depths).filter_map(|end| glob.get(..end))
}

/// The selected entries in catalog order, paths relative to the prefix. Directories on the way to a
/// selected entry are among them, so that their attributes are restored too.
pub(in crate::ops) struct Selected<'v> {
    cursor: CatalogCursor<'v>,
    options: &'v RestoreOptions,
    /// Directories above the last entry that nothing below them needed yet.
    above: Vec<Entry>,
    /// Where a selected directory is, all it contains is selected.
    inside: Option<EntryPath>,
    ready: std::collections::VecDeque<Entry>,
    losses: Losses,
}

impl<'v> Selected<'v> {
    pub fn new(view: &'v SnapshotView, options: &'v RestoreOptions) -> Result<Self, OpError> {
        let mut cursor = view.entries();
        if !options.prefix.is_root() {
            cursor.seek(&options.prefix)?;
        }
        Ok(Self {
            cursor,
            options,
            above: Vec::new(),
            inside: None,
            ready: Default::default(),
            losses: Losses::default(),
        })
    }

    /// The next entry; losses on the way are noted.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, OpError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            match self.cursor.next_item()? {
                Some(CatalogItem::Entry(mut entry)) => {
                    let Some(path) = entry.path.strip(&self.options.prefix) else {
                        return Ok(None);
                    };
                    // By the path that `show` prints, whichever source it is in.
                    let is_named = self.is_named(&entry.path);
                    entry.path = path;
                    self.take(entry, is_named);
                }
                Some(CatalogItem::Lost(lost)) => self.losses.note(lost),
                None => return Ok(None),
            }
        }
    }

    /// What the catalog no longer told on the way. It may or may not have been selected.
    pub fn losses(self) -> Losses {
        self.losses
    }

    fn take(&mut self, entry: Entry, is_named: bool) {
        self.above.retain(|above| entry.path.strip(&above.path).is_some());
        let inside = self.inside.as_ref().is_some_and(|top| entry.path.strip(top).is_some());
        if inside || is_named {
            if !inside && entry.kind == EntryKind::Directory {
                self.inside = Some(entry.path.clone());
            }
            self.ready.extend(self.above.drain(..));
            self.ready.push_back(entry);
        } else if entry.kind == EntryKind::Directory {
            self.above.push(entry);
        }
    }

    /// A directory that is selected may itself be among what is lost.
    fn is_named(&self, path: &EntryPath) -> bool {
        let selection = &self.options.selection;
        let above = || std::iter::successors(path.parent(), EntryPath::parent);
        selection.names(path)
            || (self.losses.entries > 0 && above().any(|above| selection.names(&above)))
    }
}

impl Losses {
    fn note(&mut self, lost: Lost) {
        self.entries = self.entries.saturating_add(lost.entries);
        if self.stretches.len() < PROBLEMS_MAX {
            let Lost { entries, last, error } = lost;
            self.stretches.push(LostStretch { entries, last, message: error.to_string() });
        }
    }
}
