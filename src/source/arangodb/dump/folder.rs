//! A dump's folder, looked through before anything of it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::names::{FileKind, stems};
use super::{DUMP, ENCRYPTION, STRUCTURE_FILE};
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::source::SourceError;
use crate::source::arangodb::failure::{io_failed, refused};
use crate::source::arangodb::model::{CollectionKind, VIEW, definition, structure};

/// Longest definition that is taken.
const DEFINITION_MAX: u64 = 64 * MIB as u64;
const NAMED: usize = 5;

/// One database.
pub(super) struct Dump {
    pub database: String,
    pub properties: Option<Value>,
    /// When it was begun, in the server's own time.
    pub tick: Option<String>,
    pub collections: BTreeMap<String, DumpCollection>,
    /// By file name; definitions as they are stored.
    pub views: BTreeMap<String, Vec<u8>>,
    /// Files that are none of a dump's.
    pub ignored: Vec<PathBuf>,
}

pub(super) struct DumpCollection {
    pub kind: CollectionKind,
    /// As it is stored.
    pub structure: Vec<u8>,
    /// In order.
    pub data: Vec<DataFile>,
}

pub(super) struct DataFile {
    pub path: PathBuf,
    is_gzip: bool,
    look: FileStamp,
}

/// How a file looked: length and time.
#[derive(PartialEq, Eq)]
struct FileStamp(u64, Option<SystemTime>);

impl FileStamp {
    fn at(path: &Path) -> Result<Self, SourceError> {
        let metadata = std::fs::metadata(path).map_err(io_failed("look at", path))?;
        Ok(Self(metadata.len(), metadata.modified().ok()))
    }
}

impl DataFile {
    /// Once it was read: whether it is still what was found at first.
    pub fn check(&self) -> Result<(), SourceError> {
        if self.look == FileStamp::at(&self.path)? {
            return Ok(());
        }
        let message = "changed while it was read: try again when arangodump is done with it";
        Err(refused(ErrorKind::Failed, &self.path.display().to_string(), message))
    }

    pub fn open(&self) -> Result<Box<dyn Read>, SourceError> {
        let file = File::open(&self.path).map_err(io_failed("open", &self.path))?;
        Ok(match self.is_gzip {
            true => Box::new(MultiGzDecoder::new(std::io::BufReader::new(file))),
            false => Box::new(file),
        })
    }
}

/// Whether a folder holds a database's dump.
pub(super) fn is_dump(folder: &Path) -> bool {
    let is_structure = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
        name.to_str().is_some_and(|name| name.ends_with(STRUCTURE_FILE))
    };
    folder.join(DUMP).is_file()
        || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.any(is_structure))
}

/// Folders in a folder, sorted.
pub(super) fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let failed = || io_failed("list", folder);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Dump {
    /// The dumps in a folder: itself, or those of several databases below it.
    pub fn all(root: &Path) -> Result<Vec<Self>, SourceError> {
        if is_dump(root) {
            return Ok(vec![Self::read(root)?]);
        }
        let folders = subfolders(root)?;
        let (dumps, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|it| is_dump(it));
        if dumps.is_empty() {
            let message = "holds no arangodump: neither dump.json nor a *.structure.json, nor folders with such";
            return Err(refused(ErrorKind::Usage, &root.display().to_string(), message));
        }
        if let Some(other) = others.first() {
            let message =
                "is no arangodump, though it lies beside some: move it away, or name one of those";
            return Err(refused(ErrorKind::Failed, &other.display().to_string(), message));
        }
        let dumps = dumps.iter().map(|it| Self::read(it)).collect::<Result<Vec<_>, _>>()?;
        let mut names = BTreeSet::new();
        match dumps.iter().find(|dump| !names.insert(&dump.database)) {
            None => Ok(dumps),
            Some(twice) => {
                let message =
                    format!("two dumps of the database {}: name one of them", twice.database);
                Err(refused(ErrorKind::Failed, &root.display().to_string(), message))
            }
        }
    }

    fn read(folder: &Path) -> Result<Self, SourceError> {
        let mut files = Files::list(folder)?;
        files.refuse_unreadable(folder)?;
        let about = match files.dump.take() {
            Some(path) => Some(json(&path)?),
            None => None,
        };
        let about = about.unwrap_or_default();
        if about.get("useVPack").and_then(Value::as_bool) == Some(true) {
            return Err(vpack(&folder.join(DUMP)));
        }
        let text = |key: &str| about.get(key).and_then(Value::as_str).map(str::to_owned);
        let folder_name = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let database = text("database").or_else(folder_name).unwrap_or_default();
        let mut collections = BTreeMap::new();
        for path in std::mem::take(&mut files.structures) {
            files.collection(&path, &mut collections)?;
        }
        files.refuse_orphans()?;
        let mut views = BTreeMap::new();
        for (stem, path) in files.views {
            let view = json(&path)?;
            let name = view.get("name").and_then(Value::as_str).unwrap_or(&stem);
            if views.insert(format!("{name}{VIEW}"), definition(&view)).is_some() {
                let message = format!("a second definition of the view {name}");
                return Err(refused(ErrorKind::Failed, &path.display().to_string(), message));
            }
        }
        let properties = about.get("properties").cloned();
        let tick = text("lastTickAtDumpStart");
        Ok(Self { database, properties, tick, collections, views, ignored: files.ignored })
    }
}

