//! Which entries of a snapshot are meant: all, or those some glob names with all they contain.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::format::{Entry, EntryKind, EntryPath, Problem};
use crate::limits::PROBLEMS_MAX;
use crate::repo::SnapshotView;
use crate::store::{CatalogCursor, CatalogItem, Lost};

use super::super::OpError;
use super::{Losses, LostStretch, RestoreOptions};

/// Patterns as a user gives them, each a name as `show` prints it or a glob. Without a `/` a pattern matches a name
/// anywhere, with one a path from the root.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// None: everything is selected.
    patterns: Option<Arc<Patterns>>,
}

#[derive(Debug)]
struct Patterns {
    each: Vec<Pattern>,
    globs: GlobSet,
    /// Folders in which something may be that a pattern names.
    above: GlobSet,
}

#[derive(Debug)]
struct Pattern {
    text: OsString,
    /// The path or name that it is, taken literally.
    literal: Vec<u8>,
    is_path: bool,
    is_literal: bool,
}

impl Selection {
    /// # Errors
    /// A usage error where a pattern is empty: that would be everything, or nothing.
    pub fn only(patterns: &[impl AsRef<OsStr>]) -> Result<Self, OpError> {
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        if patterns.iter().any(|text| text.as_ref().is_empty()) {
            return Err(OpError::Usage("a pattern is empty: is a variable not set?".into()));
        }
        Self::of(patterns.iter().map(|text| Pattern::new(text.as_ref(), false)))
    }

    fn of(patterns: impl Iterator<Item = Pattern>) -> Result<Self, OpError> {
        let (mut set, mut above) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut each = Vec::new();
        for pattern in patterns {
            set.add(pattern.glob()?);
            pattern.add_above(&mut above)?;
            each.push(pattern);
        }
        let wrong = |error: globset::Error| OpError::Usage(error.to_string());
        let (globs, above) = (set.build().map_err(wrong)?, above.build().map_err(wrong)?);
        Ok(Self { patterns: Some(Arc::new(Patterns { each, globs, above })) })
    }

    /// Whether `path` is selected, by itself or with a folder it is in.
    pub(super) fn covers(&self, path: &EntryPath) -> bool {
        std::iter::successors(Some(path.clone()), EntryPath::parent).any(|path| self.names(&path))
    }

    /// Whether something in the folder `path` may be selected.
    pub(super) fn may_enter(&self, path: &EntryPath) -> bool {
        let Some(patterns) = &self.patterns else { return true };
        path.is_root()
            || patterns.above.is_match(as_path(path))
            || patterns.each.iter().any(|pattern| pattern.is_below(path))
    }

    fn names(&self, path: &EntryPath) -> bool {
        let Some(patterns) = &self.patterns else { return true };
        patterns.globs.is_match(as_path(path))
            || patterns.each.iter().any(|pattern| pattern.is_literally(path))
    }

    /// The same where a name is a glob as well, and a snapshot has an entry of that very name: then only that is meant.
    pub fn literal_first(&self, view: &SnapshotView) -> Result<Self, OpError> {
        let Some(patterns) = &self.patterns else { return Ok(Self::default()) };
        let mut is_literal = vec![false; patterns.each.len()];
        if patterns.each.iter().any(Pattern::has_wildcards) {
            let mut cursor = view.entries();
            while let Some(item) = cursor.next_item()? {
                let CatalogItem::Entry(entry) = item else { continue };
                for (is_literal, pattern) in is_literal.iter_mut().zip(&patterns.each) {
                    *is_literal |= pattern.has_wildcards() && pattern.is_literally(&entry.path);
                }
            }
        }
        let texts = patterns.each.iter().map(|pattern| &*pattern.text);
        Self::of(texts.zip(is_literal).map(|(text, literal)| Pattern::new(text, literal)))
    }

    /// How many patterns there are.
    pub(super) fn len(&self) -> usize {
        self.patterns.as_ref().map_or(0, |patterns| patterns.each.len())
    }

