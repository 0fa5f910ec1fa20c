//! What tells that a file is still the one that was looked at, and still the same.

use rustix::fs::Stat;

use crate::format::{Bytes, Time};

const TOKEN_LEN: usize = 16;

/// Which file this is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub device: u64,
    pub inode: u64,
}

impl Identity {
    pub fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// A file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileState {
    pub identity: Identity,
    pub size: u64,
    pub mtime: Time,
    pub ctime: Time,
}

impl FileState {
    pub fn of(stat: &Stat) -> Self {
        Self {
            identity: Identity::of(stat),
            size: size(stat),
            mtime: mtime(stat),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Equal tokens: equal bytes. Empty where the file was touched after `settled`: a later write within the
    /// clock's grain would leave the same times behind.
    pub fn token(&self, settled: Time) -> Bytes {
        if self.mtime > settled || self.ctime > settled {
            return Bytes::default();
        }
        let mut hash = blake3::Hasher::new();
        for number in [self.size, self.identity.inode, self.identity.device] {
            hash.update(&number.to_le_bytes());
        }
        for time in [self.mtime, self.ctime] {
            hash.update(&time.seconds.to_le_bytes());
            hash.update(&time.nanos.to_le_bytes());
        }
        let mut token = vec![0; TOKEN_LEN];
        hash.finalize_xof().fill(&mut token);
        Bytes(token)
    }
}

pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// How many names a file has. Its type differs between machines.
pub(super) fn link_count(stat: &Stat) -> u32 {
    u32::try_from(stat.st_nlink).unwrap_or(u32::MAX)
}

pub(super) fn mtime(stat: &Stat) -> Time {
    time(stat.st_mtime, stat.st_mtime_nsec)
}

fn time(seconds: i64, nanos: impl TryInto<u32>) -> Time {
    Time { seconds, nanos: nanos.try_into().unwrap_or(0) }
}