/// A folder's files, by what they are.
#[derive(Default)]
struct Files {
    dump: Option<PathBuf>,
    encryption: Option<PathBuf>,
    structures: Vec<PathBuf>,
    views: Vec<(String, PathBuf)>,
    /// By how they begin, then by part.
    data: BTreeMap<String, BTreeMap<Option<u64>, DataFile>>,
    vpack: Option<PathBuf>,
    ignored: Vec<PathBuf>,
}

impl Files {
    fn list(folder: &Path) -> Result<Self, SourceError> {
        let failed = || io_failed("list", folder);
        let entries = std::fs::read_dir(folder).map_err(failed())?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = paths.collect::<Result<Vec<_>, _>>().map_err(failed())?;
        paths.sort();
        let mut files = Self::default();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let kind = if path.is_file() { FileKind::of(name) } else { FileKind::Other };
            match kind {
                FileKind::Dump => files.dump = Some(path),
                FileKind::Encryption => files.encryption = Some(path),
                FileKind::Structure(_) => files.structures.push(path),
                FileKind::View(stem) => files.views.push((stem.to_owned(), path)),
                FileKind::VPack => files.vpack = Some(path),
                FileKind::Other => files.ignored.push(path),
                FileKind::Data { stem, part, is_gzip } => {
                    let parts = files.data.entry(stem.to_owned()).or_default();
                    let look = FileStamp::at(&path)?;
                    if let Some(other) =
                        parts.insert(part, DataFile { path: path.clone(), is_gzip, look })
                    {
                        let message = format!(
                            "stands for the same documents as {}: one of them is of an earlier dump, remove it",
                            other.path.display()
                        );
                        return Err(refused(
                            ErrorKind::Failed,
                            &path.display().to_string(),
                            message,
                        ));
                    }
                }
            }
        }
        Ok(files)
    }

    /// What no key is known for, and what is in a form that is not read.
    fn refuse_unreadable(&self, folder: &Path) -> Result<(), SourceError> {
        if let Some(path) = &self.encryption {
            let text = small(path, 1024)?;
            let text = String::from_utf8_lossy(&text);
            let text = text.trim();
            if text != "none" {
                let message = format!(
                    "is encrypted with {text:?}, and restow has no key for it: dump without --encryption.keyfile, \
                     restow encrypts what it stores"
                );
                let path = folder.join(ENCRYPTION);
                return Err(refused(ErrorKind::Failed, &path.display().to_string(), message));
            }
        }
        match &self.vpack {
            Some(path) => Err(vpack(path)),
            None => Ok(()),
        }
    }

    /// A collection with its structure and data.
    fn collection(
        &mut self,
        path: &Path,
        known: &mut BTreeMap<String, DumpCollection>,
    ) -> Result<(), SourceError> {
        let bad =
            |message: String| refused(ErrorKind::Failed, &path.display().to_string(), message);
        let described = json(path)?;
        let none =
            || bad("has no parameters with a name: it is no structure of a collection".into());
        let parameters = described.get("parameters").ok_or_else(none)?;
        let name = parameters.get("name").and_then(Value::as_str).ok_or_else(none)?;
        if known.contains_key(name) {
            return Err(bad(format!("a second structure of the collection {name}")));
        }
        // As for arangorestore, without a type it holds documents.
        let kind = match parameters.get("type") {
            None => CollectionKind::Document,
            Some(kind) => CollectionKind::of_parameters(parameters)
                .ok_or_else(|| bad(format!("collections of type {kind} are not known")))?,
        };
        let stems = stems(name, parameters);
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let stem = file.strip_suffix(STRUCTURE_FILE).unwrap_or_default();
        if !stems.iter().any(|one| one == stem) {
            let message = format!(
                "describes the collection {name}: the file was renamed, or its content is wrong"
            );
            return Err(bad(message));
        }
        let found: Vec<_> = stems.iter().filter_map(|stem| self.data.remove(stem)).collect();
        let mut found = found.into_iter();
        let data = match (found.next(), found.next()) {
            (Some(parts), None) => parts,
            (Some(a), Some(b)) => {
                let names: Vec<_> =
                    a.values().chain(b.values()).map(|it| it.path.display().to_string()).collect();
                let message = format!("has data of two dumps: {}", names.join(", "));
                return Err(bad(message));
            }
            (None, _) => {
                let message = format!(
                    "the collection {name} has a structure and no data: a file is missing, or it was dumped with \
                     --dump-data false"
                );
                return Err(bad(message));
            }
        };
        whole(name, &data).map_err(bad)?;
        let indexes = described.get("indexes").cloned().unwrap_or_default();
        let structure = structure(parameters, &indexes);
        let data = data.into_values().collect();
        known.insert(name.to_owned(), DumpCollection { kind, structure, data });
        Ok(())
    }

    fn refuse_orphans(&self) -> Result<(), SourceError> {
        let mut orphans = self.data.values().flat_map(BTreeMap::values);
        let Some(first) = orphans.next() else { return Ok(()) };
        let more = orphans.count();
        let message = match more {
            0 => "is data without a structure: the file that describes its collection is missing"
                .to_owned(),
            more => format!("and {more} more are data without a structure: files are missing"),
        };
        Err(refused(ErrorKind::Failed, &first.path.display().to_string(), message))
    }
}

