//! A stand-in for the engine: entries and bytes out of a folder, and back into one.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use restow::format::{
    Bytes, Content, Entry, EntryKind, EntryPath, Problem, Recipe, Time, UnixAttributes,
};
use restow::progress::Cancel;
use restow::source::files::{
    FolderExporter, FolderImporter, FolderOptions, ImportReport, RestoreOptions,
};
use restow::source::{BodyStatus, Exporter, Fate, Importer, Item, Sink, SourceError};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// Replaces everything in the way, the root's attributes too.
pub fn replacing() -> RestoreOptions {
    RestoreOptions::default().overwrite(true).change_root(true)
}

/// An entry with its bytes.
#[derive(Debug, Clone)]
pub struct Given {
    pub entry: Entry,
    pub bytes: Vec<u8>,
    pub status: Option<BodyStatus>,
}

impl Given {
    pub fn path(&self) -> String {
        self.entry.path.display()
    }

    pub fn unix(&self) -> &UnixAttributes {
        self.entry.unix.as_ref().unwrap()
    }
}

#[derive(Debug, Default)]
pub struct Exported {
    pub given: Vec<Given>,
    pub problems: Vec<Problem>,
    pub properties: Vec<(String, String)>,
}

impl Exported {
    pub fn paths(&self) -> Vec<String> {
        self.given.iter().map(Given::path).collect()
    }

    pub fn get(&self, path: &str) -> &Given {
        self.given.iter().find(|given| given.path() == path).unwrap_or_else(|| panic!("no {path}"))
    }

    pub fn problem(&self, path: &str) -> &str {
        let found = self.problems.iter().find(|problem| *problem.path == *path.as_bytes());
        &found.unwrap_or_else(|| panic!("no problem with {path}: {:?}", self.problems)).message
    }
}

pub fn export(path: &Path) -> Exported {
    export_with(path, FolderOptions::default())
}

pub fn export_with(path: &Path, options: FolderOptions) -> Exported {
    export_slowly(path, options, |_| {})
}

/// Calls `before_read` for every entry, between its open body and the first read.
pub fn export_slowly(
    path: &Path,
    options: FolderOptions,
    mut before_read: impl FnMut(&Entry),
) -> Exported {
    let exporter = FolderExporter::new(path, options).unwrap();
    let mut session = exporter.open(&Cancel::new()).unwrap();
    let mut exported = Exported::default();
    while let Some(item) = session.next().unwrap() {
        let mut source = match item {
            Item::Entry(source) => source,
            Item::Problem(problem) => {
                exported.problems.push(problem);
                continue;
            }
        };
        let path = Bytes::from(source.entry.path.as_bytes());
        let (mut bytes, mut status) = (Vec::new(), None);
        if let Some(body) = source.body.take() {
            let open = body.open().inspect(|_| before_read(&source.entry));
            let read = open.and_then(|mut body| {
                body.read_to_end(&mut bytes).map_err(|source| SourceError::Io {
                    action: "read",
                    path: String::new(),
                    source,
                })?;
                body.finish()
            });
            match read {
                Ok(end) => status = Some(end.status),
                Err(error) => {
                    let message = error.to_string();
                    exported.problems.push(Problem { path, message });
                    continue;
                }
            }
            let len = bytes.len() as u64;
            source.entry.content = Some(Content { len, recipe: Recipe::Inline(Vec::new()) });
        }
        exported.given.push(Given { entry: source.entry, bytes, status });
    }
    exported.properties = session.finish().unwrap().properties;
    exported
}

pub struct Restored {
    pub fates: HashMap<String, Fate>,
    pub written: u64,
    /// Entries that could not be placed.
    pub errors: Vec<(String, SourceError)>,
    pub report: Arc<ImportReport>,
}

/// Restores as the engine does: only bytes that differ are written, from several threads. The target is made
/// like the root, even where it was there before, so that the two can be compared.
pub fn import(target: &Path, given: &[Given], options: RestoreOptions) -> Restored {
    import_with(target, given, options.change_root(true))
}

