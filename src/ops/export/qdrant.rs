//! Collections as the files their server made, with a link to the latest of each.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::format::{Entry, EntryKind, EntryPath, Manifest};
use crate::options::options;
use crate::progress::{Cancel, Observer};
use crate::repo::SnapshotView;

use super::super::OpError;
use super::super::cat;
use super::super::restore::{RestoreOptions, Selected, Selection};
use super::place::{failed, refused};

const ENDING: &str = ".snapshot";
const LATEST: &str = "_latest.snapshot";
const NAME_MAX: usize = 255;

/// What each file is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate(String);

impl Default for NameTemplate {
    fn default() -> Self {
        Self("{collection}_{date}_{time}.snapshot".to_owned())
    }
}

impl NameTemplate {
    /// `{collection}`; `{date}` (YYYYMMDD) and `{time}` (HHMMSS) where and when the snapshot was taken; `{id}`, eight
    /// digits of the snapshot's; `{name}`, the snapshot's.
    pub fn new(text: &str) -> Result<Self, OpError> {
        let wrong = |what: String| OpError::Usage(format!("the template {text:?} {what}"));
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('{') {
            let (word, behind) =
                after.split_once('}').ok_or_else(|| wrong("has a { without }".to_owned()))?;
            if !["collection", "date", "time", "id", "name"].contains(&word) {
                let known = "{collection}, {date}, {time}, {id}, {name}";
                return Err(wrong(format!("has {{{word}}}: there is {known}")));
            }
            rest = behind;
        }
        if text.is_empty() || text.contains(['/', '\0']) {
            return Err(wrong("is no name of a file".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    fn fill(&self, collection: &str, view: &SnapshotView) -> Result<String, OpError> {
        let Manifest { name, time, zone_offset, .. } = &*view.manifest;
        let stamp = jiff::Timestamp::from_second(time.seconds).ok();
        let offset = jiff::tz::Offset::from_seconds(*zone_offset).ok();
        let local = stamp.zip(offset).map(|(stamp, offset)| offset.to_datetime(stamp));
        let part = |format: &str| local.map(|at| at.strftime(format).to_string());
        // Each once, from left to right: what stands for one holds no other.
        let (mut filled, mut rest) = (String::new(), self.0.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            let (word, behind) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(before);
            filled.push_str(&match word {
                "collection" => collection.to_owned(),
                "date" => part("%Y%m%d").unwrap_or_default(),
                "time" => part("%H%M%S").unwrap_or_default(),
                "name" => name.clone(),
                _ => view.id.to_hex().chars().take(8).collect(),
            });
            rest = behind;
        }
        filled.push_str(rest);
        let is_name = !filled.contains(['/', '\0']) && !matches!(filled.as_str(), "." | "..");
        if !is_name || filled.len() > NAME_MAX {
            let message = format!("{filled:?} is no name of a file: give another --name-template");
            return Err(OpError::Usage(message));
        }
        Ok(filled)
    }
}

options! {
    /// Which collections are exported, and under which names.
    #[derive(Default)]
    pub struct QdrantExportOptions {
        /// Entries to export.
        pub selection: Selection,
        /// How the files are named.
        pub template: NameTemplate,
    }
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedSnapshot {
    /// Name of the collection.
    pub collection: String,
    /// File that was written.
    pub path: PathBuf,
    /// Length of the file.
    pub bytes: u64,
    /// Hash of the file, as hex digits.
    pub sha256: String,
    /// The link that now leads to it. None: it leads to a newer one.
    pub latest: Option<PathBuf>,
}

/// Writes each collection's snapshot into the folder `to`, which is made if need be. A file appears whole, verified
/// and durable, or not at all; none is replaced but the link to the latest.
pub fn export_qdrant(
    view: &SnapshotView,
    to: &Path,
    options: &QdrantExportOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Vec<ExportedSnapshot>, OpError> {
    let wanted = wanted(view, options)?;
    std::fs::create_dir_all(to).map_err(|error| failed("create", to, error))?;
    for Wanted { collection, file, .. } in &wanted {
        for (name, may_be_link) in [(file, false), (&latest_name(collection), true)] {
            check_place(&to.join(name), may_be_link)?;
        }
    }
    let mut exported = Vec::new();
    for Wanted { path, collection, file, sha256: known } in wanted {
        let temporary = tempfile::Builder::new().prefix(".restow-export-").tempfile_in(to);
        let temporary = temporary.map_err(|error| failed("create a file in", to, error))?;
        let mut out = Hashed { out: BufWriter::new(temporary), hasher: Sha256::new() };
        let bytes = cat(view, &path, &mut out, observer, cancel)?;
        let sha256 = HEXLOWER.encode(&out.hasher.finalize());
        let target = to.join(&file);
        if known.as_ref().is_some_and(|known| !known.eq_ignore_ascii_case(&sha256)) {
            let message = format!("its SHA-256 is {sha256}, the server's was {known:?}");
            return Err(refused(&target, message));
        }
        let write = |error| failed("write", &target, error);
        let temporary = out.out.into_inner().map_err(|error| write(error.into_error()))?;
        temporary.as_file().sync_all().map_err(write)?;
        temporary.persist_noclobber(&target).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => there(&target, "exists"),
            _ => failed("create", &target, error.error),
        })?;
        sync(to)?;
        let latest = link(to, &collection, &file)?;
        exported.push(ExportedSnapshot { collection, path: target, bytes, sha256, latest });
    }
    sync(to)?;
    Ok(exported)
}

/// An entry to write.
struct Wanted {
    path: EntryPath,
    collection: String,
    file: String,
    /// As the manifest has it.
    sha256: Option<String>,
}

fn wanted(view: &SnapshotView, options: &QdrantExportOptions) -> Result<Vec<Wanted>, OpError> {
    let (mut wanted, mut files) = (Vec::new(), BTreeSet::new());
    for source in view.manifest.sources.iter().filter(|source| source.kind == "qdrant") {
        let part =
            RestoreOptions { selection: options.selection.clone(), prefix: source.prefix.clone() };
        let mut selected = Selected::new(view, &part)?;
        while let Some(entry) = selected.next_entry()? {
            let Some(collection) = collection_of(&entry) else { continue };
            let file = options.template.fill(&collection, view)?;
            if !files.insert(file.clone()) || file == latest_name(&collection) {
                let message = format!(
                    "two files would be called {file}: give a --name-template with {{collection}} and a date, or \
                     choose with --only"
                );
                return Err(OpError::Usage(message));
            }
            let key = format!("{collection}/sha256");
            let known = source.properties.iter().find(|(name, _)| *name == key);
            let path = source.prefix.join(entry.path.as_bytes());
            let path = path.map_err(|error| refused(Path::new(&collection), error.to_string()))?;
            let sha256 = known.map(|(_, sha256)| sha256.clone());
            wanted.push(Wanted { path, collection, file, sha256 });
        }
        let losses = selected.losses();
        if losses.entries > 0 {
            let message = format!("{} entries are lost: see `restow check`", losses.entries);
            return Err(refused(Path::new(&source.url), message));
        }
    }
    match wanted.is_empty() {
        false => Ok(wanted),
        true => Err(OpError::Usage(
            "nothing that is selected is a Qdrant snapshot: export it without --format".into(),
        )),
    }
}

fn collection_of(entry: &Entry) -> Option<String> {
    let is_bytes = matches!(entry.kind, EntryKind::File | EntryKind::Stream { .. });
    let name = str::from_utf8(entry.path.as_bytes()).ok()?;
    let name = name.strip_suffix(ENDING).filter(|name| is_bytes && !name.is_empty())?;
    (!name.contains('/') && entry.content.is_some()).then(|| name.to_owned())
}

fn latest_name(collection: &str) -> String {
    format!("{collection}{LATEST}")
}

/// Looks before anything is written. A link may be replaced that an export made, wherever it leads by now.
fn check_place(path: &Path, may_be_link: bool) -> Result<(), OpError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path, error)),
        Ok(found) if may_be_link && found.is_symlink() => our_link(path).map(drop),
        Ok(_) if may_be_link => Err(there(path, "exists and is not a link of an export")),
        Ok(_) => Err(there(path, "exists")),
    }
}

