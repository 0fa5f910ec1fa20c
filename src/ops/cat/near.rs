//! Names like one that is not there: for the error that says so.

use crate::format::{EntryKind, EntryPath};
use crate::repo::SnapshotView;
use crate::store::StoreError;

/// Names looked at, and names given.
const LOOKED_AT_MAX: usize = 2000;
const GIVEN_MAX: usize = 4;
/// Longer names are compared by their starts.
const COMPARED_MAX: usize = 128;

/// The likest entries in the deepest folder on the way to `path` that is there.
pub(super) fn names(view: &SnapshotView, path: &EntryPath) -> Result<Vec<EntryPath>, StoreError> {
    let mut folder = path.clone();
    let mut wanted = Vec::new();
    loop {
        let Some(parent) = folder.parent() else { return Ok(Vec::new()) };
        wanted.splice(.., folder.name().iter().copied());
        folder = parent;
        if folder.is_root() || view.entry(&folder)?.is_some() {
            break;
        }
    }
    let bound = (wanted.len() / 3).max(2);
    let mut near: Vec<(usize, EntryPath)> = children(view, &folder)?
        .into_iter()
        .map(|child| (distance(&wanted, child.name()), child))
        .filter(|(distance, _)| *distance <= bound)
        .collect();
    near.sort();
    near.truncate(GIVEN_MAX);
    Ok(near.into_iter().map(|(_, child)| child).collect())
}

/// What is directly in a folder. What is deeper is passed over unread.
fn children(view: &SnapshotView, folder: &EntryPath) -> Result<Vec<EntryPath>, StoreError> {
    let mut cursor = view.entries();
    cursor.seek(folder)?;
    let mut found = Vec::new();
    for _ in 0..LOOKED_AT_MAX {
        let Some(entry) = cursor.next_entry()? else { break };
        let Some(below) = entry.path.strip(folder) else { break };
        if below.is_root() {
            continue;
        }
        // Without an entry of its own a folder still shows in what it contains.
        let name = below.components().next().unwrap_or_default();
        let Ok(child) = folder.join(name) else { continue };
        if entry.kind == EntryKind::Directory || child != entry.path {
            let mut behind = child.as_bytes().to_vec();
            // `/` sorts as byte 0: this is the first path behind all that is in the folder.
            behind.push(1);
            if let Ok(behind) = EntryPath::new(behind) {
                cursor.seek(&behind)?;
            }
        }
        if found.last() != Some(&child) {
            found.push(child);
        }
    }
    Ok(found)
}

/// How many bytes must be changed, put in or left out; case counts for nothing.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let short = |name: &[u8]| -> Vec<u8> {
        name.iter().take(COMPARED_MAX).map(u8::to_ascii_lowercase).collect()
    };
    let (a, b) = (short(a), short(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, letter) in a.iter().enumerate() {
        let (mut diagonal, mut left) = (above, above + 1);
        for (other, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        let cases = [("", "", 0), ("abc", "abc", 0), ("abc", "ABD", 1), ("ab", "cab", 1)];
        for (a, b, expected) in cases {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"abc", b""), 3);
    }
}
