//! Snapshots made by somebody who means harm: nothing outside the target is ever written.

use std::os::unix::fs::symlink;

use restow::format::{self, Bytes, CatalogLeaf, Entry, EntryKind, EntryPath, UnixAttributes};
use restow::ops::{RestoreOptions, restore};
use restow::progress::{Cancel, Silent};
use restow::source::files::{self, FolderImporter};
use restow::source::{Description, Exporter, Item, Outcome, Session, SourceEntry, SourceError};

use crate::support::{back_up, memory_repository, open, small_chunks, view};

pub fn entry(path: &str, kind: EntryKind) -> Entry {
    let unix = Some(UnixAttributes { mode: 0o755, ..UnixAttributes::default() });
    let path = EntryPath::new(path).unwrap();
    let (token, content) = (Bytes::default(), None);
    Entry { path, kind, unix, token, content, properties: Vec::new(), ext: Vec::new() }
}

/// A source that says whatever it likes.
pub struct Liar(pub Vec<Entry>);

impl Exporter for Liar {
    fn describe(&self) -> Description {
        Description { kind: "liar".into(), url: "liar".into(), label: "liar".into() }
    }

    fn open(&self, _: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        Ok(Box::new(Lies(self.0.clone().into_iter())))
    }
}

struct Lies(std::vec::IntoIter<Entry>);

impl Session for Lies {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        Ok(self.0.next().map(|entry| SourceEntry::bare(entry).into()))
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        Ok(Outcome::default())
    }
}

#[test]
fn a_path_that_leads_out_does_not_decode() {
    let leaf = CatalogLeaf { entries: vec![entry("xx/yy", EntryKind::File)], ext: Vec::new() };
    let good = format::encode(&leaf).unwrap();
    format::decode::<CatalogLeaf>(&good).unwrap();
    for evil in ["../yy", "/x/yy", "xx/..", "./xyy", "xx//y", "xx/y\0"] {
        let mut bad = good.clone();
        let at = bad.windows(5).position(|window| window == b"xx/yy").unwrap();
        bad[at..at + 5].copy_from_slice(evil.as_bytes());
        let error = format::decode::<CatalogLeaf>(&bad).unwrap_err();
        assert!(error.to_string().contains("safe relative path"), "{evil}: {error}");
    }
}

#[test]
fn a_link_in_the_snapshot_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (target, outside) = (folder.path().join("target"), folder.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    let link = EntryKind::Symlink { target: outside.as_os_str().as_encoded_bytes().into() };
    let entries = vec![
        entry("", EntryKind::Directory),
        entry("way", link),
        entry("way/in", EntryKind::Directory),
        entry("way/in/fifo", EntryKind::Fifo),
    ];
    let repository = open(memory_repository(&small_chunks()));
    let id = back_up(&repository, &[&Liar(entries)]).unwrap().id.unwrap();
    for overwrite in [false, true] {
        let options = files::RestoreOptions::default().overwrite(overwrite);
        let importer = Box::new(FolderImporter::new(&target, options).unwrap());
        let (view, all) = (view(&repository, id), RestoreOptions::default());
        // Refused, or put in the link's place; never through it.
        let _ = restore(&view, importer, &all, &Silent, &Cancel::new());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
}

#[test]
fn a_link_in_the_target_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (target, outside) = (folder.path().join("target"), folder.path().join("outside"));
    std::fs::create_dir_all(&target).unwrap();
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, target.join("way")).unwrap();
    let entries = vec![
        entry("", EntryKind::Directory),
        entry("way", EntryKind::Directory),
        entry("way/fifo", EntryKind::Fifo),
    ];
    let repository = open(memory_repository(&small_chunks()));
    let id = back_up(&repository, &[&Liar(entries)]).unwrap().id.unwrap();
    let options = files::RestoreOptions::default().overwrite(true);
    let importer = Box::new(FolderImporter::new(&target, options).unwrap());
    let all = RestoreOptions::default();
    restore(&view(&repository, id), importer, &all, &Silent, &Cancel::new()).unwrap();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert!(target.join("way/fifo").exists());
    assert!(!target.join("way").is_symlink());
}

/// Entries out of order, or twice, cannot get into a catalog.
#[test]
fn a_source_out_of_order_makes_no_snapshot() {
    let repository = open(memory_repository(&small_chunks()));
    for names in [["b", "a"], ["a", "a"]] {
        let entries = names.map(|name| entry(name, EntryKind::Fifo)).to_vec();
        let error = back_up(&repository, &[&Liar(entries)]).unwrap_err();
        assert!(error.to_string().contains("sorts behind"), "{error}");
    }
    assert!(repository.snapshots().unwrap().0.is_empty());
}

/// What one brings could be a link, and lie on the way to the other.
#[test]
fn sources_that_lie_in_one_another_do_not_decode() {
    let repository = open(memory_repository(&small_chunks()));
    let liar = || Liar(vec![entry("", EntryKind::Directory)]);
    let id = back_up(&repository, &[&liar(), &liar()]).unwrap().id.unwrap();
    let manifest = repository.manifest(&id).unwrap();
    let decoded = |prefixes: &[&str]| {
        let source = |prefix: &&str| {
            let prefix = EntryPath::new(*prefix).unwrap();
            format::SourceRecord { prefix, ..manifest.sources[0].clone() }
        };
        let sources = prefixes.iter().map(source).collect();
        let manifest = format::Manifest { sources, ..manifest.clone() };
        format::decode::<format::Manifest>(&format::encode(&manifest).unwrap())
    };
    for good in [&["a", "b"][..], &["a"], &[""], &[]] {
        decoded(good).unwrap();
    }
    for evil in [&["a", "a/link/x"][..], &["a", "b/c"], &["a", "a"], &["", "a"], &["a/b"]] {
        let error = decoded(evil).unwrap_err().to_string();
        assert!(error.contains("a name of its own"), "{evil:?}: {error}");
    }
}
