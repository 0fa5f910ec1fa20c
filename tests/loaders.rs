//! What loaders are given to read.

use std::io::Read;
use std::sync::Arc;

use restow::ops::{RestoreOptions, load};
use restow::progress::{Cancel, Observer, Silent};
use restow::source::{LoadPlan, LoadReport, Loader, SourceError, Stored};
use restow::{BackupOptions, FolderExporter, FolderOptions, SnapshotManager};

use crate::support::model::noise;
use crate::support::{default_chunks, memory_repository, try_open};

/// Reads the first byte of each file, and no more.
struct Glances(u64);

impl Loader for Glances {
    fn plan(&mut self, _: &dyn Stored) -> Result<LoadPlan, SourceError> {
        Ok(LoadPlan::default())
    }

    fn load(
        mut self: Box<Self>,
        stored: &dyn Stored,
        _: bool,
        _: &dyn Observer,
        _: &Cancel,
    ) -> Result<LoadReport, SourceError> {
        stored.each(&mut |entry| {
            if !entry.is_empty() {
                let mut byte = [0];
                stored.open(&entry)?.read_exact(&mut byte).unwrap();
                self.0 += 1;
            }
            Ok(())
        })?;
        Ok(LoadReport { loaded: self.0, ..LoadReport::default() })
    }
}

/// A thread that fetched on while the process ended aborted it: nothing may fetch once a reader is dropped.
#[test]
fn who_stops_reading_stops_what_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), noise(40 << 20, 1)).unwrap();
    let storage = memory_repository(&default_chunks());
    let manager = SnapshotManager::new(try_open(Arc::new(storage)).unwrap());
    let source = FolderExporter::new(folder.path(), FolderOptions::default()).unwrap();
    let id = manager.create(&[&source], &BackupOptions::default()).unwrap().id.unwrap();
    let view = manager.view(&id).unwrap();
    let (options, cancel) = (RestoreOptions::default(), Cancel::new());
    let report = load(&view, Box::new(Glances(0)), &options, false, &Silent, &cancel).unwrap();
    assert_eq!(report.entries, 1);
    assert_eq!(Arc::strong_count(view.reader()), 1);
}
