//! Making entries.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fstat, linkat, makedev, mkdirat, mknodat, openat,
    statat, symlinkat,
};
use rustix::io::Errno;

use super::attributes::file_type;
use super::beneath::{c_name, open_beneath};
use super::failure::{failed, refused};
use super::import::{FolderImporter, go_to};
use super::likeness::{Likeness, describe, likeness};
use super::links::Placed;
use super::node::Node;
use super::remove::remove;
use super::sink::FileSink;
use super::state::{Identity, size};
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind};
use crate::source::{Sink, SourceError};

const PRIVATE_FILE: Mode = Mode::from_raw_mode(0o600);
const PRIVATE_FOLDER: Mode = Mode::from_raw_mode(0o700);
const HELD: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where an entry goes, and what is there.
struct Spot<'e> {
    entry: &'e Entry,
    directory: Arc<OwnedFd>,
    name: CString,
    found: Option<(Stat, Likeness)>,
}

impl Spot<'_> {
    fn path(&self) -> &[u8] {
        self.entry.path.as_bytes()
    }

    fn link(&self) -> Option<crate::format::LinkGroup> {
        self.entry.unix.as_ref().and_then(|unix| unix.link)
    }

    fn look(&self) -> Result<Stat, SourceError> {
        statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| failed("look at", self.path(), errno))
    }
}

impl FolderImporter {
    pub(super) fn place_entry(
        &mut self,
        entry: &Entry,
    ) -> Result<Option<Box<dyn Sink>>, SourceError> {
        if entry.kind == EntryKind::Socket {
            self.context.report.note(entry.path.as_bytes(), "sockets are not restored");
            return Ok(None);
        }
        if entry.path.is_root() {
            return self.place_root(entry).map(|()| None);
        }
        let spot = self.spot(entry)?;
        match &entry.kind {
            EntryKind::Directory => self.place_folder(spot).map(|()| None),
            EntryKind::File | EntryKind::Stream { .. } => self.place_file(spot),
            _ => self.place_special(spot).map(|()| None),
        }
    }

    fn place_root(&mut self, entry: &Entry) -> Result<(), SourceError> {
        if entry.kind != EntryKind::Directory {
            let message = "only a folder can be the root of a folder";
            return Err(refused(ErrorKind::Usage, entry.path.as_bytes(), message));
        }
        self.tree().map(|_| ())
    }

