//! Entries that come from no file: streams of servers and commands.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{getegid, geteuid};

use super::accounts::Accounts;
use crate::format::{Bytes, Entry, EntryKind, EntryPath, Property, Time, UnixAttributes};

/// An entry that belongs to the current user, readable by nobody else, with the current time.
pub(super) fn private_entry(path: EntryPath, kind: EntryKind, properties: Vec<Property>) -> Entry {
    let unix = Some(private_attributes());
    Entry { path, kind, unix, token: Bytes::default(), content: None, properties, ext: Vec::new() }
}

fn private_attributes() -> UnixAttributes {
    let accounts = Accounts::system();
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixAttributes {
        mode: 0o600,
        uid,
        gid,
        user: accounts.user(uid),
        group: accounts.group(gid),
        mtime: Time {
            seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            nanos: now.subsec_nanos(),
        },
        ..UnixAttributes::default()
    }
}
