//! The attributes of what came from no file.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{getegid, geteuid};

use super::accounts::Accounts;
use crate::format::{Time, UnixAttributes};

/// What a stream is restored with: nobody else's business, until its owner says otherwise.
pub(super) fn private_attributes() -> UnixAttributes {
    let accounts = Accounts::load();
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
