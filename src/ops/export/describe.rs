//! The two descriptions beside exported files. `docs/EXPORT.md` documents them.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::format::{Entry, EntryKind, EntryPath, Problem, Time};
use crate::repo::SnapshotView;

use super::super::OpError;
use super::{ENTRIES, ExportReport, FILES};

const FORMAT: &str = "restow export";
const VERSION: u32 = 1;
/// A manifest names thousands of damaged entries at the most.
const MANIFEST_MAX: u64 = 64 * 1024 * 1024;

#[derive(Serialize)]
struct Document<'s> {
    format: &'s str,
    version: u32,
    snapshot: Described<'s>,
    files: &'s str,
    listing: &'s str,
    entries: u64,
    bytes: u64,
    skipped: u64,
    damaged_count: u64,
    damaged: Vec<Trouble>,
    problems: Vec<Trouble>,
}

#[derive(Serialize)]
struct Described<'s> {
    id: String,
    name: &'s str,
    description: &'s str,
    time: Option<String>,
    host: &'s str,
    user: &'s str,
    incomplete: bool,
    sources: Vec<Source<'s>>,
}

#[derive(Serialize)]
struct Source<'s> {
    kind: &'s str,
    url: &'s str,
    path: String,
    properties: BTreeMap<&'s str, &'s str>,
}

#[derive(Serialize)]
struct Trouble {
    path: String,
    message: String,
}

fn troubles(problems: &[Problem]) -> Vec<Trouble> {
    let trouble = |one: &Problem| Trouble { path: lossy(&one.path), message: one.message.clone() };
    problems.iter().map(trouble).collect()
}

pub(super) fn manifest(view: &SnapshotView, report: &ExportReport) -> Result<Vec<u8>, OpError> {
    let manifest = &view.manifest;
    let sources = manifest.sources.iter().map(|record| Source {
        kind: &record.kind,
        url: &record.url,
        path: record.prefix.display(),
        properties: record.properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
    });
    let snapshot = Described {
        id: view.id.to_hex(),
        name: &manifest.name,
        description: &manifest.description,
        time: rfc3339(manifest.time),
        host: &manifest.host,
        user: &manifest.user,
        incomplete: manifest.incomplete,
        sources: sources.collect(),
    };
    let document = Document {
        format: FORMAT,
        version: VERSION,
        snapshot,
        files: FILES,
        listing: ENTRIES,
        entries: report.entries,
        bytes: report.bytes,
        skipped: report.skipped,
        damaged_count: report.damaged_count,
        damaged: troubles(&report.damaged),
        problems: troubles(&report.problems),
    };
    let mut text = serde_json::to_vec_pretty(&document).map_err(unwritable)?;
    text.push(b'\n');
    Ok(text)
}

/// Whether this is the manifest of an export.
pub(super) fn is_export(manifest: impl Read) -> bool {
    #[derive(Deserialize)]
    struct ExportMarker {
        format: String,
    }
    let read =
        serde_json::from_reader::<_, ExportMarker>(BufReader::new(manifest.take(MANIFEST_MAX)));
    read.is_ok_and(|marker| marker.format == FORMAT)
}

/// One entry's line.
#[derive(Serialize)]
pub(super) struct Line {
    path: String,
    /// Where the path is not UTF-8: its bytes in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Below `files/`, where it is not the path itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unix: Option<Unix>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Unix {
    mode: String,
    uid: u32,
    gid: u32,
    user: String,
    group: String,
    modified: Option<String>,
}

impl Line {
    pub fn new(entry: &Entry) -> Self {
        let unix = entry.unix.as_ref().map(|unix| Unix {
            mode: format!("{:04o}", unix.mode),
            uid: unix.uid,
            gid: unix.gid,
            user: unix.user.clone(),
            group: unix.group.clone(),
            modified: rfc3339(unix.mtime),
        });
        let (class, target) = match &entry.kind {
            EntryKind::Symlink { target } => (None, Some(lossy(target))),
            EntryKind::Stream { class } => (Some(class.clone()), None),
            _ => (None, None),
        };
        let properties = entry.properties.iter();
        Self {
            path: entry.path.display(),
            path_hex: hex_unless_text(entry.path.as_bytes()),
            kind: entry.kind.name(),
            class,
            target,
            file: None,
            bytes: None,
            blake3: None,
            unix,
            properties: properties.map(|p| (p.name.clone(), lossy(&p.value))).collect(),
        }
    }

    /// The entry has a file: what it is called, and what is in it.
    pub fn set_written(&mut self, name: &EntryPath, len: u64, hash: &blake3::Hash) {
        let text = name.display();
        self.file = (text != self.path).then_some(text);
        self.bytes = Some(len);
        self.blake3 = Some(hash.to_hex().to_string());
    }
}

pub(super) fn json(line: &Line) -> Result<Vec<u8>, OpError> {
    serde_json::to_vec(line).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> OpError {
    OpError::Output(error.into())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex_unless_text(bytes: &[u8]) -> Option<String> {
    match str::from_utf8(bytes) {
        Ok(_) => None,
        Err(_) => Some(HEXLOWER.encode(bytes)),
    }
}

fn rfc3339(time: Time) -> Option<String> {
    let nanos = i32::try_from(time.nanos).ok()?;
    jiff::Timestamp::new(time.seconds, nanos).ok().map(|stamp| stamp.to_string())
}
