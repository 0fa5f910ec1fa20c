//! What becomes of streams from one night to the next.

use proptest::prelude::*;
use restow::format::EntryPath;

use crate::support::model::{Files, noise, path};

/// Numbers that look like chance, the same for the same seed.
pub fn draws(count: usize, seed: u64) -> impl Iterator<Item = usize> {
    let bytes = noise(4 * count, seed ^ 0x5eed_0000);
    let (draws, _) = bytes.as_chunks::<4>();
    draws.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize).collect::<Vec<_>>().into_iter()
}

/// A table's dump, ordered by key.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<String>,
}

impl Table {
    pub fn new(rows: usize, seed: u64) -> Self {
        Self { rows: draws(rows, seed).enumerate().map(|(key, draw)| row(key, draw)).collect() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.rows.concat().into_bytes()
    }

    /// Some rows are written anew, half as many come in and a quarter as many go, all over the place.
    pub fn night(&mut self, updates: usize, seed: u64) {
        let mut draws = draws(4 * updates, seed);
        let mut next = || draws.next().unwrap();
        for number in 0..updates {
            let at = next() % self.rows.len();
            self.rows[at] = row(at, next());
            if number % 2 == 0 {
                let at = next() % self.rows.len();
                self.rows.insert(at, row(at, number));
            }
            if number % 4 == 0 {
                self.rows.remove(next() % self.rows.len());
            }
        }
    }
}

fn row(key: usize, draw: usize) -> String {
    let word = ["paid", "open", "sent back", "cancelled"][draw % 4];
    format!("({key},'customer {:05}','{word}',{}.{:02}),\n", draw % 65_521, draw >> 12, draw % 100)
}

/// Bytes change at least this often, also at the very end: no chunk longer than `every` stays as it was.
pub fn touched(bytes: &[u8], every: usize, seed: u64) -> Vec<u8> {
    let mut touched = bytes.to_vec();
    let places = (0..bytes.len()).step_by(every).chain(bytes.len().checked_sub(1));
    for (at, draw) in places.zip(draws(bytes.len() / every + 2, seed)) {
        // Six nights do not come round to what a byte was.
        touched[at] = touched[at].wrapping_add((draw % 40) as u8 + 1);
    }
    touched
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![1 => 0usize..200, 3 => 200usize..20_000, 3 => 20_000usize..150_000]
}

pub fn contents() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (lengths(), any::<u64>()).prop_map(|(len, seed)| noise(len, seed)),
        6 => (lengths(), any::<u64>()).prop_map(|(len, seed)| Table::new(len / 36, seed).bytes()),
        1 => lengths().prop_map(|len| vec![0; len]),
        1 => (lengths(), 1usize..3000).prop_map(|(len, period)| {
            noise(period, 7).into_iter().cycle().take(len).collect()
        }),
    ]
}

pub fn files() -> impl Strategy<Value = Files> {
    prop::collection::vec(contents(), 1..4)
        .prop_map(|all| names().into_iter().zip(all).collect::<Files>())
}

fn names() -> [EntryPath; 5] {
    ["a", "b", "c", "d/e", "f"].map(path)
}

/// To one file of several. Places and lengths are meant modulo what there is.
#[derive(Debug, Clone)]
pub enum Change {
    Insert { at: usize, len: usize, seed: u64 },
    Delete { at: usize, len: usize },
    Move { from: usize, len: usize, to: usize },
    Repeat { from: usize, len: usize, to: usize },
    Overwrite { at: usize, len: usize, seed: u64 },
    Scatter { every: usize, seed: u64 },
    Truncate { at: usize },
    Empty,
    Swap { with: usize },
    Rename { to: usize },
    Put(Vec<u8>),
}

pub type Edit = (usize, Change);

fn places() -> impl Strategy<Value = usize> {
    prop_oneof![1 => 0usize..3, 8 => any::<usize>()]
}

fn spans() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..60, 2 => 60usize..5000, 1 => 16_000usize..60_000]
}

pub fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let change = prop_oneof![
        4 => (places(), spans(), any::<u64>())
            .prop_map(|(at, len, seed)| Change::Insert { at, len, seed }),
        3 => (places(), spans()).prop_map(|(at, len)| Change::Delete { at, len }),
        3 => (places(), spans(), places())
            .prop_map(|(from, len, to)| Change::Move { from, len, to }),
        2 => (places(), spans(), places())
            .prop_map(|(from, len, to)| Change::Repeat { from, len, to }),
        4 => (places(), spans(), any::<u64>())
            .prop_map(|(at, len, seed)| Change::Overwrite { at, len, seed }),
        4 => (50usize..5000, any::<u64>())
            .prop_map(|(every, seed)| Change::Scatter { every, seed }),
        1 => places().prop_map(|at| Change::Truncate { at }),
        1 => Just(Change::Empty),
        2 => any::<usize>().prop_map(|with| Change::Swap { with }),
        2 => any::<usize>().prop_map(|to| Change::Rename { to }),
        1 => contents().prop_map(Change::Put),
    ];
    prop::collection::vec((any::<usize>(), change), 0..most)
}

pub fn apply(files: &mut Files, (file, change): &Edit) {
    let nth = |number: usize| files.keys().nth(number % files.len().max(1)).cloned();
    let Some(name) = nth(*file) else { return };
    match change {
        Change::Swap { with } => {
            let other = nth(*with).unwrap();
            let (a, b) = (files[&name].clone(), files[&other].clone());
            files.insert(name, b);
            files.insert(other, a);
        }
        Change::Rename { to } => {
            let bytes = files.remove(&name).unwrap();
            files.insert(names()[to % names().len()].clone(), bytes);
        }
        change => change_bytes(files.get_mut(&name).unwrap(), change),
    }
}

fn change_bytes(bytes: &mut Vec<u8>, change: &Change) {
    let place = |at: usize| at % (bytes.len() + 1);
    let span = |at: usize, len: usize| place(at)..(place(at) + len).min(bytes.len());
    match change {
        Change::Insert { at, len, seed } => {
            let at = place(*at);
            drop(bytes.splice(at..at, noise(*len, *seed)));
        }
        Change::Delete { at, len } => drop(bytes.drain(span(*at, *len))),
        Change::Move { from, len, to } => {
            let moved: Vec<u8> = bytes.drain(span(*from, *len)).collect();
            let to = to % (bytes.len() + 1);
            drop(bytes.splice(to..to, moved));
        }
        Change::Repeat { from, len, to } => {
            let again = bytes[span(*from, *len)].to_vec();
            let to = place(*to);
            drop(bytes.splice(to..to, again));
        }
        Change::Overwrite { at, len, seed } => {
            let span = span(*at, *len);
            let new = noise(span.len(), *seed);
            bytes[span].copy_from_slice(&new);
        }
        Change::Scatter { every, seed } => *bytes = touched(bytes, *every, *seed),
        Change::Truncate { at } => bytes.truncate(place(*at)),
        Change::Empty => bytes.clear(),
        Change::Put(new) => bytes.clone_from(new),
        Change::Swap { .. } | Change::Rename { .. } => {}
    }
}
