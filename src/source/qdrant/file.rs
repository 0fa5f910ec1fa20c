//! A snapshot that lies in a file: what a server made, or an export of ours.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::contents::Contents;
use super::failure::refused;
use super::origin::{Facts, Origin, Stream, Whole};
use super::server::QdrantSource;
use super::session::{Part, QdrantSession};
use super::tar::Watch;
use super::{ALIASES, COLLECTION, PARAMS, SHARD, SHARD_SNAPSHOT, SNAPSHOT, property};
use crate::fault::ErrorKind;
use crate::format::EntryKind;
use crate::progress::Cancel;
use crate::source::{Description, Exporter, Session, SourceError};

/// Of which collection a file is.
#[derive(Debug, Clone, Default)]
pub struct QdrantFileOptions {
    /// Instead of what the file's name says.
    pub collection: Option<String>,
    /// The server and the one collection it was made of: then it continues that source's snapshots.
    pub source: Option<QdrantSource>,
}

/// Reads a snapshot's file as the server it was made by would be read.
pub struct QdrantFileExporter {
    path: PathBuf,
    named: FileNameParts,
    url: String,
}

impl QdrantFileExporter {
    /// Follows links: `notes_latest.snapshot` is what it leads to.
    pub fn new(path: &Path, options: QdrantFileOptions) -> Result<Self, SourceError> {
        let shown = path.display().to_string();
        let path = path.canonicalize().map_err(|source| SourceError::Io {
            action: "find",
            path: shown.clone(),
            source,
        })?;
        let usage = |message: &str| refused(ErrorKind::Usage, &shown, message);
        let file_name = path.file_name().and_then(|name| name.to_str());
        let mut named = FileNameParts::of(file_name.unwrap_or_default());
        let of_source = match &options.source {
            None => None,
            Some(QdrantSource { collections, .. }) => match collections.as_slice() {
                [one] => Some(one.clone()),
                _ => return Err(usage("is of one collection: name that, and no other")),
            },
        };
        if let Some(collection) = options.collection.or(of_source) {
            named.collection = collection;
        }
        if named.collection.is_empty() || named.collection.contains(['/', '\0']) {
            return Err(usage("its name does not say of which collection it is: say that"));
        }
        let url = match &options.source {
            Some(source) => format!("{}/{}", source.server.source_url(), named.collection),
            // The same for tomorrow's file beside it.
            None => {
                let folder = path.parent().unwrap_or(Path::new("/")).join(&named.collection);
                format!("qdrant-file:{}", folder.display())
            }
        };
        Ok(Self { path, named, url })
    }

    fn parts(&self) -> Result<Vec<Part>, SourceError> {
        let (mut file, found) = SnapshotFile::open(&self.path)?;
        let seen = file.look()?;
        let shown = self.path.display().to_string();
        let no = |what: String| {
            refused(ErrorKind::Failed, &shown, format!("is no snapshot of a collection: {what}"))
        };
        if !seen.is_whole {
            return Err(no(seen.odd.unwrap_or_else(|| "it is no archive".to_owned())));
        }
        let config = seen.config().unwrap_or_default();
        if config.get("collections_mapping").is_some() {
            let what = "it is one of a server's whole storage: unpack it (tar -xf), and take in the \
                        snapshots in it one by one; the aliases are in its config.json";
            return Err(no(what.to_owned()));
        }
        if seen.is_partial {
            let what = "it is a partial one, which has only what changed since another: have the server \
                        make a whole one (POST /collections/NAME/snapshots), or let restow back up \
                        qdrant://HOST:6333/NAME";
            return Err(no(what.to_owned()));
        }
        let FileNameParts { collection, shard, time } = &self.named;
        let size = found.len();
        let about = json!({
            "collection": collection,
            "server": null,
            "snapshot": {
                "name": self.path.file_name().map(|name| name.to_string_lossy()),
                "creation_time": time,
                "size": size,
                "sha256": null,
            },
            "aliases": [],
            "info": {"config": config},
            "cluster": null,
            "nodes": null,
            "peers": null,
        });
        let mut properties = vec![property(ALIASES, "[]")];
        let (stem, kind) = if seen.is_of_a_shard() {
            let shard = shard.ok_or_else(|| {
                no(format!(
                    "it is one of a shard, and its name does not say which: call it \
                     {collection}.shard-0{SNAPSHOT} if it is shard 0"
                ))
            })?;
            properties.push(property(COLLECTION, collection));
            properties.push(property(SHARD, &shard.to_string()));
            let kind = EntryKind::Stream { class: SHARD_SNAPSHOT.to_owned() };
            (format!("{collection}.shard-{shard}"), kind)
        } else {
            let Some(params) = config.get("params") else {
                return Err(no("it has no config.json with a collection's params".to_owned()));
            };
            properties.push(property(PARAMS, &params.to_string()));
            (collection.clone(), EntryKind::File)
        };
        let origin = FileOrigin { file, found, time: time.clone() };
        let entries = Part::snapshot(&stem, kind, properties, origin)?;
        let about = Part::about(collection, format!("{about:#}\n"))?;
        Ok([about].into_iter().chain(entries).collect())
    }
}

