//! SQLite databases restored as plain files. A journal that lies beside one and is not of the same state would
//! be applied to it by whoever opens it, and destroy it.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, statat};
use rustix::io::pread;

use super::beneath::{Beneath, c_name};
use super::state::size;
use crate::format::EntryPath;
use crate::source::ImportReport;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const SUFFIXES: [&str; 2] = ["-wal", "-journal"];

/// Databases found while files are finished, from any thread.
#[derive(Default)]
pub(super) struct Databases(Mutex<Vec<EntryPath>>);

impl Databases {
    /// `file` is whole and restored as `path`.
    pub fn look(&self, file: impl AsFd, path: &EntryPath) {
        let mut first = [0; MAGIC.len()];
        if pread(file, &mut first, 0) == Ok(first.len()) && first == *MAGIC {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        }
    }

    /// Tells of journals that are there and were not `restored`.
    pub fn report(&self, tree: &mut Beneath, restored: &HashSet<EntryPath>, report: &ImportReport) {
        let found = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for path in found {
            for suffix in SUFFIXES {
                let Ok(journal) = EntryPath::new([path.as_bytes(), suffix.as_bytes()].concat())
                else {
                    continue;
                };
                if !restored.contains(&journal) && holds_something(tree, &journal) {
                    let name = String::from_utf8_lossy(journal.as_bytes()).into_owned();
                    let message = format!(
                        "{name} lies beside this database and was not restored with it: remove it \
                         before anything opens the database, or it spoils it"
                    );
                    report.problem(path.as_bytes(), message);
                }
            }
        }
    }
}

/// Whether it is the name of a journal, should there be a database of that name.
pub(super) fn is_journal(path: &EntryPath) -> bool {
    SUFFIXES.iter().any(|suffix| path.as_bytes().ends_with(suffix.as_bytes()))
}

fn holds_something(tree: &mut Beneath, path: &EntryPath) -> bool {
    let parent = path.parent().unwrap_or_default();
    let (Ok(folder), Ok(name)) = (tree.go_to(&parent, false), c_name(path.name())) else {
        return false;
    };
    statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| size(&stat) > 0)
}
