//! What a restore could not do without failing for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::format::{Bytes, Problem};
use crate::limits::PROBLEMS_MAX;

/// Filled from any thread while a restore runs. The same trouble with many entries is one line with a count.
#[derive(Default)]
pub struct ImportReport {
    problems: Mutex<BTreeMap<String, Seen>>,
    notes: Mutex<BTreeMap<&'static str, Seen>>,
}

struct Seen {
    first: Bytes,
    count: u64,
}

impl ImportReport {
    /// What is not as the snapshot has it: the path of the first entry that it concerns, and in words.
    pub fn problems(&self) -> Vec<Problem> {
        let seen = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = |(message, seen): (&String, &Seen)| Problem {
            path: seen.first.clone(),
            message: with_count(message, seen),
        };
        seen.iter().map(problem).collect()
    }

    /// What is worth saying, but was to be expected: owners where one is not root, sockets.
    pub fn notes(&self) -> Vec<String> {
        let seen = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|(message, seen)| with_count(message, seen)).collect()
    }

    pub(super) fn problem(&self, path: &[u8], message: String) {
        let mut seen = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < PROBLEMS_MAX || seen.contains_key(&message) {
            count(seen.entry(message), path);
        }
    }

    pub(super) fn note(&self, path: &[u8], message: &'static str) {
        let mut seen = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        count(seen.entry(message), path);
    }
}

fn count<K: Ord>(entry: std::collections::btree_map::Entry<'_, K, Seen>, path: &[u8]) {
    entry.or_insert_with(|| Seen { first: path.into(), count: 0 }).count += 1;
}

fn with_count(message: &str, seen: &Seen) -> String {
    match seen.count {
        1 => message.to_owned(),
        count => format!("{message} ({count} entries)"),
    }
}
