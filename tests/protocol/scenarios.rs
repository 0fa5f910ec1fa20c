//! The scenarios that are explored.

use super::objects::{Block, CHUNKS};
use super::scenario::{Rebuild, Scenario, Source};

const A: u8 = 0;
const B: u8 = 1;
const C: u8 = 2;
const D: u8 = 3;
const PLAIN: Block = Block::PLAIN;

pub const fn chunks(of: &[u8]) -> u8 {
    let (mut set, mut at) = (0, 0);
    while at < of.len() {
        set |= 1 << of[at];
        at += 1;
    }
    set
}

pub const fn on(chunk: u8, base: u8) -> [Option<u8>; CHUNKS] {
    let mut bases = [None; CHUNKS];
    bases[chunk as usize] = Some(base);
    bases
}

pub const fn source(chunks: u8, bases: [Option<u8>; CHUNKS]) -> Source {
    Source { chunks, bases, two_packs: false, parent: false }
}

pub const PLAINLY: [Option<u8>; CHUNKS] = [None; CHUNKS];

/// Two writers, two prunes, a delete, a crash, an actor taken for dead.
pub const ALL_AT_WORK: Scenario = Scenario {
    name: "",
    packs: [&[]; 4],
    index: [0; 3],
    snapshot: 0,
    second: 0,
    deletes: 1,
    writers: &[],
    prunes: 2,
    repacks: false,
    compacts: 0,
    copies_apart: false,
    rebuild: None,
    two_parts: false,
    reader: false,
    crashes: 1,
    expiries: 1,
};

/// Chunks of a snapshot that goes are hit by writers meanwhile: a delta and its base, in packs of one index object.
pub const HITS: Scenario = Scenario {
    name: "hits",
    packs: [&[(A, PLAIN)], &[(B, Block::delta(A, 1)), (C, PLAIN)], &[], &[]],
    index: [0b11, 0, 0],
    snapshot: chunks(&[C]),
    writers: &[source(chunks(&[B]), PLAINLY), source(chunks(&[A, C]), PLAINLY)],
    ..ALL_AT_WORK
};

/// Writers store deltas against a chunk they found, and against each other's.
pub const DELTAS: Scenario = Scenario {
    name: "deltas",
    packs: [&[(A, PLAIN)], &[], &[], &[]],
    index: [1, 0, 0],
    snapshot: chunks(&[A]),
    writers: &[source(chunks(&[B]), on(B, A)), source(chunks(&[B, C]), on(C, B))],
    ..ALL_AT_WORK
};

/// Packs that are half waste are copied from, among writers that hit the waste and store deltas against it.
pub const REPACK: Scenario = Scenario {
    name: "repack",
    packs: [
        &[(A, PLAIN), (D, PLAIN)],
        &[(B, Block::delta(A, 1)), (C, Block::delta(D, 1))],
        &[],
        &[],
    ],
    index: [0b11, 0, 0],
    snapshot: chunks(&[B]),
    writers: &[source(chunks(&[B, C]), PLAINLY), source(chunks(&[D]), PLAINLY)],
    repacks: true,
    ..ALL_AT_WORK
};

/// One chunk in two copies, of which only the shallower serves the block coded against it.
pub const COPIES: Scenario = Scenario {
    name: "copies",
    packs: [
        &[(A, PLAIN)],
        &[(A, Block::delta(C, 1)), (C, PLAIN)],
        &[(B, Block::delta(A, 1)), (D, PLAIN)],
        &[],
    ],
    index: [0b001, 0b010, 0b100],
    snapshot: chunks(&[C, D]),
    writers: &[source(chunks(&[B]), PLAINLY), source(chunks(&[A]), PLAINLY)],
    ..ALL_AT_WORK
};

/// A writer takes over the chunks of whatever snapshots it finds, without look-up where docs/PRUNE.md allows it.
pub const PARENTS: Scenario = Scenario {
    name: "parents",
    packs: [&[(A, PLAIN)], &[], &[], &[]],
    index: [1, 0, 0],
    snapshot: chunks(&[A]),
    writers: &[
        source(chunks(&[B]), on(B, A)),
        Source { parent: true, ..source(chunks(&[A, B, C]), PLAINLY) },
    ],
    ..ALL_AT_WORK
};

