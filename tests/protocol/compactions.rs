//! Scenarios in which prunes may compact and re-base: M is kept only because X is coded against it.

use super::objects::Block;
use super::scenario::Scenario;
use super::scenarios::{ALL_AT_WORK, PLAINLY, chunks, on, source};

pub const A: u8 = 0;
pub const M: u8 = 1;
pub const X: u8 = 2;
pub const Y: u8 = 3;
const PLAIN: Block = Block::PLAIN;

/// Packs that were there at first, and those of writers: each is emptied once.
const STORED_BEFORE: u16 = 0xff;

const COMPACTING: Scenario = Scenario { compacts: STORED_BEFORE, ..ALL_AT_WORK };

/// M's base is another snapshot's. Writers hit M and code against X, and the other way round.
pub const REBASE: Scenario = Scenario {
    name: "re-base",
    packs: [&[(A, PLAIN)], &[(M, Block::delta(A, 1))], &[(X, Block::delta(M, 2))], &[]],
    index: [0b011, 0b100, 0],
    snapshot: chunks(&[X]),
    second: chunks(&[A]),
    writers: &[source(chunks(&[M, Y]), on(Y, X)), source(chunks(&[X, Y]), on(Y, M))],
    ..COMPACTING
};

/// The same, but the writer that codes against M comes first.
pub const REBASE_AGAINST: Scenario = Scenario {
    name: "re-base, against",
    writers: &[source(chunks(&[X, Y]), on(Y, M)), source(chunks(&[M, Y]), on(Y, X))],
    ..REBASE
};

/// M is plain, and X beside it; Z (here Y) is coded against M, too, and in a pack that is not emptied: it may be needed,
/// or waste that is hit.
pub const REBASE_PLAIN: Scenario = Scenario {
    name: "re-base, plain",
    packs: [&[(M, PLAIN)], &[(X, Block::delta(M, 1))], &[(Y, Block::delta(M, 1)), (A, PLAIN)], &[]],
    index: [0b111, 0, 0],
    snapshot: chunks(&[X, A]),
    second: chunks(&[Y]),
    writers: &[source(chunks(&[Y]), PLAINLY), source(chunks(&[M]), PLAINLY)],
    compacts: 0b011,
    ..COMPACTING
};

/// The chain and what is beside it in mixed packs: M is waste in a pack that is emptied once it collapses.
pub const REBASE_MIXED: Scenario = Scenario {
    name: "re-base, mixed",
    packs: [
        &[(A, PLAIN), (Y, PLAIN)],
        &[(M, Block::delta(A, 1)), (X, Block::delta(M, 2))],
        &[],
        &[],
    ],
    index: [0b01, 0b10, 0],
    snapshot: chunks(&[X]),
    second: chunks(&[Y]),
    writers: &[source(chunks(&[M]), PLAINLY), source(chunks(&[A, X]), PLAINLY)],
    repacks: true,
    ..COMPACTING
};

/// Three links, of which two may collapse, each by itself or both: what is coded anew in one pack may have to wait for what
/// another brings.
pub const REBASE_LONG: Scenario = Scenario {
    name: "re-base, long",
    packs: [
        &[(A, PLAIN)],
        &[(M, Block::delta(A, 1))],
        &[(X, Block::delta(M, 2))],
        &[(Y, Block::delta(X, 3))],
    ],
    index: [0b0011, 0b1100, 0],
    snapshot: chunks(&[Y]),
    second: chunks(&[M]),
    writers: &[source(chunks(&[X]), PLAINLY), source(chunks(&[A, Y]), PLAINLY)],
    copies_apart: true,
    ..COMPACTING
};

/// The chain's end stays as it is, and needs X in a copy as shallow as it was.
pub const REBASE_BELOW: Scenario =
    Scenario { name: "re-base, below", compacts: 0b0111, copies_apart: false, ..REBASE_LONG };

/// No snapshot needs A either: it is kept as X's new base, or collapses, too.
pub const REBASE_ALONE: Scenario = Scenario { name: "re-base, alone", second: 0, ..REBASE };

pub const ALL: [Scenario; 7] =
    [REBASE, REBASE_AGAINST, REBASE_PLAIN, REBASE_MIXED, REBASE_LONG, REBASE_BELOW, REBASE_ALONE];