impl Exporter for QdrantFileExporter {
    fn describe(&self) -> Description {
        let (kind, label) = ("qdrant".to_owned(), self.named.collection.clone());
        Description { kind, url: self.url.clone(), label }
    }

    fn open(&self, _: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let facts = vec![("file".to_owned(), self.path.display().to_string())];
        Ok(Box::new(QdrantSession::new(self.parts()?, "qdrant-snapshot", facts)?))
    }
}

/// What a file's name says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct FileNameParts {
    collection: String,
    shard: Option<u64>,
    /// UTC where the server named it.
    time: Option<String>,
}

impl FileNameParts {
    /// `{collection}-{peer}-{date}.snapshot`, `{collection}-shard-{id}-{date}.snapshot` as servers name them,
    /// `{collection}_{date}_{time}.snapshot` as exports are called, `{collection}.snapshot`.
    fn of(file_name: &str) -> Self {
        let stem = file_name.strip_suffix(SNAPSHOT).unwrap_or(file_name);
        let exported = stem.rsplit_once('_').and_then(|(rest, time)| {
            let (name, date) = rest.rsplit_once('_')?;
            (is_digits(date, 8) && is_digits(time, 6)).then_some(name)
        });
        let (stem, time) = match (served(stem), exported) {
            (Some((rest, time)), _) => {
                let (before, last) = rest.rsplit_once('-').unwrap_or((rest, ""));
                let shard = before.strip_suffix("-shard").zip(last.parse().ok());
                if let Some((collection, shard)) = shard {
                    let (collection, shard) = (collection.to_owned(), Some(shard));
                    return Self { collection, shard, time: Some(time) };
                }
                let is_peer = !last.is_empty() && is_digits(last, last.len());
                (if is_peer { before } else { rest }, Some(time))
            }
            (None, Some(name)) => (name, None),
            (None, None) => (stem, None),
        };
        let shard = stem.rsplit_once(".shard-");
        match shard.and_then(|(name, id)| Some((name, id.parse().ok()?))) {
            Some((name, id)) => Self { collection: name.to_owned(), shard: Some(id), time },
            None => Self { collection: stem.to_owned(), shard: None, time },
        }
    }
}

