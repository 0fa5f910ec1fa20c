//! The importer into a folder.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::apply::Context;
use super::beneath::{Beneath, c_name};
use super::databases::{Databases, is_journal};
use super::failure::{failed, refused};
use super::likeness::{Likeness, describe, likeness};
use super::links::Links;
use super::node::Node;
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind, EntryPath};
use crate::source::accounts::Accounts;
use crate::source::{Fate, ImportReport, Importer, OwnerPolicy, RestoreOptions, Sink, SourceError};

/// Writes entries into a folder, and never outside it.
pub struct FolderImporter {
    target: PathBuf,
    /// None until the target exists.
    pub(super) tree: Option<Beneath>,
    /// The target was there before, and stays as it is.
    keeps_root: bool,
    pub(super) links: Links,
    pub(super) context: Arc<Context>,
    /// Files placed that may be a database's journal.
    journals: HashSet<EntryPath>,
}

impl FolderImporter {
    /// `target` may be a symbolic link to a folder, and need not exist: it is made when the first entry is.
    pub fn new(target: impl AsRef<Path>, options: RestoreOptions) -> Result<Self, SourceError> {
        let target = target.as_ref().to_path_buf();
        let tree = match open_target(&target) {
            Ok(root) => Some(Beneath::new(root)),
            Err(Errno::NOENT) => None,
            Err(Errno::NOTDIR) => {
                let path = target.as_os_str().as_bytes();
                return Err(refused(ErrorKind::Exists, path, "the target is not a folder"));
            }
            Err(errno) => return Err(failed("open", target.as_os_str().as_bytes(), errno)),
        };
        let context = Context {
            options,
            accounts: match options.owners {
                OwnerPolicy::ById => Accounts::default(),
                OwnerPolicy::ByName => Accounts::load(),
            },
            uid: geteuid().as_raw(),
            report: Arc::default(),
            databases: Databases::default(),
        };
        Ok(Self {
            target,
            keeps_root: tree.is_some() && !options.change_root,
            tree,
            links: Links::default(),
            context: Arc::new(context),
            journals: HashSet::new(),
        })
    }

    /// What could not be done without failing for it. Complete once everything is settled.
    pub fn report(&self) -> Arc<ImportReport> {
        Arc::clone(&self.context.report)
    }

    /// The target, made if it is missing.
    pub(super) fn tree(&mut self) -> Result<&mut Beneath, SourceError> {
        let tree = match self.tree.take() {
            Some(tree) => tree,
            None => Beneath::new(create_target(&self.target)?),
        };
        Ok(self.tree.insert(tree))
    }

    /// What is at the place of `entry`, and how like it.
    fn look(&mut self, entry: &Entry) -> Result<Option<(Stat, Likeness)>, SourceError> {
        let path = entry.path.as_bytes();
        let Some(tree) = &mut self.tree else { return Ok(None) };
        let parent = entry.path.parent().unwrap_or_default();
        let directory = match tree.go_to(&parent, false) {
            Ok(directory) => directory,
            // Nothing can be beneath what is missing, or is no folder yet.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(failed("open the folder of", path, errno)),
        };
        let name = c_name(entry.path.name()).map_err(|errno| failed("look at", path, errno))?;
        match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some((stat, likeness(entry, directory.as_fd(), &name, &stat)))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("look at", path, errno)),
        }
    }
}

impl Importer for FolderImporter {
    fn inspect(&mut self, entry: &Entry) -> Result<Fate, SourceError> {
        if entry.path.is_root() {
            return Ok(if self.tree.is_some() { Fate::Kept } else { Fate::New });
        }
        if entry.kind == EntryKind::Socket {
            return Ok(Fate::Kept);
        }
        let (stat, likeness) = match self.look(entry) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Fate::New),
            // Looking must not open it up; placing will, if it is one's own.
            Err(SourceError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                return Ok(Fate::Replaced("something in a folder closed to you".to_owned()));
            }
            Err(error) => return Err(error),
        };
        let link = entry.unix.as_ref().and_then(|unix| unix.link);
        if let Some(link) = link
            && stat.st_nlink > 1
            && likeness != Likeness::OtherKind
        {
            self.links.found(link, &stat);
        }
        Ok(match likeness {
            Likeness::Same => Fate::Kept,
            Likeness::OtherContent | Likeness::OtherKind => Fate::Replaced(describe(&stat)),
        })
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError> {
        let placed = self.place_entry(entry)?;
        if is_journal(&entry.path) {
            self.journals.insert(entry.path.clone());
        }
        Ok(placed)
    }

    fn settle(&mut self, entry: &Entry) -> Result<(), SourceError> {
        let Some(unix) = &entry.unix else { return Ok(()) };
        let path = entry.path.as_bytes();
        if entry.path.is_root() && self.keeps_root {
            let note =
                "the target folder was there before: its own attributes are left as they are";
            self.context.report.note(path, note);
            return Ok(());
        }
        let directory = go_to(self.tree()?, &entry.path, &entry.path, false)?;
        let held = directory.as_fd();
        self.context.apply(held, &Node::Open(held), unix, path);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), SourceError> {
        if let Some(tree) = &mut self.tree {
            self.context.databases.report(tree, &self.journals, &self.context.report);
        }
        Ok(())
    }
}

/// Goes to `folder` for the sake of `entry`.
pub(super) fn go_to(
    tree: &mut Beneath,
    folder: &EntryPath,
    entry: &EntryPath,
    create: bool,
) -> Result<Arc<OwnedFd>, SourceError> {
    tree.go_to(folder, create).map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP => {
            let message = "what stands in place of its folder is none";
            refused(ErrorKind::Exists, entry.as_bytes(), message)
        }
        errno => failed("open the folder of", entry.as_bytes(), errno),
    })
}

fn create_target(target: &Path) -> Result<OwnedFd, SourceError> {
    let made =
        std::fs::create_dir_all(target).and_then(|()| open_target(target).map_err(io::Error::from));
    let path = || target.display().to_string();
    made.map_err(|source| SourceError::Target { path: path(), source })
}

fn open_target(target: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, target, flags, Mode::empty())
}
