//! What a made-up repository of so many chunks consists of.
//!
//! A hundred folders. The first night stores all of them; every other night rewrites one, in turn: all its chunks, its
//! leaf of the catalog, its recipe. So a snapshot shares 99 % of its metadata with the one before. From version to
//! version a chunk is a delta against the one in its place, in chains of up to 24.

use std::ops::Range;

use restow::limits::DELTA_DEPTH_DEFAULT;

pub const FOLDERS: u64 = 100;
const SNAPSHOTS: u64 = 5_000;
const PACKS: u64 = 50_000;

#[derive(Clone, Copy)]
pub struct Shape {
    pub snapshots: u64,
    /// Of each version of each folder.
    pub chunks_each: u64,
    pub packs_each: u64,
}

impl Shape {
    /// With few chunks, fewer packs and snapshots.
    pub fn of(chunks: u64) -> Self {
        let snapshots = SNAPSHOTS.min(chunks / 400).max(1);
        let versions = FOLDERS + snapshots - 1;
        let data_packs = snapshots * (PACKS / SNAPSHOTS - 1);
        Self {
            snapshots,
            chunks_each: (chunks / versions).max(1),
            packs_each: data_packs.div_ceil(versions),
        }
    }

    /// Versions of folders, numbered in the order they are stored in.
    pub fn versions(&self) -> u64 {
        FOLDERS + self.snapshots - 1
    }

    pub fn chunks(&self) -> u64 {
        self.versions() * self.chunks_each
    }

    /// The versions a night stores.
    pub fn stored_by(&self, night: u64) -> Range<u64> {
        match night {
            0 => 0..FOLDERS,
            _ => FOLDERS + night - 1..FOLDERS + night,
        }
    }

    /// The chunks of a version, by number.
    pub fn chunks_of(&self, version: u64) -> Range<u64> {
        version * self.chunks_each..(version + 1) * self.chunks_each
    }

    /// What a chunk is coded against, and how deep.
    pub fn base_of(&self, chunk: u64) -> Option<(u64, u8)> {
        let rewritten = chunk / self.chunks_each / FOLDERS;
        let depth = rewritten % (u64::from(DELTA_DEPTH_DEFAULT) + 1);
        (depth > 0).then(|| (chunk - FOLDERS * self.chunks_each, depth as u8))
    }
}

/// The bytes of a chunk: few, so that 20 million of them fit on a disk.
pub fn content(chunk: u64) -> [u8; 8] {
    chunk.to_le_bytes()
}

/// A zstd frame of these bytes that makes no use of what it is coded against.
pub fn frame(content: [u8; 8]) -> [u8; 17] {
    // Magic, one segment with its length in a byte, that length; the last block, stored, of as many bytes.
    let mut frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 8, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame[9..].copy_from_slice(&content);
    frame
}
