//! The importer into a folder.

use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, mkdirat, openat, statat, syncfs};
use rustix::io::Errno;

use super::apply::Context;
use super::beneath::{Beneath, c_name, open_directory};
use super::databases::is_journal;
use super::failure::{failed, refused};
use super::filesystem::tells_at_once;
use super::likeness::{Likeness, describe, likeness};
use super::links::Links;
use super::node::Node;
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind, EntryPath};
use crate::source::{Fate, ImportReport, Importer, RestoreOptions, Sink, SourceError};

/// Writes entries into a folder, and never outside it.
pub struct FolderImporter {
    target: Target,
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
        Self::into(Target { folder: target.as_ref().to_path_buf(), name: None }, options)
    }

    /// Into the folder `name` in `folder`. That one must be a folder itself: several sources go there, and no
    /// link in it may lead one of them elsewhere.
    pub fn within(
        folder: impl AsRef<Path>,
        name: &[u8],
        options: RestoreOptions,
    ) -> Result<Self, SourceError> {
        let folder = folder.as_ref().to_path_buf();
        let name = c_name(name).map_err(|errno| failed("open", name, errno))?;
        Self::into(Target { folder, name: Some(name) }, options)
    }

    fn into(target: Target, options: RestoreOptions) -> Result<Self, SourceError> {
        let path = target.path();
        let path = path.as_os_str().as_bytes();
        let tree = match target.open() {
            Ok(root) => Some(Beneath::new(root)),
            Err(Errno::NOENT) => None,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(refused(ErrorKind::Exists, path, "the target is not a folder"));
            }
            Err(errno) => return Err(failed("open", path, errno)),
        };
        Ok(Self {
            target,
            keeps_root: tree.is_some() && !options.change_root,
            tree,
            links: Links::default(),
            context: Context::new(options),
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
            None => Beneath::new(self.target.create()?),
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
        let Some(tree) = &mut self.tree else { return Ok(()) };
        self.context.databases.report(tree, &self.journals, &self.context.report);
        // Where a server fails, or a quota ends, such file systems tell of it only now.
        if !tells_at_once(tree.root()) {
            syncfs(tree.root()).map_err(|errno| {
                let source = errno.into();
                let target = self.target.path().display().to_string();
                SourceError::NotOnDisk { target, source }
            })?;
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

/// Where everything goes.
struct Target {
    folder: PathBuf,
    /// The folder in it that is meant, if not `folder` itself.
    name: Option<CString>,
}

impl Target {
    fn path(&self) -> PathBuf {
        let name = self.name.iter().map(|name| OsStr::from_bytes(name.to_bytes()));
        std::iter::once(self.folder.as_os_str()).chain(name).collect()
    }

    fn open(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, &self.folder, flags, Mode::empty())?;
        match &self.name {
            Some(name) => open_directory(&folder, name),
            None => Ok(folder),
        }
    }

    fn create(&self) -> Result<OwnedFd, SourceError> {
        let make = || {
            std::fs::create_dir_all(&self.folder)?;
            let outer = Self { folder: self.folder.clone(), name: None }.open()?;
            let Some(name) = &self.name else { return Ok(outer) };
            match mkdirat(&outer, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => Ok(open_directory(&outer, name)?),
                Err(errno) => Err(errno.into()),
            }
        };
        let path = || self.path().display().to_string();
        make().map_err(|source: io::Error| SourceError::Target { path: path(), source })
    }
}
