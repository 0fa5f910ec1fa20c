//! Several bodies of one source at once: what comes of it is what comes of reading one by one.

use std::sync::{Arc, Barrier};

use restow::ops::BackupReport;
use restow::source::Need;

use crate::support::memory_source::{MemorySource, Trouble};
use crate::support::model::{Files, noise, path};
use crate::support::{back_up, memory_repository, open, restore_to_memory, small_chunks};

/// A long stream, then more entries than may wait for it, then streams of several segments.
fn mixed() -> Files {
    let mut files: Files = [(path("a"), noise(6_000_000, 1))].into();
    files.extend((0..600).map(|n| (path(&format!("b{n:03}")), noise(n * 7, 2))));
    files.extend((0..5).map(|n| (path(&format!("c{n}")), noise(2_500_000, 3 + n as u64 % 3))));
    files
}

fn at_once(bodies: usize, files: Files) -> MemorySource {
    MemorySource { bodies_at_once: bodies, ..MemorySource::new(files) }
}

/// What must not depend on the number of lanes.
fn facts(report: &BackupReport) -> impl PartialEq + std::fmt::Debug + use<> {
    let manifest = &report.manifest;
    let statistics = &manifest.statistics;
    (
        manifest.catalog,
        manifest.problems.clone(),
        [statistics.entries, statistics.logical_bytes, statistics.read_bytes, statistics.chunks],
    )
}

#[test]
fn four_bodies_are_in_flight() {
    let repository = open(memory_repository(&small_chunks()));
    let files: Files = (0..8).map(|n| (path(&format!("t{n}")), noise(10_000, n))).collect();
    let mut source = at_once(9, files.clone());
    // With fewer lanes than four nobody would ever pass.
    source.meeting = Some(Arc::new(Barrier::new(4)));
    let report = back_up(&repository, &[&source]).unwrap();
    assert!(restore_to_memory(&repository, report.id.unwrap()).contents() == files);
}

#[test]
fn the_catalog_is_that_of_one_lane() {
    let [one, four] = [1, 4].map(|_| open(memory_repository(&small_chunks())));
    let mut files = mixed();
    for night in 0..2 {
        let expected = back_up(&one, &[&at_once(1, files.clone())]).unwrap();
        let report = back_up(&four, &[&at_once(4, files.clone())]).unwrap();
        assert_eq!(facts(&report), facts(&expected), "night {night}");
        assert!(restore_to_memory(&four, report.id.unwrap()).contents() == files);
        for bytes in files.values_mut().filter(|bytes| bytes.len() > 1000) {
            bytes.splice(500..510, [7; 30]);
        }
    }
}

#[test]
fn problems_keep_the_order_of_the_entries() {
    let mut reports = Vec::new();
    for bodies in [1, 4] {
        let mut source = at_once(bodies, mixed());
        source.troubles.insert(path("a"), Trouble::Unreadable(5_000_000));
        source.troubles.insert(path("b007"), Trouble::Unopenable);
        source.troubles.insert(path("b500"), Trouble::Changed);
        source.troubles.insert(path("c1"), Trouble::Unreadable(10));
        let repository = open(memory_repository(&small_chunks()));
        let mut report = back_up(&repository, &[&source]).unwrap();
        assert_eq!(report.manifest.problem_count, 4);
        // How many chunks of a stream that breaks off were cut depends on where its segment began.
        report.manifest.statistics.chunks = 0;
        reports.push(facts(&report));
    }
    assert_eq!(reports[0], reports[1]);
}

#[test]
fn the_failure_of_an_earlier_entry_wins() {
    let mut errors = Vec::new();
    for bodies in [1, 4] {
        let mut source = at_once(bodies, mixed());
        source.need = Need::Whole;
        source.troubles.insert(path("a"), Trouble::Unreadable(5_900_000));
        // Reached long before.
        source.troubles.insert(path("b000"), Trouble::Unopenable);
        let repository = open(memory_repository(&small_chunks()));
        errors.push(back_up(&repository, &[&source]).unwrap_err().to_string());
        assert!(repository.snapshots().unwrap().0.is_empty());
    }
    assert_eq!(errors[0], errors[1]);
    assert!(errors[0].contains("made to fail"), "{}", errors[0]);
}
