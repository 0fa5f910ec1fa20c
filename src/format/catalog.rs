//! The catalog: a snapshot's entries, sorted by path, and the nodes they are stored in.

use serde::{Deserialize, Serialize};

use super::bounded::bounded;
use super::record::{Extension, Record, check_extensions};
use super::tree::check_level;
use super::{Bytes, CatalogChild, EntryPath, FormatError, Recipe};
use crate::limits::{LEAF_ENTRIES_MAX, NODE_LIMIT};

/// A point in time: seconds since 1970 (UTC) and nanoseconds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "WireTime")]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanos: u32,
}

#[derive(Deserialize)]
struct WireTime {
    seconds: i64,
    nanos: u32,
}

impl TryFrom<WireTime> for Time {
    type Error = &'static str;

    fn try_from(WireTime { seconds, nanos }: WireTime) -> Result<Self, Self::Error> {
        match nanos < 1_000_000_000 {
            true => Ok(Self { seconds, nanos }),
            false => Err("a second has 1,000,000,000 nanoseconds"),
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink {
        /// The path that the link names.
        target: Bytes,
    },
    /// A named pipe.
    Fifo,
    /// A socket of the file system.
    Socket,
    /// A character device.
    CharDevice {
        /// The device's major number.
        major: u32,
        /// The device's minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The device's major number.
        major: u32,
        /// The device's minor number.
        minor: u32,
    },
    /// A stream of a source that is no file system: a table, a schema, a collection's snapshot.
    Stream {
        /// What the stream is, as its source names it: `table`, `collection`, `dump`…
        class: String,
    },
}

impl EntryKind {
    /// The name of the kind, as documents and listings show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Symlink { .. } => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::CharDevice { .. } => "character device",
            Self::BlockDevice { .. } => "block device",
            Self::Stream { .. } => "stream",
        }
    }
}

/// Entries of one file that has several names: same group, same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkGroup {
    pub device: u64,
    pub inode: u64,
    /// How many names the file has, inside and outside the snapshot.
    pub names: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Xattr {
    pub name: Bytes,
    pub value: Bytes,
}

/// What a Unix file system knows of an entry besides its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixAttributes {
    /// Permission bits, with set-id and sticky; the file type is the entry's kind.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Names of owner and group where the host knew them, else empty.
    pub user: String,
    pub group: String,
    pub mtime: Time,
    /// Sorted by name. ACLs are among them.
    pub xattrs: Vec<Xattr>,
    pub link: Option<LinkGroup>,
    /// Whether the file had holes: long zero runs are then restored as holes.
    pub sparse: bool,
}

/// An entry's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub len: u64,
    pub recipe: Recipe,
}

/// A fact about an entry that its source kind defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    pub name: String,
    pub value: Bytes,
}

/// One named thing of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The entry's place in the snapshot.
    pub path: EntryPath,
    /// What the entry is.
    pub kind: EntryKind,
    /// Mode, owner, times; `None` for what never lay in a file system.
    pub unix: Option<UnixAttributes>,
    /// Equal and not empty in two snapshots: the bytes are the same and need not be read again.
    pub token: Bytes,
    /// Its bytes; `None` for an entry without any.
    pub content: Option<Content>,
    /// Further facts that its source knows.
    pub properties: Vec<Property>,
    /// Fields of later versions.
    pub ext: Vec<Extension>,
}

impl Entry {
    /// Bytes of the entry's stream.
    pub fn len(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.len)
    }

    /// True for an entry without bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn check(&self) -> Result<(), FormatError> {
        const WHAT: &str = "catalog entry";
        if !self.path.is_safe() {
            let found = format!("{:?}", self.path);
            return Err(FormatError::damaged(WHAT, 2, "a safe relative path", found));
        }
        check_extensions(WHAT, &[], &self.ext)?;
        match &self.content {
            Some(content) => content.recipe.check(WHAT, content.len),
            None => Ok(()),
        }
    }
}

/// Consecutive entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogLeaf {
    #[serde(deserialize_with = "bounded::<_, _, 0, LEAF_ENTRIES_MAX>")]
    pub entries: Vec<Entry>,
    pub ext: Vec<Extension>,
}

impl Record for CatalogLeaf {
    const TAG: u8 = 3;
    const WHAT: &'static str = "catalog leaf";
    const LIMIT: usize = NODE_LIMIT;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        for entry in &self.entries {
            entry.check()?;
        }
        for (before, after) in self.entries.iter().zip(self.entries.iter().skip(1)) {
            if before.path >= after.path {
                let found = format!("{:?} before {:?}", before.path, after.path);
                return Err(FormatError::damaged(Self::WHAT, 2, "entries sorted by path", found));
            }
        }
        Ok(())
    }
}

/// A node above catalog leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogNode {
    /// 1 for a node whose children are leaves.
    pub level: u8,
    pub children: Vec<CatalogChild>,
    pub ext: Vec<Extension>,
}

impl CatalogNode {
    /// Entries below.
    pub fn total(&self) -> Result<u64, FormatError> {
        CatalogChild::total(Self::WHAT, &self.children)
    }
}

impl Record for CatalogNode {
    const TAG: u8 = 4;
    const WHAT: &'static str = "catalog node";
    const LIMIT: usize = NODE_LIMIT;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        check_level(Self::WHAT, self.level)?;
        self.total().map(drop)
    }
}