    /// The patterns that name neither an entry of a snapshot nor one of `missing`, as they were given. Where a part of
    /// the catalog is lost nobody can tell: then it is none.
    pub(super) fn unmatched(
        &self,
        view: &SnapshotView,
        missing: &[Problem],
    ) -> Result<Vec<OsString>, OpError> {
        let Some(patterns) = &self.patterns else { return Ok(Vec::new()) };
        let mut left: Vec<(usize, &Pattern)> = patterns.each.iter().enumerate().collect();
        let mut meet = |path: &EntryPath| {
            let globs = patterns.globs.matches(as_path(path));
            left.retain(|(index, pattern)| !globs.contains(index) && !pattern.is_literally(path));
            !left.is_empty()
        };
        for path in missing.iter().filter_map(|problem| EntryPath::new(problem.path.to_vec()).ok())
        {
            meet(&path);
        }
        let mut cursor = view.entries();
        while let Some(item) = cursor.next_item()? {
            match item {
                CatalogItem::Entry(entry) if meet(&entry.path) => {}
                CatalogItem::Entry(_) => break,
                CatalogItem::Lost(_) => return Ok(Vec::new()),
            }
        }
        Ok(left.into_iter().map(|(_, pattern)| pattern.text.clone()).collect())
    }
}

impl Pattern {
    fn new(text: &OsStr, is_literal: bool) -> Self {
        let bytes = text.as_bytes();
        let is_slash = |byte: &u8| *byte == b'/';
        let first = bytes.iter().position(|byte| !is_slash(byte)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|byte| !is_slash(byte)).map_or(first, |last| last + 1);
        Self {
            text: text.to_owned(),
            literal: bytes.get(first..end).unwrap_or_default().to_vec(),
            is_path: bytes.contains(&b'/'),
            is_literal,
        }
    }

    /// As a glob from the root. None for bytes that are no text.
    fn anchored(&self) -> Option<String> {
        let text = str::from_utf8(&self.literal).ok()?;
        Some(if self.is_path { text.to_owned() } else { format!("**/{text}") })
    }

    /// A name with brackets that are not closed is no glob, and one of odd bytes neither: theirs matches nothing.
    fn glob(&self) -> Result<Glob, OpError> {
        let anchored = self.anchored().filter(|_| !self.is_literal);
        let compiled = anchored.and_then(|anchored| glob(&anchored).ok());
        match compiled {
            Some(compiled) => Ok(compiled),
            None => glob("/").map_err(|error| OpError::Usage(format!("{:?}: {error}", self.text))),
        }
    }

    /// Adds the folders in which something may be that this pattern names.
    fn add_above(&self, above: &mut GlobSetBuilder) -> Result<(), OpError> {
        let everything =
            || glob("**").map_err(|error| OpError::Usage(format!("{:?}: {error}", self.text)));
        match self.anchored() {
            Some(anchored) => {
                for folder in folders_above(&anchored) {
                    // Where a `/` stands in braces its parts are no globs: then any folder may be one.
                    above.add(glob(folder).or_else(|_| everything())?);
                }
            }
            // A name of odd bytes may stand in any folder.
            None if !self.is_path => drop(above.add(everything()?)),
            None => {}
        }
        Ok(())
    }

    fn has_wildcards(&self) -> bool {
        self.literal.iter().any(|byte| b"*?[]{}\\".contains(byte))
    }

    fn is_literally(&self, path: &EntryPath) -> bool {
        let whole = path.as_bytes();
        match self.is_path {
            true => whole == self.literal,
            false => whole.rsplit(|byte| *byte == b'/').next() == Some(&*self.literal),
        }
    }

    /// Whether `folder` is on the way to the path that this pattern is.
    fn is_below(&self, folder: &EntryPath) -> bool {
        let rest = self.literal.strip_prefix(folder.as_bytes());
        self.is_path && rest.is_some_and(|rest| rest.first() == Some(&b'/'))
    }
}

fn as_path(path: &EntryPath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
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
