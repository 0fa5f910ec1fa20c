//! Where each object lies in a repository.

use crate::id::{ActorId, ObjectId, PackId, SnapshotId};

pub const CONFIG: &str = "config";
pub const KEYS: &str = "keys";
pub const PACKS: &str = "packs";
pub const PARITY: &str = "parity";
pub const INDEX: &str = "index";
pub const SNAPSHOTS: &str = "snapshots";
pub const NOTES: &str = "notes";
pub const ACTIVE: &str = "active";
pub const BEATS: &str = "beats";
pub const VOID: &str = "void";
pub const CONDEMNED: &str = "condemned";

/// Folders whose objects are named by the BLAKE3 of their bytes: anyone can scrub them.
pub const CONTENT_NAMED: [&str; 6] = [KEYS, PACKS, INDEX, SNAPSHOTS, NOTES, CONDEMNED];

pub fn key(id: &ObjectId) -> String {
    format!("{KEYS}/{id}")
}

pub fn pack(id: &PackId) -> String {
    let [first, ..] = id.as_bytes();
    format!("{PACKS}/{first:02x}/{id}")
}

pub fn index(id: &ObjectId) -> String {
    format!("{INDEX}/{id}")
}

pub fn snapshot(id: &SnapshotId) -> String {
    format!("{SNAPSHOTS}/{id}")
}

pub fn notes_of(snapshot: &SnapshotId) -> String {
    format!("{NOTES}/{snapshot}")
}

pub fn note(snapshot: &SnapshotId, id: &ObjectId) -> String {
    format!("{NOTES}/{snapshot}/{id}")
}

pub fn active(id: &ActorId) -> String {
    format!("{ACTIVE}/{id}")
}

pub fn beat(id: &ActorId) -> String {
    format!("{BEATS}/{id}")
}

pub fn void(id: &ActorId) -> String {
    format!("{VOID}/{id}")
}

pub fn condemned(id: &ObjectId) -> String {
    format!("{CONDEMNED}/{id}")
}