    fn spot<'e>(&mut self, entry: &'e Entry) -> Result<Spot<'e>, SourceError> {
        let path = entry.path.as_bytes();
        let parent = entry.path.parent().unwrap_or_default();
        let directory = go_to(self.tree()?, &parent, &entry.path, true)?;
        let name = c_name(entry.path.name()).map_err(|errno| failed("create", path, errno))?;
        let found = match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some((stat, likeness(entry, directory.as_fd(), &name, &stat))),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(failed("look at", path, errno)),
        };
        if let Some((stat, likeness)) = &found
            && *likeness != Likeness::Same
            && !self.context.options.overwrite
        {
            let message = format!("in the way: {}", describe(stat));
            return Err(refused(ErrorKind::Exists, path, message));
        }
        Ok(Spot { entry, directory, name, found })
    }

    fn place_folder(&mut self, spot: Spot<'_>) -> Result<(), SourceError> {
        match &spot.found {
            Some((stat, Likeness::Same)) => self.make_accessible(&spot, stat),
            found => {
                if let Some((stat, _)) = found {
                    clear(&spot, stat)?;
                }
                mkdirat(&spot.directory, &spot.name, PRIVATE_FOLDER)
                    .map_err(|errno| failed("create", spot.path(), errno))
            }
        }
    }

    /// A folder of one's own may have been restored read-only before; until it is settled it must not be.
    fn make_accessible(&self, spot: &Spot<'_>, stat: &Stat) -> Result<(), SourceError> {
        let is_closed = stat.st_mode & 0o700 != 0o700;
        if self.context.is_root() || !is_closed || stat.st_uid != self.context.uid {
            return Ok(());
        }
        let open = || {
            let held = openat(&spot.directory, &spot.name, HELD, Mode::empty())?;
            if Identity::of(&fstat(&held)?) != Identity::of(stat) {
                return Err(Errno::STALE);
            }
            Node::held(held.as_fd()).set_mode(stat.st_mode & 0o7777 | 0o700)
        };
        open().map_err(|errno| failed("set the mode of", spot.path(), errno))
    }

    fn place_file(&mut self, spot: Spot<'_>) -> Result<Option<Box<dyn Sink>>, SourceError> {
        if self.place_as_link(&spot)? {
            return Ok(None);
        }
        let (file, existing_len) = match self.reuse(&spot)? {
            Some(reused) => reused,
            None => (create(&spot)?, 0),
        };
        if let Some(link) = spot.link() {
            let stat = fstat(&file).map_err(|errno| failed("look at", spot.path(), errno))?;
            self.links.place(link, spot.entry, Identity::of(&stat));
        }
        Ok(Some(Box::new(FileSink {
            file,
            path: spot.entry.path.clone(),
            existing_len,
            len: spot.entry.len(),
            unix: spot.entry.unix.clone(),
            context: Arc::clone(&self.context),
        })))
    }

    /// The file that is there, if it may be written to. None after it was removed, or where nothing is.
    fn reuse(&self, spot: &Spot<'_>) -> Result<Option<(OwnedFd, u64)>, SourceError> {
        let Some((stat, likeness)) = &spot.found else { return Ok(None) };
        if *likeness != Likeness::OtherKind && self.may_reuse(spot, stat) {
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            // What cannot be opened for writing (it runs, or is read-only) can still be replaced.
            if let Ok(file) = openat(&spot.directory, &spot.name, flags, Mode::empty()) {
                let now = fstat(&file).map_err(|errno| failed("look at", spot.path(), errno))?;
                if Identity::of(&now) == Identity::of(stat) && self.may_reuse(spot, &now) {
                    return Ok(Some((file, size(&now))));
                }
            }
        }
        clear(spot, stat)?;
        Ok(None)
    }

    /// Whether what is there may be changed in place: it is nothing else's under another name, its owner is the
    /// one it is to have, and nobody can hold it open who could not open it once it is restored.
    fn may_reuse(&self, spot: &Spot<'_>, stat: &Stat) -> bool {
        let unix = spot.entry.unix.as_ref();
        let group_is_right = !self.context.is_root()
            || unix.is_some_and(|unix| self.context.owner(unix).1 == stat.st_gid);
        let allowed = unix.map_or(0o600, |unix| unix.mode);
        let is_link = file_type(stat) == FileType::Symlink;
        self.links.has_all_names(spot.link(), stat)
            && !self.links.is_placed(spot.link(), stat)
            && stat.st_uid == self.context.owner_to_be(unix)
            && group_is_right
            && (is_link || stat.st_mode & 0o077 & !allowed == 0)
    }

    /// Gives a file that was placed before another name. False where it is the first of its group, or no
    /// longer what the others are names of: the file changed between the reading of two names.
    fn place_as_link(&mut self, spot: &Spot<'_>) -> Result<bool, SourceError> {
        let Some(link) = spot.link() else { return Ok(false) };
        let Some(first) = self.links.placed(link, spot.entry) else {
            if self.links.has_placed(link) {
                let note = "names of a file that changed while it was backed up are restored as \
                            separate files";
                self.context.report.note(spot.path(), note);
            }
            return Ok(false);
        };
        let is_there = |stat: &Stat| Identity::of(stat) == first.identity;
        match &spot.found {
            Some((stat, _)) if is_there(stat) => {}
            found => {
                if let Some((stat, _)) = found {
                    clear(spot, stat)?;
                }
                if !self.link_to(&first, spot)? {
                    return Ok(false);
                }
                let stat = spot.look()?;
                if !is_there(&stat) {
                    clear(spot, &stat)?;
                    let message = "the file that it is another name of was replaced meanwhile";
                    return Err(refused(ErrorKind::Failed, spot.path(), message));
                }
            }
        }
        self.links.place(link, spot.entry, first.identity);
        Ok(true)
    }

    /// False where the file system gives files one name only.
    fn link_to(&mut self, first: &Placed, spot: &Spot<'_>) -> Result<bool, SourceError> {
        let folder = first.path.parent().unwrap_or_default();
        let root = Arc::clone(self.tree()?.root());
        let link = || {
            let directory = open_beneath(&root, &folder)?;
            let name = c_name(first.path.name())?;
            linkat(directory, &name, &spot.directory, &spot.name, AtFlags::empty())
        };
        match link() {
            Ok(()) => Ok(true),
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::NOTSUP | Errno::NOSYS) => {
                let note = "hard links are restored as copies: the target cannot link them";
                self.context.report.note(spot.path(), note);
                Ok(false)
            }
            Err(errno) => Err(failed("link", spot.path(), errno)),
        }
    }

    /// Symbolic links, FIFOs and devices: made and given their attributes at once.
    fn place_special(&mut self, spot: Spot<'_>) -> Result<(), SourceError> {
        if self.place_as_link(&spot)? {
            return Ok(());
        }
        match &spot.found {
            Some((stat, Likeness::Same)) if self.may_reuse(&spot, stat) => {}
            found => {
                if let Some((stat, _)) = found {
                    clear(&spot, stat)?;
                }
                make_special(&spot)?;
            }
        }
        let held = openat(&spot.directory, &spot.name, HELD, Mode::empty())
            .map_err(|errno| failed("open", spot.path(), errno))?;
        let stat = fstat(&held).map_err(|errno| failed("look at", spot.path(), errno))?;
        let is_ours =
            is_same_kind(&spot.entry.kind, &stat) && self.links.has_all_names(spot.link(), &stat);
        if !is_ours {
            let message = "replaced by something else while it was restored";
            return Err(refused(ErrorKind::Failed, spot.path(), message));
        }
        if let Some(link) = spot.link() {
            self.links.place(link, spot.entry, Identity::of(&stat));
        }
        if let Some(unix) = &spot.entry.unix {
            self.context.apply(held.as_fd(), &Node::held(held.as_fd()), unix, spot.path());
        }
        Ok(())
    }
}

