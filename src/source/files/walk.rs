//! The walk over a folder, in catalog order.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::{Errno, pread};

use super::attributes::{file_type, kind, unix, xattrs};
use super::beneath::{Beneath, c_name};
use super::body::FileBody;
use super::exclude::{Excludes, FolderOptions};
use super::failure::{failed, refused, words};
use super::filesystem::Trust;
use super::listing::Names;
use super::node::Node;
use super::state::{FileState, size};
use crate::fault::ErrorKind;
use crate::format::{Bytes, Entry, EntryKind, EntryPath, Problem, Time, Xattr};
use crate::progress::Cancel;
use crate::source::accounts::Accounts;
use crate::source::{Item, Need, OpenBody, Outcome, Session, SourceEntry, SourceError};

const CACHE_TAG: &CStr = c"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// A folder's entries, one after the other.
pub(super) struct Walk {
    place: Beneath,
    /// What is still to be visited, in the folder we stand in and in those above it.
    names: Vec<Names>,
    /// Path of the folder we stand in, and its length for each folder above.
    path: Vec<u8>,
    path_lengths: Vec<usize>,
    pending: VecDeque<Item>,
    is_started: bool,
    root_device: u64,
    settled: Time,
    trust: Trust,
    accounts: Accounts,
    excludes: Excludes,
    tags: Vec<CString>,
    /// Device and inode of folders that are left out.
    left_out: Vec<(u64, u64)>,
    exclude_caches: bool,
    one_file_system: bool,
    reads_xattrs: bool,
    /// Entries that the options left out.
    excluded: u64,
    cancel: Cancel,
}

impl Walk {
    /// Walks over `root`, or over the one file `name` in it. `settled` is the time after which a file
    /// counts as just touched.
    pub fn new(
        root: OwnedFd,
        name: Option<CString>,
        options: &FolderOptions,
        settled: Time,
        cancel: Cancel,
    ) -> Result<Self, SourceError> {
        let stat = fstat(&root).map_err(|errno| failed("look at", b"", errno))?;
        let only_one = name.is_some();
        let no_options = FolderOptions::default();
        let options = if only_one { &no_options } else { options };
        let left_out: Vec<_> = options.leave_out.iter().filter_map(|path| identity(path)).collect();
        if left_out.contains(&(stat.st_dev, stat.st_ino)) {
            return Err(refused(ErrorKind::Usage, b"", "this very folder is to be left out"));
        }
        let tags = options.exclude_if_present.iter().map(|tag| c_name(tag.as_bytes()));
        let walk = Self {
            place: Beneath::new(root),
            names: name.iter().map(|name| Names::one(name)).collect(),
            path: Vec::new(),
            path_lengths: Vec::new(),
            pending: VecDeque::new(),
            is_started: only_one,
            root_device: stat.st_dev,
            settled,
            trust: Trust::default(),
            accounts: Accounts::system(),
            excludes: Excludes::new(options)?,
            tags: tags.collect::<Result<_, _>>().map_err(|errno| failed("use", b"", errno))?,
            left_out,
            exclude_caches: options.exclude_caches,
            one_file_system: options.one_file_system,
            reads_xattrs: statat(CWD, c"/proc/self/fd", AtFlags::empty()).is_ok(),
            excluded: 0,
            cancel,
        };
        Ok(walk)
    }

    /// The root entry, and the names in it.
    fn start(&mut self) -> Result<(), SourceError> {
        self.is_started = true;
        let root = Arc::clone(self.place.root());
        let stat = fstat(&root).map_err(|errno| failed("look at", b"", errno))?;
        let (xattrs, problems) = xattrs(&Node::Open(root.as_fd()));
        if !self.reads_xattrs {
            self.problem(b"", "attributes of files are not read: /proc is not mounted");
        }
        self.give(EntryPath::root(), EntryKind::Directory, &stat, xattrs, problems);
        self.list(b"");
        Ok(())
    }

