//! A snapshot as plain files: described as it is, whole or not there.

use std::fs;
use std::path::Path;

use restow::fault::ErrorKind;
use restow::ops::{ExportOptions, ExportReport, OpError, Selection, export};
use restow::progress::{Cancel, Silent};
use restow::source::files::{FolderExporter, FolderOptions};
use serde_json::Value;

use super::{damage, data_packs};
use crate::support::model::noise;
use crate::support::tree::look;
use crate::support::{back_up, memory_repository, open, small_chunks, view};

struct Exported {
    folder: tempfile::TempDir,
    storage: restow::storage::Memory,
    id: restow::id::SnapshotId,
}

impl Exported {
    /// A snapshot of a folder of all kinds.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        fs::create_dir_all(site.join("deep/er")).unwrap();
        fs::write(site.join("deep/er/a.bin"), noise(30_000, 1)).unwrap();
        fs::write(site.join("empty"), "").unwrap();
        std::os::unix::fs::symlink("../elsewhere", site.join("deep/link")).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(site.join("fifo")).status().unwrap();
        assert!(fifo.success());
        let storage = memory_repository(&small_chunks());
        let exporter = FolderExporter::new(&site, FolderOptions::default()).unwrap();
        let id = back_up(&open(storage.clone()), &[&exporter]).unwrap().id.unwrap();
        Self { folder, storage, id }
    }

    fn export(&self, to: &str, options: &ExportOptions) -> Result<ExportReport, OpError> {
        let repository = open(self.storage.clone());
        let to = self.folder.path().join(to);
        export(&view(&repository, self.id), &to, options, &Silent, &Cancel::new())
    }

    /// What is beside the site: nothing half-made is left.
    fn beside(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            all.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("entries.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn files_are_equal_and_the_description_says_what_each_is() {
    let exported = Exported::new();
    let report = exported.export("out", &ExportOptions::default()).unwrap();
    assert_eq!((report.bytes, report.skipped, report.damaged_count), (30_000, 1, 0));
    let out = exported.folder.path().join("out");
    let mut expected = look(&exported.folder.path().join("site"));
    expected.retain(|path, _| path != Path::new("fifo"));
    assert_eq!(look(&out.join("files")), expected);

    let manifest: Value =
        serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["format"], "restow export");
    assert_eq!(manifest["snapshot"]["id"], exported.id.to_hex());
    assert_eq!(manifest["bytes"], 30_000);
    let lines = lines(&out);
    assert_eq!(lines.len() as u64, report.entries);
    let of = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap();
    let hash = blake3::hash(&noise(30_000, 1)).to_hex();
    assert_eq!(of("deep/er/a.bin")["blake3"], hash.as_str());
    assert_eq!(of("deep/link")["target"], "../elsewhere");
    assert_eq!(of("fifo")["kind"], "fifo");
}

#[test]
fn only_an_earlier_export_is_replaced_and_only_if_so_said() {
    let exported = Exported::new();
    exported.export("out", &ExportOptions::default()).unwrap();
    let error = exported.export("out", &ExportOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    let stale = exported.folder.path().join("out/files/stale");
    fs::write(&stale, "x").unwrap();
    let replace = ExportOptions::default().replace(true);
    exported.export("out", &replace).unwrap();
    assert!(!stale.exists());
    // Somebody's own folder never is; an empty one is no obstacle.
    let error = exported.export("site", &replace).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    fs::create_dir(exported.folder.path().join("made")).unwrap();
    exported.export("made", &ExportOptions::default()).unwrap();
    assert_eq!(exported.beside(), ["made", "out", "site"]);
}

#[test]
fn a_part_of_it() {
    let exported = Exported::new();
    let mut options = ExportOptions::default();
    options.part.selection = Selection::only(&["*.bin".to_owned()]).unwrap();
    exported.export("out", &options).unwrap();
    let out = exported.folder.path().join("out/files");
    assert!(out.join("deep/er/a.bin").is_file() && !out.join("empty").exists());
}

#[test]
fn damage_is_named_in_the_description_and_what_is_whole_is_there() {
    let exported = Exported::new();
    for key in data_packs(&exported.storage) {
        damage(&exported.storage, &key);
    }
    let report = exported.export("out", &ExportOptions::default()).unwrap();
    assert_eq!(report.damaged_count, 1);
    assert!(report.damaged.iter().all(|problem| *problem.path == *b"deep/er/a.bin"));
    let out = exported.folder.path().join("out");
    let manifest: Value =
        serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["damaged"][0]["path"], "deep/er/a.bin");
    assert!(out.join("files/empty").is_file());
}

#[test]
fn stopped_it_leaves_nothing() {
    let exported = Exported::new();
    let repository = open(exported.storage.clone());
    let cancel = Cancel::new();
    cancel.cancel();
    let to = exported.folder.path().join("out");
    let options = ExportOptions::default();
    let error =
        export(&view(&repository, exported.id), &to, &options, &Silent, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(exported.beside(), ["site"]);
}