fn is_digits(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands before `-YYYY-MM-DD-HH-MM-SS`, and that as `YYYY-MM-DDTHH:MM:SS`.
fn served(stem: &str) -> Option<(&str, String)> {
    let parts: Vec<&str> = stem.rsplitn(7, '-').collect();
    let [second, minute, hour, day, month, year, rest] = parts.as_slice() else { return None };
    let two = [second, minute, hour, day, month].iter().all(|part| is_digits(part, 2));
    let time = format!("{year}-{month}-{day}T{hour}:{minute}:{second}");
    (two && is_digits(year, 4)).then_some((rest, time))
}

struct SnapshotFile {
    file: File,
    path: String,
}

impl SnapshotFile {
    fn open(path: &Path) -> Result<(Self, Metadata), SourceError> {
        let shown = path.display().to_string();
        let failed = |source| SourceError::Io { action: "read", path: shown.clone(), source };
        // A FIFO would have it wait for ever.
        let found = path.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(refused(ErrorKind::Usage, &shown, "is no file"));
        }
        let file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        Ok((Self { file, path: shown }, found))
    }

    fn failed(&self, source: std::io::Error) -> SourceError {
        SourceError::Io { action: "read", path: self.path.clone(), source }
    }

    /// Reads the headers only.
    fn look(&mut self) -> Result<Contents, SourceError> {
        let mut watch = Watch::new();
        let mut buffer = vec![0; 64 * 1024];
        let len = self.file.metadata().map_err(|error| self.failed(error))?.len();
        let mut at = 0u64;
        loop {
            let skipped = watch.may_skip();
            if skipped > 0 {
                at = at.saturating_add(skipped);
                if at > len {
                    break;
                }
                watch.skip(skipped);
                self.file.seek(SeekFrom::Start(at)).map_err(|error| self.failed(error))?;
            }
            // No more than a header where another may follow.
            let most = if watch.is_at_the_end() { buffer.len() } else { 512 };
            let room = buffer.get_mut(..most).unwrap_or_default();
            let count = self.file.read(room).map_err(|error| self.failed(error))?;
            if count == 0 {
                break;
            }
            watch.push(room.get(..count).unwrap_or_default());
            at += count as u64;
        }
        Ok(watch.finish())
    }
}

struct FileOrigin {
    file: SnapshotFile,
    found: Metadata,
    time: Option<String>,
}

impl Origin for FileOrigin {
    fn size(&self) -> u64 {
        self.found.len()
    }

    fn begin(&mut self) -> Result<Box<dyn Stream>, SourceError> {
        let again = self.file.file.try_clone().map_err(|error| self.file.failed(error))?;
        let mut file = SnapshotFile { file: again, path: self.file.path.clone() };
        file.file.seek(SeekFrom::Start(0)).map_err(|error| self.file.failed(error))?;
        Ok(Box::new(file))
    }

    fn conclude(&mut self, read: &Whole) -> Result<Facts, SourceError> {
        let now = self.file.file.metadata().map_err(|error| self.file.failed(error))?;
        let state = |of: &Metadata| (of.len(), of.mtime(), of.mtime_nsec());
        if state(&now) != state(&self.found) || read.len != now.len() || !read.contents.is_whole {
            let message =
                "changed while it was read: nothing of it is kept; back it up when it is whole";
            return Err(refused(ErrorKind::Failed, &self.file.path, message));
        }
        let times: Vec<String> = self.time.iter().cloned().collect();
        let properties = times.iter().map(|time| ("created", time.clone())).collect();
        Ok(Facts { times, properties })
    }
}

impl Stream for SnapshotFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| self.failed(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> (String, Option<u64>, Option<String>) {
        let FileNameParts { collection, shard, time } = FileNameParts::of(name);
        (collection, shard, time)
    }

    #[test]
    fn names_of_files() {
        let time = || Some("2026-11-20T20:00:10".to_owned());
        let plain = |name: &str| (name.to_owned(), None, None);
        let served = "notes-4261355958411988-2026-11-20-20-00-10.snapshot";
        assert_eq!(of(served), ("notes".to_owned(), None, time()));
        let dashes = "my-notes-2-4261355958411988-2026-11-20-20-00-10.snapshot";
        assert_eq!(of(dashes), ("my-notes-2".to_owned(), None, time()));
        let shard = "my-notes-shard-3-2026-11-20-20-00-10.snapshot";
        assert_eq!(of(shard), ("my-notes".to_owned(), Some(3), time()));
        assert_eq!(of("notes_20261120_200010.snapshot"), plain("notes"));
        assert_eq!(of("a_b_20261120_200010.snapshot"), plain("a_b"));
        assert_eq!(
            of("notes.shard-7_20261120_200010.snapshot"),
            ("notes".to_owned(), Some(7), None)
        );
        assert_eq!(of("notes.snapshot"), plain("notes"));
        assert_eq!(of("notes-1-2026-13.snapshot"), plain("notes-1-2026-13"));
        assert_eq!(of("x_2026_1.snapshot"), plain("x_2026_1"));
        assert_eq!(of(".snapshot"), plain(""));
    }
}