    /// One name of the folder we stand in.
    fn visit(&mut self, name: &CStr) {
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let directory = match self.place.current() {
            Ok(directory) => Arc::clone(directory),
            Err(errno) => return self.problem(&path, &words(errno)),
        };
        let stat = match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(_) if self.excludes.covers(&path, true) => return self.count_excluded(1),
            Err(Errno::NOENT) => return self.problem(&path, "vanished before it was read"),
            Err(errno) => return self.problem(&path, &because("cannot look at it", errno)),
        };
        if self.excludes.covers(&path, file_type(&stat) == FileType::Directory) {
            return self.count_excluded(1);
        }
        let path = match EntryPath::new(path) {
            Ok(path) => path,
            Err(bad) => return self.problem(&bad.path, "the path is too long to be kept"),
        };
        match file_type(&stat) {
            FileType::Directory if self.left_out.contains(&(stat.st_dev, stat.st_ino)) => {
                self.count_excluded(1);
            }
            FileType::Directory => self.visit_folder(name, path, stat),
            FileType::RegularFile => self.give_file(directory, name, path, &stat),
            _ => self.give_other(&directory, name, path, &stat),
        }
    }

    fn visit_folder(&mut self, name: &CStr, path: EntryPath, stat: Stat) {
        let is_elsewhere =
            |stat: &Stat, walk: &Self| walk.one_file_system && stat.st_dev != walk.root_device;
        if is_elsewhere(&stat, self) {
            return self.give(path, EntryKind::Directory, &stat, Vec::new(), Vec::new());
        }
        // From here on the folder that was opened counts, whatever the name stood for before.
        let opened = match self.place.enter(name) {
            Ok(opened) => opened,
            Err(errno) => {
                self.problem(path.as_bytes(), &because("cannot open the folder", errno));
                return self.give(path, EntryKind::Directory, &stat, Vec::new(), Vec::new());
            }
        };
        let (xattrs, problems) = match self.place.current() {
            Ok(directory) => xattrs(&Node::Open(directory.as_fd())),
            Err(errno) => (Vec::new(), vec![words(errno)]),
        };
        self.give(path.clone(), EntryKind::Directory, &opened, xattrs, problems);
        if is_elsewhere(&opened, self) {
            // Opening can mount. What is then seen is still another file system.
            self.place.leave();
            return;
        }
        self.path_lengths.push(self.path.len());
        self.path = path.as_bytes().to_vec();
        self.list(path.as_bytes());
    }

    fn give_file(&mut self, directory: Arc<OwnedFd>, name: &CStr, path: EntryPath, stat: &Stat) {
        let (xattrs, problems) = self.named_xattrs(&directory, name);
        let seen = FileState::of(stat);
        for message in problems {
            self.problem(path.as_bytes(), &message);
        }
        let mut entry = self.entry(path.clone(), EntryKind::File, stat, xattrs);
        if self.trust.is_exact(&directory, name, stat.st_dev) {
            entry.token = seen.token(self.settled);
        }
        let body: Box<dyn OpenBody> =
            Box::new(FileBody { directory, name: name.to_owned(), path, seen });
        let item = SourceEntry { entry, body: Some(body), need: Need::Best, size_hint: size(stat) };
        self.pending.push_back(item.into());
    }

    fn give_other(&mut self, directory: &OwnedFd, name: &CStr, path: EntryPath, stat: &Stat) {
        let kind = match kind(stat) {
            Some(kind) => kind,
            None => match readlinkat(directory, name, Vec::new()) {
                Ok(target) => EntryKind::Symlink { target: target.into_bytes().into() },
                Err(Errno::NOENT) => {
                    return self.problem(path.as_bytes(), "vanished before it was read");
                }
                Err(errno) => {
                    return self.problem(path.as_bytes(), &because("cannot read the link", errno));
                }
            },
        };
        let (xattrs, problems) = self.named_xattrs(directory, name);
        self.give(path, kind, stat, xattrs, problems);
    }

    fn named_xattrs(&self, directory: &OwnedFd, name: &CStr) -> (Vec<Xattr>, Vec<String>) {
        if self.reads_xattrs {
            xattrs(&Node::named(directory.as_fd(), name))
        } else {
            (Vec::new(), Vec::new())
        }
    }

    /// An entry without bytes.
    fn give(
        &mut self,
        path: EntryPath,
        kind: EntryKind,
        stat: &Stat,
        xattrs: Vec<Xattr>,
        problems: Vec<String>,
    ) {
        for message in problems {
            self.problem(path.as_bytes(), &message);
        }
        let entry = self.entry(path, kind, stat, xattrs);
        self.pending.push_back(SourceEntry::bare(entry).into());
    }

    fn entry(&self, path: EntryPath, kind: EntryKind, stat: &Stat, xattrs: Vec<Xattr>) -> Entry {
        Entry {
            path,
            kind,
            unix: Some(unix(stat, &self.accounts, xattrs)),
            token: Bytes::default(),
            content: None,
            properties: Vec::new(),
            ext: Vec::new(),
        }
    }

    /// Reads the names in the folder just entered.
    fn list(&mut self, path: &[u8]) {
        let (mut names, result) = match self.place.current() {
            Ok(directory) => Names::read(directory, &self.cancel),
            Err(errno) => (Names::default(), Err(errno)),
        };
        if let Err(errno) = result {
            self.problem(path, &because("cannot list the folder", errno));
        }
        if let Some(tag) = self.tag_in(&names) {
            let left_out = names.keep_only(&tag);
            self.count_excluded(left_out);
        }
        self.names.push(names);
    }

    /// The name that says that nothing else in this folder is wanted.
    fn tag_in(&self, names: &Names) -> Option<CString> {
        if let Some(tag) = self.tags.iter().find(|tag| names.contains(tag.as_bytes())) {
            return Some(tag.clone());
        }
        let is_cache = self.exclude_caches
            && names.contains(CACHE_TAG.to_bytes())
            && self.place.current().is_ok_and(|directory| has_signature(directory));
        is_cache.then(|| CACHE_TAG.to_owned())
    }

    /// Back to the folder above.
    fn leave(&mut self) {
        self.names.pop();
        self.path.truncate(self.path_lengths.pop().unwrap_or(0));
        if self.place.leave().is_none() {
            return;
        }
        if self.place.reopen().is_err() {
            let path = self.path.clone();
            self.problem(&path, "moved or replaced while it was read: the rest of it is missing");
            if let Some(names) = self.names.last_mut() {
                *names = Names::default();
            }
        }
    }

    fn problem(&mut self, path: &[u8], message: &str) {
        let problem = Problem { path: path.into(), message: message.to_owned() };
        self.pending.push_back(Item::Problem(problem));
    }

    fn count_excluded(&mut self, count: u64) {
        self.excluded += count;
    }
}

