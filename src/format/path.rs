//! Paths of catalog entries: raw bytes, relative, in the order of a walk.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Bytes;
use crate::limits::PATH_MAX;

/// A path that could name something outside the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a relative path without '.', '..', empty components or NUL: {path:?}")]
pub struct BadPath {
    /// The path as it was given.
    pub path: Bytes,
}

/// Where an entry stands in its snapshot. The empty path is the root.
///
/// Ordered by components, as if `/` were byte 0: every directory is directly followed by all it contains.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntryPath(Bytes);

impl EntryPath {
    /// Checks and takes a path.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, BadPath> {
        let path = Self(Bytes(path.into()));
        if path.is_safe() { Ok(path) } else { Err(BadPath { path: path.0 }) }
    }

    /// The path of the source itself: it has no component.
    pub const fn root() -> Self {
        Self(Bytes(Vec::new()))
    }

    /// True for the path without a component.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of the path, without a slash at either end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components, outermost first. None for the root.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
    }

    /// The path of the folder that holds this entry.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(Bytes(self.0.get(..end).unwrap_or_default().to_vec())))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// This path, `name` appended. `name` must itself be a good path.
    pub fn join(&self, name: &[u8]) -> Result<Self, BadPath> {
        let mut path = Vec::with_capacity(self.0.len() + 1 + name.len());
        path.extend_from_slice(&self.0);
        if !self.is_root() && !name.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Self::new(path)
    }

    /// This path relative to `prefix`, if it is `prefix` or lies below it.
    pub fn strip(&self, prefix: &EntryPath) -> Option<Self> {
        if prefix.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(prefix.as_bytes())? {
            [] => Some(Self::root()),
            [b'/', rest @ ..] => Some(Self(Bytes(rest.to_vec()))),
            _ => None,
        }
    }

    /// The path as text; what is not UTF-8 is replaced.
    pub fn display(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    pub(super) fn is_safe(&self) -> bool {
        let good =
            |name: &[u8]| !name.is_empty() && name != b"." && name != b".." && !name.contains(&0);
        self.is_root() || (self.0.len() <= PATH_MAX && self.0.split(|byte| *byte == b'/').all(good))
    }
}

impl Ord for EntryPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        self.0.iter().map(order).cmp(other.0.iter().map(order))
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text).unwrap()
    }

    #[test]
    fn order_is_that_of_a_walk() {
        let mut paths: Vec<_> =
            ["a.b", "a/c", "a", "a-b", "", "a/c/d", "b", "a/c!"].map(path).to_vec();
        paths.sort();
        assert_eq!(paths, ["", "a", "a/c", "a/c/d", "a/c!", "a-b", "a.b", "b"].map(path));
    }

    #[test]
    fn dangerous_paths_are_refused() {
        for bad in ["/", "/etc", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0b"] {
            assert!(EntryPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(EntryPath::new(vec![b'x'; PATH_MAX + 1]).is_err());
        assert!(EntryPath::new(b"...".to_vec()).is_ok());
    }

    #[test]
    fn parts() {
        let deep = path("a/b/c");
        assert_eq!(deep.parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), Some(EntryPath::root()));
        assert_eq!(EntryPath::root().parent(), None);
        assert_eq!(deep.name(), b"c");
        assert_eq!(deep.strip(&path("a")), Some(path("b/c")));
        assert_eq!(deep.strip(&path("a/b/c")), Some(EntryPath::root()));
        assert_eq!(path("ab").strip(&path("a")), None);
        assert_eq!(EntryPath::root().join(b"x"), Ok(path("x")));
    }
}
