//! What a snapshot never had of what is restored: it could not be read when the snapshot was taken.

use std::ffi::OsString;

use crate::format::{EntryKind, EntryPath, Problem};
use crate::limits::PATH_MAX;
use crate::repo::SnapshotView;
use crate::store::CatalogItem;

use super::super::OpError;
use super::Selection;

/// What could not be read as it was, as far as it concerns a selection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gaps {
    /// How many. Those that the manifest had no room for count: they may concern it.
    pub count: u64,
    /// The first of them.
    pub problems: Vec<Problem>,
    /// The patterns of the selection that name nothing in the snapshot.
    pub unmatched: Vec<OsString>,
}

/// The gaps of a snapshot in what is selected.
///
/// # Errors
/// A usage error where the selection names nothing at all.
pub fn gaps(view: &SnapshotView, selection: &Selection) -> Result<Gaps, OpError> {
    let gaps = those(view, |problem| concerns(view, selection, problem));
    let unmatched = selection.unmatched(view, &gaps.problems)?;
    if !unmatched.is_empty() && unmatched.len() == selection.len() && gaps.count == 0 {
        return Err(OpError::Usage(format!("{unmatched:?} names nothing in this snapshot")));
    }
    Ok(Gaps { unmatched, ..gaps })
}

/// The gaps of a snapshot in one entry.
pub fn gaps_in(view: &SnapshotView, path: &EntryPath) -> Gaps {
    those(view, |problem| *problem.path == *path.as_bytes())
}

fn those(view: &SnapshotView, concerned: impl Fn(&Problem) -> bool) -> Gaps {
    let manifest = &view.manifest;
    let problems: Vec<Problem> =
        manifest.problems.iter().filter(|problem| concerned(problem)).cloned().collect();
    let unlisted = manifest.problem_count.saturating_sub(manifest.problems.len() as u64);
    let mut count = unlisted.saturating_add(problems.len() as u64);
    if manifest.incomplete && manifest.problem_count == 0 {
        count += 1;
    }
    Gaps { count, problems, unmatched: Vec::new() }
}

fn concerns(view: &SnapshotView, selection: &Selection, problem: &Problem) -> bool {
    let path = match EntryPath::new(problem.path.to_vec()) {
        Ok(path) => path,
        // Too long to be kept: it is missing in the last folder on its way that is not.
        Err(_) => match folder_of(&problem.path) {
            Some(folder) => return selection.covers(&folder) || selection.may_enter(&folder),
            None => return true,
        },
    };
    // Of a folder that could not be read, everything in it is missing.
    selection.covers(&path) || (selection.may_enter(&path) && is_folder(view, &path))
}

fn folder_of(path: &[u8]) -> Option<EntryPath> {
    let start = path.get(..path.len().min(PATH_MAX))?;
    let end = start.iter().rposition(|byte| *byte == b'/')?;
    EntryPath::new(start.get(..end)?).ok()
}

/// Or may be one: where the catalog cannot be read, nobody knows.
fn is_folder(view: &SnapshotView, path: &EntryPath) -> bool {
    let mut cursor = view.entries();
    let found = cursor.seek(path).and_then(|()| cursor.next_item());
    match found {
        Ok(Some(CatalogItem::Entry(entry))) => {
            entry.path == *path && entry.kind == EntryKind::Directory
        }
        Ok(Some(CatalogItem::Lost(_))) | Err(_) => true,
        Ok(None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_on_the_way_to_what_is_selected() {
        let may_enter = |glob: &str, path: &str| {
            let selection = Selection::only(&[glob.to_owned()]).unwrap();
            selection.may_enter(&EntryPath::new(path).unwrap())
        };
        for (glob, path) in [
            ("a/b/c", ""),
            ("a/b/c", "a"),
            ("a/b/c", "a/b"),
            ("*.jpg", "any/where"),
            ("a/*/c", "a/x"),
            ("a/**/c", "a/x/y"),
            ("{a,b/c}/d", "b"),
        ] {
            assert!(may_enter(glob, path), "{glob} {path}");
        }
        for (glob, path) in
            [("a/b/c", "b"), ("a/b/c", "a/c"), ("a/b/c", "a/b/c/d"), ("a/**/c", "b")]
        {
            assert!(!may_enter(glob, path), "{glob} {path}");
        }
    }
}