/// What a link of ours leads to: a file beside it.
fn our_link(path: &Path) -> Result<String, OpError> {
    let to = path.read_link().map_err(|error| failed("read the link", path, error))?;
    let name = to.to_str().filter(|to| !to.contains('/') && to.ends_with(ENDING));
    name.map(str::to_owned).ok_or_else(|| {
        let what = format!("leads to {}, which no export made it do: remove it", to.display());
        OpError::TargetExists { place: path.display().to_string(), what }
    })
}

fn there(path: &Path, what: &str) -> OpError {
    OpError::TargetExists { place: path.display().to_string(), what: what.to_owned() }
}

/// Makes the link to the latest lead to `file` in one step, unless it leads to one of a later time.
fn link(to: &Path, collection: &str, file: &str) -> Result<Option<PathBuf>, OpError> {
    let path = to.join(latest_name(collection));
    if path.symlink_metadata().is_ok() {
        check_place(&path, true)?;
        let now = our_link(&path)?;
        let is_later =
            stamp(collection, &now).zip(stamp(collection, file)).is_some_and(|(a, b)| a > b);
        // One that leads nowhere is nobody's latest.
        if is_later && to.join(&now).exists() {
            return Ok(None);
        }
    }
    let failed = |error| failed("link", &path, error);
    let folder =
        tempfile::Builder::new().prefix(".restow-export-").tempdir_in(to).map_err(failed)?;
    let temporary = folder.path().join("link");
    std::os::unix::fs::symlink(file, &temporary).map_err(failed)?;
    std::fs::rename(&temporary, &path).map_err(failed)?;
    Ok(Some(path))
}

/// The date and time in a name of the usual form.
fn stamp<'n>(collection: &str, name: &'n str) -> Option<&'n str> {
    let stamp = name.strip_prefix(collection)?.strip_prefix('_')?.strip_suffix(ENDING)?;
    let (date, time) = stamp.split_once('_')?;
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (date.len() == 8 && time.len() == 6 && is_digits(date) && is_digits(time)).then_some(stamp)
}

fn sync(folder: &Path) -> Result<(), OpError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| failed("sync", folder, error))
}

struct Hashed<W> {
    out: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_make_no_names() {
        for good in ["{collection}", "a", "{id}-{name}.snapshot", "{collection}_{date}_{time}"] {
            assert!(NameTemplate::new(good).is_ok(), "{good}");
        }
        for (bad, words) in [
            ("", "no name"),
            ("../{collection}", "no name"),
            ("{colection}", "there is {collection}"),
            ("{collection", "without }"),
        ] {
            let error = NameTemplate::new(bad).unwrap_err().to_string();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }

    #[test]
    fn dates_in_names() {
        assert_eq!(stamp("a_b", "a_b_20261121_183000.snapshot"), Some("20261121_183000"));
        for other in ["a_b_latest.snapshot", "a_20261121_183000.snapshot", "a_b_2026_18.snapshot"] {
            assert_eq!(stamp("a_b", other), None, "{other}");
        }
    }
}
