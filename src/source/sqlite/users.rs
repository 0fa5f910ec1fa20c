//! Who has a file open. SQLite alone does not tell: outside WAL mode an idle connection holds no lock.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::process::{Flock, FlockType, fcntl_getlk};

/// Bytes that every connection locks while it uses a database (os.h of SQLite: the pending byte, the reserved
/// one, and the shared range).
const LOCKED_FROM: u64 = 0x4000_0000;
const LOCKED_BYTES: u64 = 512;

/// A file, whatever its name.
#[derive(PartialEq, Eq)]
struct Identity {
    device: (u32, u32),
    inode: u64,
}

impl Identity {
    /// Asks no server: one that another process waits for must not hold up the search.
    fn of(path: &Path) -> io::Result<Self> {
        let found = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
        Ok(Self { device: (found.stx_dev_major, found.stx_dev_minor), inode: found.stx_ino })
    }
}

/// Whether this process has it open.
pub(super) fn is_open_here(path: &Path) -> io::Result<bool> {
    has_open(Path::new("/proc/self"), &Identity::of(path)?)
}

/// A child that has not yet begun its own program has, for a moment, all files of its parent open. Who is a user
/// is one still after this time.
const PATIENCE: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(20);

/// A process other than this one that has it open: its number and name. Only root sees all processes, and
/// nobody those outside their own container.
pub(super) fn other_user(path: &Path) -> io::Result<Option<String>> {
    let started = Instant::now();
    loop {
        let user = user_now(path)?;
        if user.is_none() || started.elapsed() >= PATIENCE {
            return Ok(user);
        }
        std::thread::sleep(GLANCE);
    }
}

fn user_now(path: &Path) -> io::Result<Option<String>> {
    let wanted = Identity::of(path)?;
    let ours = std::process::id().to_string();
    for process in std::fs::read_dir("/proc")?.flatten() {
        let name = process.file_name();
        let is_other =
            name != OsStr::new(&ours) && name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        // One that has ended meanwhile, or is closed to us, is none that we can tell of.
        if is_other && has_open(&process.path(), &wanted).unwrap_or(false) {
            let program = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Ok(Some(format!("{}, {}", name.to_string_lossy(), program.trim())));
        }
    }
    Ok(None)
}

fn has_open(process: &Path, wanted: &Identity) -> io::Result<bool> {
    let mut open = std::fs::read_dir(process.join("fd"))?.flatten();
    Ok(open.any(|fd| Identity::of(&fd.path()).is_ok_and(|found| found == *wanted)))
}

/// Whether another process holds one of SQLite's locks on it, under whatever name and in whatever container.
/// Opens and closes it: this process must have no lock on it, which closing would drop.
pub(super) fn is_locked_elsewhere(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut wanted = Flock::from(FlockType::WriteLock);
    wanted.start = LOCKED_FROM;
    wanted.length = LOCKED_BYTES;
    Ok(fcntl_getlk(&file, &wanted)?.is_some())
}
