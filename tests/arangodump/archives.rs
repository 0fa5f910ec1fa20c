//! Archives that somebody made to do harm, or that did not come whole.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use restow::fault::ErrorKind;
use restow::progress::Cancel;
use restow::source::SourceError;
use restow::source::arangodb::{ArangodumpExporter, ArangodumpOptions, SortOptions};
use tar::{Builder, EntryType, Header};

use super::{ENTITIES, archive, real};

/// Where the archives are, and where they are unpacked.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::create_dir(bench.temp()).unwrap();
        bench
    }

    fn temp(&self) -> std::path::PathBuf {
        self.0.path().join("temp")
    }

    fn open(&self, archive: &Path) -> Result<ArangodumpExporter, SourceError> {
        let sort = SortOptions { temp_dir: Some(self.temp()), ..SortOptions::default() };
        let options = ArangodumpOptions { sort, identity: None };
        ArangodumpExporter::new(archive, options, &Cancel::new())
    }

    /// Refused, with nothing left behind, inside the temporary folder or outside.
    fn refuses(&self, bytes: &[u8], why: &str) {
        let path = self.0.path().join("bad.tar");
        fs::write(&path, bytes).unwrap();
        let error = self.open(&path).err().unwrap_or_else(|| panic!("{why}: taken"));
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
        let said = error.to_string();
        assert!(said.contains("bad.tar: ") && said.contains(why), "{why}: {said}");
        assert_eq!(fs::read_dir(self.temp()).unwrap().count(), 0, "{why}");
        let names: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{why}: {names:?}");
    }
}

/// An archive with one entry, named as no well-meaning program would.
fn one(name: &str, kind: EntryType) -> Vec<u8> {
    let mut header = Header::new_gnu();
    let place = &mut header.as_gnu_mut().unwrap().name;
    place[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(if kind == EntryType::Regular { 4 } else { 0 });
    header.set_mode(0o777);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, &b"evil"[..header.size().unwrap() as usize]).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let bench = Bench::new();
    for name in ["../evil.structure.json", "a/../../evil", "/tmp/evil", "a/.."] {
        bench.refuses(&one(name, EntryType::Regular), "would lie outside of it");
    }
    bench.refuses(&one("a/b/c/d/e/f/g/h/i", EntryType::Regular), "is no path in a dump");
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo] {
        bench.refuses(&one("dump.json", kind), "which is no file");
    }
    let mut twice = Builder::new(Vec::new());
    for _ in 0..2 {
        let mut header = Header::new_gnu();
        header.set_size(2);
        twice.append_data(&mut header, "dump.json", &b"{}"[..]).unwrap();
    }
    bench.refuses(&twice.into_inner().unwrap(), "holds dump.json twice");
    bench.refuses(&one("dump", EntryType::Directory), "holds no files");
}

#[test]
fn an_archive_that_did_not_come_whole_is_refused() {
    let bench = Bench::new();
    let good = bench.0.path().join("bad.tar");
    for gzip in [true, false] {
        archive(&real(ENTITIES), "dump", gzip, &good);
        let bytes = fs::read(&good).unwrap();
        bench.open(&good).unwrap();
        bench.refuses(&bytes[..bytes.len() / 2], "is no whole archive");
        if gzip {
            // The last file is there; the checksum of all is not.
            bench.refuses(&bytes[..bytes.len() - 4], "is no whole archive");
            let mut wrong = bytes.clone();
            let at = wrong.len() - 6;
            wrong[at] ^= 1;
            bench.refuses(&wrong, "is no whole archive");
        }
    }
    let other = super::gzipped(b"no archive at all, only text that was gzipped");
    bench.refuses(&other, "is no");
}

/// A few kilobytes that would come to a name of 64 MiB.
#[test]
fn names_do_not_fill_the_memory() {
    let bench = Bench::new();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(64 << 20);
    header.set_cksum();
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(header.as_bytes()).unwrap();
    for _ in 0..64 {
        out.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    bench.refuses(&out.finish().unwrap(), "more than 1048576 bytes between two files");
}

#[test]
fn a_stop_is_heeded_and_leaves_nothing() {
    let bench = Bench::new();
    let path = bench.0.path().join("dump.tgz");
    archive(&real(ENTITIES), "dump", true, &path);
    let cancel = Cancel::new();
    cancel.cancel();
    let sort = SortOptions { temp_dir: Some(bench.temp()), ..SortOptions::default() };
    let options = ArangodumpOptions { sort, identity: None };
    let stopped = ArangodumpExporter::new(&path, options, &cancel);
    assert!(matches!(stopped, Err(SourceError::Interrupted)));
    assert_eq!(fs::read_dir(bench.temp()).unwrap().count(), 0);
}
