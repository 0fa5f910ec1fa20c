//! Files with several names.

use std::collections::HashMap;

use rustix::fs::Stat;

use super::state::{Identity, link_count};
use crate::format::{Entry, EntryPath, LinkGroup};

/// The link groups whose names have not all been seen.
#[derive(Default)]
pub(super) struct Links {
    groups: HashMap<(u64, u64), Group>,
}

struct Group {
    /// A file that some of the group's names lead to now, and how many do.
    found: Option<(Identity, u32)>,
    /// One, unless the file changed between the reading of two of its names.
    placed: Vec<Placed>,
    /// Names still to be placed, inside the snapshot or out.
    left: u32,
}

/// The name that a group's file was placed under first.
#[derive(Clone)]
pub(super) struct Placed {
    pub path: EntryPath,
    pub identity: Identity,
    state: State,
}

/// What all names of a file share, in short.
type State = [u8; 32];

impl Links {
    /// A name of `link` leads to `stat` now.
    pub fn found(&mut self, link: LinkGroup, stat: &Stat) {
        let identity = Identity::of(stat);
        match &mut self.group(link).found {
            Some((first, count)) if *first == identity => *count += 1,
            Some(_) => {}
            none => *none = Some((identity, 1)),
        }
    }

    /// Whether all names of the file that `stat` shows are known to be names of `link` in the target. Only
    /// such a file may be written to: the others are somebody else's too.
    pub fn has_all_names(&self, link: Option<LinkGroup>, stat: &Stat) -> bool {
        let names = link_count(stat);
        let group = link.and_then(|link| self.groups.get(&(link.device, link.inode)));
        names == 1 || group.and_then(|group| group.found) == Some((Identity::of(stat), names))
    }

    /// The file that `entry` is another name of.
    pub fn placed(&self, link: LinkGroup, entry: &Entry) -> Option<Placed> {
        let group = self.groups.get(&(link.device, link.inode))?;
        if group.placed.is_empty() {
            return None;
        }
        let state = state(entry);
        group.placed.iter().find(|placed| placed.state == state).cloned()
    }

    /// Whether any name of `link` was placed.
    pub fn has_placed(&self, link: LinkGroup) -> bool {
        let group = self.groups.get(&(link.device, link.inode));
        group.is_some_and(|group| !group.placed.is_empty())
    }

    /// Whether `stat` shows a file that a name of `link` was placed as.
    pub fn is_placed(&self, link: Option<LinkGroup>, stat: &Stat) -> bool {
        let group = link.and_then(|link| self.groups.get(&(link.device, link.inode)));
        let mut placed = group.iter().flat_map(|group| &group.placed);
        placed.any(|placed| placed.identity == Identity::of(stat))
    }

    /// One more name of `link` is in place.
    pub fn place(&mut self, link: LinkGroup, entry: &Entry, identity: Identity) {
        let group = self.group(link);
        group.left = group.left.saturating_sub(1);
        if group.left == 0 {
            self.groups.remove(&(link.device, link.inode));
            return;
        }
        if group.placed.iter().all(|placed| placed.identity != identity) {
            let (path, state) = (entry.path.clone(), state(entry));
            group.placed.push(Placed { path, identity, state });
        }
    }

    fn group(&mut self, link: LinkGroup) -> &mut Group {
        let new = || Group { found: None, placed: Vec::new(), left: link.names };
        self.groups.entry((link.device, link.inode)).or_insert_with(new)
    }
}

/// Kind, bytes and attributes; holes and the count of names may differ.
fn state(entry: &Entry) -> State {
    let unix = entry.unix.as_ref();
    let unix = unix.map(|unix| (unix.mode, unix.uid, unix.gid, unix.mtime, &unix.xattrs));
    let mut hasher = blake3::Hasher::new();
    let shared = (&entry.kind, &entry.content, unix, &entry.properties);
    if serde_json::to_writer(&mut hasher, &shared).is_err() {
        // Like no other entry, then.
        hasher.update(entry.path.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
