//! Files with several names.

use std::collections::HashMap;

use rustix::fs::Stat;

use super::state::{Identity, link_count};
use crate::format::{EntryPath, LinkGroup};

/// The link groups whose names have not all been seen.
#[derive(Default)]
pub(super) struct Links {
    groups: HashMap<(u64, u64), Group>,
}

struct Group {
    /// A file that some of the group's names lead to now, and how many do.
    found: Option<(Identity, u32)>,
    placed: Option<Placed>,
    /// Names still to be placed, inside the snapshot or out.
    left: u32,
}

/// The name that a group's file was placed under.
#[derive(Clone)]
pub(super) struct Placed {
    pub path: EntryPath,
    pub identity: Identity,
}

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

    pub fn placed(&self, link: LinkGroup) -> Option<Placed> {
        self.groups.get(&(link.device, link.inode))?.placed.clone()
    }

    /// One more name of `link` is in place.
    pub fn place(&mut self, link: LinkGroup, path: &EntryPath, identity: Identity) {
        let group = self.group(link);
        group.placed.get_or_insert_with(|| Placed { path: path.clone(), identity });
        group.left = group.left.saturating_sub(1);
        if group.left == 0 {
            self.groups.remove(&(link.device, link.inode));
        }
    }

    fn group(&mut self, link: LinkGroup) -> &mut Group {
        let new = || Group { found: None, placed: None, left: link.names };
        self.groups.entry((link.device, link.inode)).or_insert_with(new)
    }
}