fn create(spot: &Spot<'_>) -> Result<OwnedFd, SourceError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&spot.directory, &spot.name, flags, PRIVATE_FILE)
        .map_err(|errno| failed("create", spot.path(), errno))
}

fn make_special(spot: &Spot<'_>) -> Result<(), SourceError> {
    let directory: BorrowedFd<'_> = spot.directory.as_fd();
    let name: &CStr = &spot.name;
    let result = match &spot.entry.kind {
        EntryKind::Symlink { target } => {
            c_name(target).and_then(|target| symlinkat(&target, directory, name))
        }
        EntryKind::Fifo => mknodat(directory, name, FileType::Fifo, PRIVATE_FILE, 0),
        EntryKind::CharDevice { major, minor } => {
            let device = makedev(*major, *minor);
            mknodat(directory, name, FileType::CharacterDevice, PRIVATE_FILE, device)
        }
        EntryKind::BlockDevice { major, minor } => {
            let device = makedev(*major, *minor);
            mknodat(directory, name, FileType::BlockDevice, PRIVATE_FILE, device)
        }
        EntryKind::Directory | EntryKind::File | EntryKind::Socket | EntryKind::Stream { .. } => {
            Err(Errno::INVAL)
        }
    };
    result.map_err(|errno| match (errno, &spot.entry.kind) {
        (Errno::PERM, EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. }) => {
            refused(ErrorKind::Failed, spot.path(), "only root can create devices")
        }
        (errno, _) => failed("create", spot.path(), errno),
    })
}

fn is_same_kind(kind: &EntryKind, stat: &Stat) -> bool {
    let expected = match kind {
        EntryKind::Symlink { .. } => FileType::Symlink,
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::CharDevice { .. } => FileType::CharacterDevice,
        EntryKind::BlockDevice { .. } => FileType::BlockDevice,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Socket => FileType::Socket,
        EntryKind::File | EntryKind::Stream { .. } => FileType::RegularFile,
    };
    file_type(stat) == expected
}

/// Removes what is in the way.
fn clear(spot: &Spot<'_>, stat: &Stat) -> Result<(), SourceError> {
    remove(spot.directory.as_fd(), &spot.name, stat).map_err(|errno| match errno {
        Errno::XDEV => {
            let message = "in the way: a folder that other file systems are mounted on";
            refused(ErrorKind::Exists, spot.path(), message)
        }
        errno => failed("remove what is in place of", spot.path(), errno),
    })
}