/// The same, with just these options.
pub fn import_with(target: &Path, given: &[Given], options: RestoreOptions) -> Restored {
    let mut importer = FolderImporter::new(target, options).unwrap();
    let report = importer.report();
    let fates = given.iter().map(|g| (g.path(), importer.inspect(&g.entry).unwrap())).collect();
    let (mut sinks, mut errors) = (Vec::new(), Vec::new());
    for one in given {
        match importer.place(&one.entry) {
            Ok(Some(sink)) => sinks.push((one, sink)),
            Ok(None) => {}
            Err(error) => errors.push((one.path(), error)),
        }
    }
    let sinks = Arc::new(std::sync::Mutex::new(sinks.into_iter()));
    let written = std::thread::scope(|scope| {
        let worker = || {
            let mut written = 0;
            loop {
                let next = sinks.lock().unwrap().next();
                let Some((one, sink)) = next else { return written };
                written += fill(sink, &one.bytes);
            }
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    for one in given.iter().rev().filter(|one| one.entry.kind == EntryKind::Directory) {
        if let Err(error) = importer.settle(&one.entry) {
            errors.push((one.path(), error));
        }
    }
    Box::new(importer).finish().unwrap();
    Restored { fates, written, errors, report }
}

fn fill(sink: Box<dyn Sink>, bytes: &[u8]) -> u64 {
    const STEP: usize = 10_000;
    let (mut written, mut old) = (0, vec![0; STEP]);
    for (index, piece) in bytes.chunks(STEP).enumerate() {
        let offset = (index * STEP) as u64;
        let old = &mut old[..piece.len()];
        let is_there = offset < sink.existing_len() && sink.read_at(offset, old).unwrap();
        if !is_there || old != piece {
            sink.write_at(offset, piece).unwrap();
            written += piece.len() as u64;
        }
    }
    sink.finish().unwrap();
    written
}

/// What two equal trees have in common: all but inodes, and whether holes are where they were.
pub fn comparable(given: &[Given]) -> Vec<(Entry, Vec<u8>)> {
    let mut first_names: HashMap<(u64, u64), u64> = HashMap::new();
    let one = |(index, given): (usize, &Given)| {
        let mut entry = given.entry.clone();
        entry.token = Bytes::default();
        if let Some(unix) = &mut entry.unix {
            unix.sparse = false;
            if let Some(link) = &mut unix.link {
                let group = first_names.entry((link.device, link.inode)).or_insert(index as u64);
                (link.device, link.inode) = (0, *group);
            }
        }
        (entry, given.bytes.clone())
    };
    given.iter().enumerate().map(one).collect()
}

pub fn assert_same(left: &Exported, right: &Exported) {
    let (left, right) = (comparable(&left.given), comparable(&right.given));
    for (left, right) in left.iter().zip(&right) {
        assert_eq!(left.0, right.0);
        assert!(left.1 == right.1, "bytes of {:?}", left.0.path);
    }
    assert_eq!(left.len(), right.len());
}

/// Exports `source`, imports it elsewhere, and expects to find the same there.
pub fn assert_round_trip(source: &Path) {
    let exported = export(source);
    assert_eq!(exported.problems, []);
    let target = tempfile::tempdir().unwrap();
    let restored = import(target.path(), &exported.given, RestoreOptions::default());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_eq!(restored.report.problems(), []);
    assert_same(&exported, &export(target.path()));
}

pub fn set_mtime(path: &Path, seconds: i64, nanos: u32) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// An entry made up, as a hostile or foreign snapshot may hold it.
pub fn made_up(path: &str, kind: EntryKind, bytes: &[u8]) -> Given {
    let has_bytes = kind == EntryKind::File;
    let len = bytes.len() as u64;
    let entry = Entry {
        path: EntryPath::new(path).unwrap(),
        kind,
        unix: Some(UnixAttributes {
            mode: 0o755,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            mtime: Time { seconds: 1_000_000_000, nanos: 5 },
            ..UnixAttributes::default()
        }),
        token: Bytes::default(),
        content: has_bytes.then(|| Content { len, recipe: Recipe::Inline(Vec::new()) }),
        properties: Vec::new(),
        ext: Vec::new(),
    };
    Given { entry, bytes: bytes.to_vec(), status: None }
}
