//! Backups while others write.

use std::sync::atomic::Ordering;

use restow::progress::{Cancel, Silent};
use restow::source::RestoreOptions;
use restow::source::sqlite::{SqliteExporter, SqliteImporter, SqliteOptions};

use super::support::{Writer, make, names, step, verify};
use crate::support::binary::Bench;
use crate::support::{back_up, default_chunks, memory_repository, open, view};

/// 50 snapshots in this process, where the writer is a thread: every one is a state that existed.
fn fifty_snapshots(journal_mode: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (path, temp) = (folder.path().join("app.db"), folder.path().join("temp"));
    std::fs::create_dir(&temp).unwrap();
    let writer = Writer::start(make(&path, journal_mode, 10 << 20));
    let repository = open(memory_repository(&default_chunks()));
    let options = SqliteOptions { temp_dir: Some(temp.clone()), ..SqliteOptions::default() };
    let exporter = SqliteExporter::new(&path, options).unwrap();
    let mut ids = Vec::new();
    for _ in 0..50 {
        let before = writer.count.load(Ordering::Relaxed);
        let id = back_up(&repository, &[&exporter]).unwrap().id.unwrap();
        ids.push((before, id, writer.count.load(Ordering::Relaxed) + 1));
    }
    let written = writer.count.load(Ordering::Relaxed);
    drop(writer);
    assert!(written > 50, "the writer came to {written} transactions only");
    assert!(names(&temp).is_empty());

    let out = folder.path().join("out");
    let mut last = 0;
    for (before, id, after) in ids {
        let options = RestoreOptions::default().overwrite(true);
        let importer = Box::new(SqliteImporter::new(&out, options, &Cancel::new()));
        let report = restow::ops::restore(
            &view(&repository, id),
            importer,
            &restow::ops::RestoreOptions::default(),
            &Silent,
            &Cancel::new(),
        );
        let report = report.unwrap();
        assert_eq!((report.damaged_count, report.problem_count), (0, 0), "{:?}", report.problems);
        let n = verify(&out.join("app.db"));
        assert!((before..=after).contains(&n) && n >= last, "{last} {before} {n} {after}");
        last = n;
    }
    assert!(last > 50);
    assert_eq!(names(&out), ["app.db"]);
}

#[test]
fn fifty_snapshots_under_a_writer_with_a_wal() {
    fifty_snapshots("wal");
}

#[test]
fn fifty_snapshots_under_a_writer_with_a_rollback_journal() {
    fifty_snapshots("delete");
}

/// The same between processes.
#[test]
fn a_writer_in_another_process() {
    for journal_mode in ["wal", "truncate"] {
        let bench = Bench::with_repository();
        std::fs::create_dir(bench.path("temp")).unwrap();
        let writer = Writer::start(make(&bench.path("app.db"), journal_mode, 10 << 20));
        let ids: Vec<_> =
            (0..8).map(|_| bench.back_up(&["sqlite:app.db", "--temp-dir", "temp"])).collect();
        drop(writer);
        assert!(names(&bench.path("temp")).is_empty());
        let mut last = -1;
        for id in ids {
            bench.ok(&["restore", &id, "--to", "out", "--overwrite"]);
            let n = verify(&bench.path("out/app.db"));
            assert!(n >= last);
            last = n;
        }
        assert!(last > 8);
    }
}

#[test]
fn a_night_costs_the_pages_that_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let connection = make(&path, "wal", 40 << 20);
    let repository = open(memory_repository(&default_chunks()));
    let exporter = SqliteExporter::new(&path, SqliteOptions::default()).unwrap();
    let first = back_up(&repository, &[&exporter]).unwrap().manifest.statistics;
    assert_eq!(first.read_bytes, first.logical_bytes);
    assert!(first.logical_bytes > 40 << 20);

    for _ in 0..5 {
        step(&connection).unwrap();
    }
    let report = back_up(&repository, &[&exporter]).unwrap();
    let second = report.manifest.statistics;
    assert_eq!(second.read_bytes, second.logical_bytes, "all of it is read");
    assert!(second.new_bytes < 3 << 20, "{second:?}");
    // And nothing at all where nothing changed.
    let third = back_up(&repository, &[&exporter]).unwrap().manifest;
    assert_eq!(third.statistics.new_bytes, 0);

    let source = &third.sources[0];
    assert_eq!(source.kind, "sqlite");
    assert_eq!(source.parent, report.id);
    assert_eq!(source.consistency.as_ref().unwrap().kind, "read-transaction");
    let property =
        |name: &str| source.properties.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!(property("journal_mode"), "wal");
    assert_eq!(property("page_size"), "4096");
    let pages: u64 = property("page_count").parse().unwrap();
    assert_eq!(pages * 4096, third.statistics.logical_bytes);
}
