//! How a storage likes to be used.

use crate::limits::{KIB, MIB};

/// Sizes and counts that suit a storage. They change how fast things go, never what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// Two ranges of an object are read together when at most this many bytes lie between them.
    pub gap_max: u64,
    /// Most bytes of one read where many short blocks are wanted and all cores decode them.
    pub run_max: u64,
    /// Most bytes of one read where a pack is read from end to end.
    pub bulk_run_max: u64,
    /// Bytes of one read where whole objects are only hashed.
    pub scan_run: u64,
    /// Bytes of the first read from a pack's end: most trailers are shorter.
    pub tail: u64,
    /// Reads that may be in flight at once. `None`: one for each core.
    pub reads_in_flight: Option<usize>,
    /// Packs that may be put at once. Each takes the memory of a pack.
    pub puts_in_flight: usize,
}

impl Hints {
    /// For a disk: requests cost little, and one `put` at a time fills it.
    pub const DISK: Self = Self {
        gap_max: 64 * KIB as u64,
        run_max: 512 * KIB as u64,
        bulk_run_max: 8 * MIB as u64,
        scan_run: MIB as u64,
        tail: 32 * KIB as u64,
        reads_in_flight: None,
        puts_in_flight: 1,
    };

    /// For a server some 20 ms away: a request takes as long as the transfer of some 512 KiB.
    pub const NETWORK: Self = Self {
        gap_max: 512 * KIB as u64,
        run_max: 4 * MIB as u64,
        bulk_run_max: 8 * MIB as u64,
        scan_run: 8 * MIB as u64,
        tail: 256 * KIB as u64,
        reads_in_flight: Some(16),
        puts_in_flight: 4,
    };
}
