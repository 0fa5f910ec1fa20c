//! How fast a night is against a first backup: of the same data, in the same minute, the better of two of each. What
//! else the machine does changes from minute to minute.

use std::fs;
use std::path::Path;

use super::repository::{Opened, Taken};

fn aside<T>(home: &Path, work: impl FnOnce(&Path) -> T) -> T {
    let place = home.join("aside");
    fs::create_dir(&place).unwrap();
    let result = work(&place);
    fs::remove_dir_all(place).unwrap();
    result
}

fn taken(place: &Path, home: &Path) -> Taken {
    let mut repository = Opened::at(place, &home.join("source"));
    let taken = repository.take();
    repository.end();
    taken
}

/// Seconds of the source's backup into a new repository.
pub fn first(home: &Path) -> f64 {
    aside(home, |place| taken(place, home).seconds)
}

/// Seconds of a night into a copy of the repository.
pub fn rehearsed(home: &Path) -> f64 {
    aside(home, |place| {
        for part in ["repository", "cache"] {
            copy(&home.join(part), &place.join(part));
        }
        taken(place, home).seconds
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&from, &to),
            _ => drop(fs::copy(from, to).unwrap()),
        }
    }
}