impl Session for Walk {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            if let Some(item) = self.pending.pop_front() {
                return Ok(Some(item));
            }
            if !self.is_started {
                self.start()?;
                continue;
            }
            let Some(names) = self.names.last_mut() else { return Ok(None) };
            match names.next().map(CStr::to_owned) {
                Some(name) => self.visit(&name),
                None => self.leave(),
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        let properties = match self.excluded {
            0 => Vec::new(),
            count => vec![("excluded".to_owned(), count.to_string())],
        };
        Ok(Outcome { consistency: None, properties })
    }
}

/// What tells a folder from all others, if there is one.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let stat = statat(CWD, path, AtFlags::empty()).ok()?;
    (file_type(&stat) == FileType::Directory).then_some((stat.st_dev, stat.st_ino))
}

fn because(what: &str, errno: Errno) -> String {
    format!("{what}: {}", words(errno))
}

fn has_signature(directory: &OwnedFd) -> bool {
    // Opening a device does things: only a file is looked into.
    let stat = statat(directory, CACHE_TAG, AtFlags::SYMLINK_NOFOLLOW);
    if !stat.is_ok_and(|stat| file_type(&stat) == FileType::RegularFile) {
        return false;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut start = [0; CACHE_SIGNATURE.len()];
    openat(directory, CACHE_TAG, flags, Mode::empty())
        .and_then(|file| pread(file, &mut start, 0))
        .is_ok_and(|count| start.get(..count) == Some(CACHE_SIGNATURE))
}