/// Whether parts are numbered without a gap.
fn whole(name: &str, parts: &BTreeMap<Option<u64>, DataFile>) -> Result<(), String> {
    let numbers: Vec<u64> = parts.keys().copied().flatten().collect();
    if !numbers.is_empty() && numbers.len() != parts.len() {
        return Err(format!("the data of {name} is in one file and in several"));
    }
    let expected = 0..numbers.len() as u64;
    let missing: Vec<_> = expected.filter(|number| !numbers.contains(number)).take(NAMED).collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(format!("part {first} of the data of {name} is missing")),
    }
}

fn vpack(path: &Path) -> SourceError {
    let message = "holds VelocyPack, which restow does not read: dump with --dump-vpack false";
    refused(ErrorKind::Failed, &path.display().to_string(), message)
}

fn json(path: &Path) -> Result<Value, SourceError> {
    let text = small(path, DEFINITION_MAX)?;
    serde_json::from_slice(&text).map_err(|error| {
        let message = format!("is no JSON document: {error}");
        refused(ErrorKind::Failed, &path.display().to_string(), message)
    })
}

fn small(path: &Path, most: u64) -> Result<Vec<u8>, SourceError> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(io_failed("open", path))?;
    file.take(most + 1).read_to_end(&mut text).map_err(io_failed("read", path))?;
    if text.len() as u64 > most {
        let message = format!("is longer than {most} bytes, and no file of a dump");
        return Err(refused(ErrorKind::Failed, &path.display().to_string(), message));
    }
    Ok(text)
}
