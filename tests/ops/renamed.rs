//! What a night costs where names change: entries named after the day, and names that only look alike; and what
//! the catalog costs when a little of everything changed.

use std::sync::Arc;

use restow::format::EntryPath;

use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, default_chunks, memory_repository, open, restore_to_memory, try_open,
};

/// Rows whose texts are random: nothing in them is stored twice by chance.
fn dump(rows: usize, edited: usize) -> Vec<u8> {
    let row = |n: usize| {
        let seed = if edited > 0 && n.is_multiple_of(edited) { n + 1_000_000 } else { n };
        let text: String =
            noise(40, seed as u64).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("INSERT INTO t VALUES ({n}, '{text}');\n")
    };
    (0..rows).map(row).collect::<String>().into_bytes()
}

#[test]
fn a_dump_named_after_the_day_is_coded_against_the_one_of_the_day_before() {
    let repository = open(memory_repository(&default_chunks()));
    let mut files: Files = (18..20)
        .map(|day| (path(&format!("dumps/shop-2026-11-{day}.sql")), dump(20_000, 0)))
        .collect();
    files.insert(path("dumps/z-last"), b"something".to_vec());
    let first = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    files.remove(&path("dumps/shop-2026-11-18.sql"));
    // One row in 90 changed: no chunk is as it was.
    files.insert(path("dumps/shop-2026-11-20.sql"), dump(20_000, 90));
    let second = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    let (before, night) = (first.manifest.statistics, second.manifest.statistics);
    // Where an edit moved the very first cut, that chunk is not recognised.
    assert!(night.delta_bytes > night.new_bytes / 2, "{night:?}");
    assert!(night.delta_stored + night.plain_stored < before.plain_stored / 3, "{night:?}");
    assert!(restore_to_memory(&repository, second.id.unwrap()).contents() == files);
}

#[test]
fn numbered_files_that_have_nothing_in_common_are_no_bases() {
    let repository = open(memory_repository(&default_chunks()));
    let photo = |n: u64| (path(&format!("IMG_{n:04}.jpg")), noise(700_000, n));
    let mut files: Files = (0..3).map(photo).collect();
    back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    files.extend((3..6).map(photo));
    let second = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    assert_eq!(second.manifest.statistics.delta_bytes, 0);
    assert!(restore_to_memory(&repository, second.id.unwrap()).contents() == files);
}

#[test]
fn a_catalog_of_which_a_little_changed_everywhere_costs_little() {
    let name = |n: usize| -> EntryPath { path(&format!("folder-{:03}/file-{n}", n / 100)) };
    let mut files: Files = (0..8000).map(|n| (name(n), noise(60, n as u64))).collect();
    let repository = open(memory_repository(&default_chunks()));
    let mut last = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    let first = last.written.metadata_stored;
    assert!(first > 300_000, "{first}");
    for night in 1..20u64 {
        for n in (night as usize..8000).step_by(100) {
            files.insert(name(n), noise(60, n as u64 + night * 1_000_000));
        }
        let repository = open_again(&repository);
        last = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
        let stored = last.written.metadata_stored;
        // Chains of nodes begin anew, too, but never all in one night.
        assert!(stored < first / 4, "night {night}: {stored} of {first}");
    }
    assert!(restore_to_memory(&repository, last.id.unwrap()).contents() == files);
}

fn open_again(repository: &restow::repo::Repository) -> restow::repo::Repository {
    try_open(Arc::clone(repository.storage())).unwrap()
}
