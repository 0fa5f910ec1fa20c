//! An archive of a dump, unpacked where nobody else looks.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};
use tempfile::TempDir;

use super::folder::{is_dump, subfolders};
use crate::fault::ErrorKind;
use crate::limits::{KIB, MIB};
use crate::progress::Cancel;
use crate::source::SourceError;
use crate::source::arangodb::failure::{io_failed, refused, temporary};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const TAR_MAGIC: &[u8] = b"ustar";
const TAR_MAGIC_AT: usize = 257;
const BLOCK: u64 = 512;
const BUFFER: usize = 64 * KIB;
/// Bytes of headers and long names before a file.
const HEADERS_MAX: u64 = MIB as u64;
/// A dump has a folder for each database, and perhaps one around them.
const DEPTH_MAX: usize = 8;

/// What a file is, by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Tar,
    TarGzip,
}

impl Packing {
    /// `None` for anything else. That what is gzipped is an archive shows when it is unpacked.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut start = Vec::new();
        File::open(path)?.take(BLOCK).read_to_end(&mut start)?;
        Ok(if start.starts_with(GZIP_MAGIC) {
            Some(Self::TarGzip)
        } else if start.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(TAR_MAGIC)) {
            Some(Self::Tar)
        } else {
            None
        })
    }
}

/// Unpacks an archive, and finds the folder in it that holds the dump or dumps.
pub(super) fn unpack(
    path: &Path,
    packing: Packing,
    temp_dir: &Path,
    cancel: &Cancel,
) -> Result<(TempDir, PathBuf), SourceError> {
    let into = tempfile::Builder::new()
        .prefix(".restow-arangodump-")
        .tempdir_in(temp_dir)
        .map_err(temporary(temp_dir))?;
    let file = File::open(path).map_err(io_failed("open", path))?;
    let file = BufReader::with_capacity(BUFFER, file);
    let inner: Box<dyn Read> = match packing {
        Packing::Tar => Box::new(file),
        Packing::TarGzip => Box::new(MultiGzDecoder::new(file)),
    };
    let allowance = Arc::new(AtomicU64::new(0));
    let mut from = Guarded { inner, allowance: Arc::clone(&allowance) };
    let unpacking = Unpacking { path, into: into.path(), allowance, cancel };
    if !unpacking.run(&mut Archive::new(&mut from))? {
        return Err(unpacking.bad("is no archive of a dump: it holds no files"));
    }
    // A checksum that is wrong, or a part that is missing, shows at the end only.
    io::copy(&mut from, &mut io::sink()).map_err(|error| unpacking.broken(&error))?;
    // An archive of one folder is that folder.
    let mut root = into.path().to_owned();
    while !is_dump(&root)
        && let [only] = subfolders(&root)?.as_slice()
    {
        root = only.clone();
    }
    Ok((into, root))
}

/// Stops whoever reads on and on: names come before files, and are held in memory.
struct Guarded {
    inner: Box<dyn Read>,
    allowance: Arc<AtomicU64>,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(format!(
                "more than {HEADERS_MAX} bytes between two files"
            )));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.allowance.store(left.saturating_sub(count as u64), Ordering::Relaxed);
        Ok(count)
    }
}

struct Unpacking<'a> {
    path: &'a Path,
    into: &'a Path,
    /// Bytes that may be read from the archive before somebody thinks again.
    allowance: Arc<AtomicU64>,
    cancel: &'a Cancel,
}

impl Unpacking<'_> {
    /// Whether there were files.
    fn run(&self, archive: &mut Archive<&mut Guarded>) -> Result<bool, SourceError> {
        let mut found = false;
        let mut entries = archive.entries().map_err(|error| self.broken(&error))?;
        loop {
            self.allowance.store(HEADERS_MAX, Ordering::Relaxed);
            let next = entries.next();
            self.allowance.store(u64::MAX, Ordering::Relaxed);
            let Some(entry) = next else { break };
            let mut entry = entry.map_err(|error| self.broken(&error))?;
            let name = entry.path_bytes().into_owned();
            let name =
                String::from_utf8(name).map_err(|_| self.bad("holds a name that is not UTF-8"))?;
            let place = self.place(&name)?;
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    found = true;
                    self.file(&mut entry, &place)?;
                }
                EntryType::Directory => self.folder(&place)?,
                // Facts about what follows, which the reader has used already.
                EntryType::XGlobalHeader | EntryType::XHeader => {}
                other => {
                    let message =
                        format!("holds {name:?}, which is no file ({other:?}): no dump has that");
                    return Err(self.bad(&message));
                }
            }
        }
        Ok(found)
    }

    /// Where an entry goes: below the folder, whatever it is called.
    fn place(&self, name: &str) -> Result<PathBuf, SourceError> {
        let mut place = self.into.to_owned();
        let mut depth = 0;
        for component in Path::new(name).components() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) => {
                    place.push(name);
                    depth += 1;
                }
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(self.bad(&format!("holds {name:?}, which would lie outside of it")));
                }
            }
        }
        if depth > DEPTH_MAX || name.contains('\0') {
            return Err(self.bad(&format!("holds {name:?}, which is no path in a dump")));
        }
        Ok(place)
    }

    fn folder(&self, place: &Path) -> Result<(), SourceError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(place);
        made.map_err(temporary(self.into))
    }

    /// A name that is there twice is an error, not a second choice.
    fn file(&self, from: &mut impl Read, place: &Path) -> Result<(), SourceError> {
        self.folder(place.parent().unwrap_or(self.into))?;
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(place);
        let mut to = match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let name = place.strip_prefix(self.into).unwrap_or(place).display();
                return Err(self.bad(&format!("holds {name} twice")));
            }
            created => created.map_err(temporary(self.into))?,
        };
        let mut buffer = vec![0; BUFFER];
        loop {
            if self.cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            let count = from.read(&mut buffer).map_err(|error| self.broken(&error))?;
            if count == 0 {
                return Ok(());
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            io::Write::write_all(&mut to, bytes).map_err(temporary(self.into))?;
        }
    }

    fn broken(&self, error: &io::Error) -> SourceError {
        self.bad(&format!("is no whole archive: {error}"))
    }

    fn bad(&self, message: &str) -> SourceError {
        refused(ErrorKind::Failed, &self.path.display().to_string(), message)
    }
}
