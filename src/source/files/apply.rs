//! Gives what was restored its owner, extended attributes, mode and time, in the order in which none of
//! them undoes another: a new owner clears set-id bits and capabilities, an ACL rewrites the mode, and
//! everything may touch the time.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Stat, fstat};
use rustix::io::{Errno, Result};
use rustix::process::geteuid;

use super::attributes::file_type;
use super::databases::Databases;
use super::failure::words;
use super::node::Node;
use super::state::mtime;
use crate::format::UnixAttributes;
use crate::source::accounts::Accounts;
use crate::source::{ImportReport, OwnerPolicy, RestoreOptions};

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;

/// What every part of a restore needs to know.
pub(in crate::source) struct Context {
    pub options: RestoreOptions,
    pub(super) accounts: Accounts,
    pub(super) uid: u32,
    pub report: Arc<ImportReport>,
    pub(super) databases: Databases,
}

impl Context {
    pub fn new(options: RestoreOptions) -> Arc<Self> {
        let accounts = match options.owners {
            OwnerPolicy::ById => Accounts::default(),
            OwnerPolicy::ByName => Accounts::system(),
        };
        let (uid, databases) = (geteuid().as_raw(), Databases::default());
        Arc::new(Self { options, accounts, uid, report: Arc::default(), databases })
    }

    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The owner and group an entry is to have here.
    pub fn owner(&self, unix: &UnixAttributes) -> (u32, u32) {
        match self.options.owners {
            OwnerPolicy::ById => (unix.uid, unix.gid),
            OwnerPolicy::ByName => (
                self.accounts.uid(&unix.user).unwrap_or(unix.uid),
                self.accounts.gid(&unix.group).unwrap_or(unix.gid),
            ),
        }
    }

    /// The owner an entry will really have: without root's rights that is always oneself.
    pub fn owner_to_be(&self, unix: Option<&UnixAttributes>) -> u32 {
        unix.filter(|_| self.is_root()).map_or(self.uid, |unix| self.owner(unix).0)
    }

    /// Brings the attributes of `node` in line. What cannot be set is reported; what is right is left alone,
    /// so that a restore over an equal tree changes nothing, not even a change time.
    pub(super) fn apply(
        &self,
        held: BorrowedFd<'_>,
        node: &Node<'_>,
        unix: &UnixAttributes,
        path: &[u8],
    ) {
        let result = self.try_apply(held, node, unix, path);
        self.report_failure(path, "look at its attributes", result);
    }

    /// Likewise, those of an open file.
    pub fn apply_to(&self, file: impl AsFd, unix: &UnixAttributes, path: &[u8]) {
        let held = file.as_fd();
        self.apply(held, &Node::Open(held), unix, path);
    }

    fn try_apply(
        &self,
        held: BorrowedFd<'_>,
        node: &Node<'_>,
        unix: &UnixAttributes,
        path: &[u8],
    ) -> Result<()> {
        self.set_owner(node, &fstat(held)?, unix, path);
        self.set_xattrs(node, unix, path);
        let stat = fstat(held)?;
        let mode = self.mode(unix, &stat);
        if file_type(&stat) != FileType::Symlink && stat.st_mode & 0o7777 != mode {
            self.report_failure(path, "set the mode", node.set_mode(mode));
        }
        if mtime(&stat) != unix.mtime {
            self.report_failure(path, "set the modification time", node.set_mtime(unix.mtime));
        }
        Ok(())
    }

    fn set_owner(&self, node: &Node<'_>, stat: &Stat, unix: &UnixAttributes, path: &[u8]) {
        let (uid, gid) = self.owner(unix);
        let wrong = |wanted: u32, found: u32| (wanted != found).then_some(wanted);
        let (uid, gid) = (wrong(uid, stat.st_uid), wrong(gid, stat.st_gid));
        if uid.is_none() && gid.is_none() {
            return;
        }
        if self.is_root() {
            self.report_failure(path, "set the owner", node.set_owner(uid, gid));
            return;
        }
        // One's own files may be given to any group one is in.
        let group_is_right = gid.is_none() || node.set_owner(None, gid).is_ok();
        if uid.is_some() || !group_is_right {
            self.report.note(path, "owners are not restored: that needs root's rights");
        }
    }

    /// A file with set-id bits must not end up with another owner's rights than it had.
    fn mode(&self, unix: &UnixAttributes, stat: &Stat) -> u32 {
        let (uid, gid) = self.owner(unix);
        let mut mode = unix.mode & 0o7777;
        if stat.st_uid != uid {
            mode &= !SET_UID;
        }
        if stat.st_gid != gid {
            mode &= !SET_GID;
        }
        mode
    }

    fn set_xattrs(&self, node: &Node<'_>, unix: &UnixAttributes, path: &[u8]) {
        let present = match node.xattr_names() {
            Ok(names) => names,
            Err(Errno::NOTSUP) => Vec::new(),
            Err(_) if unix.xattrs.is_empty() => return,
            Err(errno) => {
                let message = format!("cannot list attributes: {}", words(errno));
                return self.report.problem(path, message);
            }
        };
        for name in &present {
            let is_wanted = unix.xattrs.iter().any(|xattr| *xattr.name == **name);
            if !is_wanted && is_ours(name) {
                let result = node.remove_xattr(name);
                self.report_xattr_failure(path, "remove", name, result);
            }
        }
        for xattr in &unix.xattrs {
            let is_right = present.iter().any(|name| **name == *xattr.name)
                && node.xattr(&xattr.name).is_ok_and(|value| value == *xattr.value);
            if !is_right {
                let result = node.set_xattr(&xattr.name, &xattr.value);
                self.report_xattr_failure(path, "set", &xattr.name, result);
            }
        }
    }

    fn report_failure(&self, path: &[u8], action: &str, result: Result<()>) {
        if let Err(errno) = result {
            self.report.problem(path, format!("cannot {action}: {}", words(errno)));
        }
    }

    fn report_xattr_failure(&self, path: &[u8], action: &str, name: &[u8], result: Result<()>) {
        let name = String::from_utf8_lossy(name);
        self.report_failure(path, &format!("{action} attribute {name}"), result);
    }
}

/// Attributes that a snapshot would have listed. The labels of security modules are the host's own.
fn is_ours(name: &[u8]) -> bool {
    let prefixes: [&[u8]; 4] =
        [b"user.", b"trusted.", b"system.posix_acl_", b"security.capability"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}
