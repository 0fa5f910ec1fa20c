//! A place in a directory tree, reached name by name and held by descriptors.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, Stat, fstat, mkdirat, openat};
use rustix::io::{Errno, Result};

use super::state::Identity;
use crate::format::EntryPath;

/// Directories held open on the way down. Deeper trees cost opening some again on the way up.
const OPEN_LEVELS: usize = 64;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory `name` in `parent`; never what a symbolic link points to.
pub(super) fn open_directory(parent: impl AsFd, name: &CStr) -> Result<OwnedFd> {
    open_quietly(parent, name, DIRECTORY)
}

/// Opens for reading without leaving a trace in the access time, where the owner's right to that is given.
pub(super) fn open_quietly(parent: impl AsFd, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    let quiet = openat(parent.as_fd(), name, flags | OFlags::NOATIME, Mode::empty());
    match quiet {
        Err(Errno::PERM) => openat(parent, name, flags, Mode::empty()),
        result => result,
    }
}

/// Opens the directory at `path` beneath `root`.
pub(super) fn open_beneath(root: &Arc<OwnedFd>, path: &EntryPath) -> Result<Arc<OwnedFd>> {
    let mut directory = Arc::clone(root);
    for name in path.components() {
        directory = Arc::new(open_directory(&directory, &c_name(name)?)?);
    }
    Ok(directory)
}

/// A name as system calls take it.
pub(super) fn c_name(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| Errno::INVAL)
}

/// A directory beneath a root, and the way to it.
pub(super) struct Beneath {
    root: Arc<OwnedFd>,
    levels: Vec<Level>,
}

struct Level {
    name: CString,
    identity: Identity,
    directory: Option<Arc<OwnedFd>>,
}

impl Beneath {
    pub fn new(root: OwnedFd) -> Self {
        Self { root: Arc::new(root), levels: Vec::new() }
    }

    pub fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// The directory this stands in.
    pub fn current(&self) -> Result<&Arc<OwnedFd>> {
        match self.levels.last() {
            None => Ok(&self.root),
            Some(level) => level.directory.as_ref().ok_or(Errno::STALE),
        }
    }

    /// One step down.
    pub fn enter(&mut self, name: &CStr) -> Result<Stat> {
        let directory = open_directory(self.current()?, name)?;
        let stat = fstat(&directory)?;
        self.levels.push(Level {
            name: name.to_owned(),
            identity: Identity::of(&stat),
            directory: Some(Arc::new(directory)),
        });
        let above = self.levels.len().checked_sub(OPEN_LEVELS + 1);
        if let Some(level) = above.and_then(|index| self.levels.get_mut(index)) {
            level.directory = None;
        }
        Ok(stat)
    }

    /// One step up: the name of the directory that was left. None at the root.
    pub fn leave(&mut self) -> Option<CString> {
        self.levels.pop().map(|level| level.name)
    }

    /// Makes sure that `current` is open after steps up.
    pub fn reopen(&mut self) -> Result<()> {
        if self.current().is_ok() {
            return Ok(());
        }
        let keep_from = self.levels.len().saturating_sub(OPEN_LEVELS / 2);
        let mut directory = Arc::clone(&self.root);
        for (index, level) in self.levels.iter_mut().enumerate() {
            directory = Arc::new(open_directory(&directory, &level.name)?);
            if Identity::of(&fstat(&directory)?) != level.identity {
                return Err(Errno::STALE);
            }
            if index >= keep_from {
                level.directory = Some(Arc::clone(&directory));
            }
        }
        Ok(())
    }

    /// Goes to `path`, over the directories shared with the place this stands in.
    /// With `create`, what is missing on the way is made.
    pub fn go_to(&mut self, path: &EntryPath, create: bool) -> Result<Arc<OwnedFd>> {
        let shared = path
            .components()
            .zip(&self.levels)
            .take_while(|(name, level)| *name == level.name.as_bytes())
            .count();
        self.levels.truncate(shared);
        self.reopen()?;
        for name in path.components().skip(shared) {
            let name = c_name(name)?;
            match self.enter(&name) {
                Err(Errno::NOENT) if create => {
                    mkdirat(self.current()?, &name, Mode::from_raw_mode(0o777))?;
                    self.enter(&name)?;
                }
                result => {
                    result?;
                }
            }
        }
        self.current().cloned()
    }
}