/// A writer puts several packs, each indexed as it fills, the second coded against the first.
pub const SEVERAL_PACKS: Scenario = Scenario {
    name: "several packs",
    packs: [&[(A, PLAIN)], &[], &[], &[]],
    index: [1, 0, 0],
    snapshot: chunks(&[A]),
    writers: &[
        Source { two_packs: true, ..source(chunks(&[B, C]), [None, Some(A), Some(B), None]) },
        source(chunks(&[B]), on(B, A)),
    ],
    ..ALL_AT_WORK
};

/// One chunk in two copies, equally shallow: prunes need not agree on which one stays.
pub const TWICE: Scenario = Scenario {
    name: "twice",
    packs: [&[(A, PLAIN)], &[(A, PLAIN)], &[(C, PLAIN)], &[]],
    index: [0b111, 0, 0],
    snapshot: chunks(&[A]),
    deletes: 0,
    writers: &[source(chunks(&[A, B]), on(B, A)), source(chunks(&[B]), PLAINLY)],
    ..ALL_AT_WORK
};

/// Garbage is hit, condemned, needed no longer, and wanted again.
pub const WANTED_AGAIN: Scenario = Scenario {
    name: "wanted again",
    packs: [&[(A, PLAIN)], &[], &[], &[]],
    index: [1, 0, 0],
    writers: &[source(chunks(&[A]), PLAINLY), source(chunks(&[A]), PLAINLY)],
    crashes: 0,
    ..ALL_AT_WORK
};

/// A pack that no index object lists, coded against garbage that one does.
pub const UNLISTED: Scenario = Scenario {
    name: "unlisted",
    packs: [&[(A, PLAIN)], &[(C, PLAIN)], &[(B, Block::delta(A, 1))], &[]],
    index: [0b001, 0b010, 0],
    snapshot: chunks(&[C]),
    writers: &[source(chunks(&[B]), on(B, A)), source(chunks(&[A, C]), PLAINLY)],
    ..ALL_AT_WORK
};

/// A chunk is moved by one prune, and then by the next, while somebody reads it.
pub const MOVED: Scenario = Scenario {
    name: "moved",
    packs: [&[(A, PLAIN), (C, PLAIN), (D, PLAIN)], &[], &[], &[]],
    index: [1, 0, 0],
    snapshot: chunks(&[A]),
    repacks: true,
    reader: true,
    writers: &[source(chunks(&[D]), PLAINLY)],
    crashes: 0,
    expiries: 0,
    ..ALL_AT_WORK
};

pub const ALL: [Scenario; 7] = [HITS, DELTAS, REPACK, COPIES, PARENTS, SEVERAL_PACKS, TWICE];

impl Scenario {
    /// So many of the writers and prunes.
    pub const fn with(self, writers: usize, prunes: usize) -> Self {
        Self { writers: self.writers.split_at(writers).0, prunes, ..self }
    }

    /// No snapshot is there at first, none goes.
    pub const fn with_garbage_only(self) -> Self {
        Self { snapshot: 0, deletes: 0, ..self }
    }

    pub const fn calm(self) -> Self {
        Self { crashes: 0, ..self }
    }

    pub const fn without_expiry(self) -> Self {
        Self { expiries: 0, ..self }
    }

    pub const fn two_expiries(self) -> Self {
        Self { expiries: 2, ..self }
    }

    pub const fn two_deletes(self) -> Self {
        Self { deletes: 2, ..self }
    }

    pub const fn in_two_parts(self) -> Self {
        Self { two_parts: true, ..self }
    }

    pub const fn with_a_rebuild(self, rebuild: Rebuild) -> Self {
        Self { rebuild: Some(rebuild), ..self }
    }

    pub const fn with_a_reader(self) -> Self {
        Self { reader: true, ..self }
    }
}
