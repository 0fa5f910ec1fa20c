//! Dumps of the real arangodump, and what tests make of them.

mod archives;
mod command_line;
mod entries;
mod nights;
mod refusals;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use restow::format::EntryKind;
use restow::progress::Cancel;
use restow::source::arangodb::{ArangodumpExporter, ArangodumpOptions};
use restow::source::{Exporter, Item, SourceError};
use serde_json::{Value, json};

pub const ENTITIES: &str = "entity_dump";
pub const MOVIES: &str = "imdb_with_ratings";

pub fn real(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/arangodump").join(name)
}

/// What a dump holds, by a reader that shares nothing with restow's.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub about: Value,
    pub collections: BTreeMap<String, Collection>,
    pub views: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    pub structure: Value,
    /// Documents as text, out of their envelopes, in the order of the files.
    pub documents: Vec<String>,
}

impl Collection {
    /// Parsed, by key.
    pub fn by_key(&self) -> BTreeMap<String, Value> {
        let parsed = self.documents.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
        parsed.map(|it| (it["_key"].as_str().unwrap().to_owned(), it)).collect()
    }
}

fn text_of(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => MultiGzDecoder::new(file).read_to_string(&mut text).unwrap(),
        false => std::io::BufReader::new(file).read_to_string(&mut text).unwrap(),
    };
    text
}

impl Content {
    pub fn read(folder: &Path) -> Self {
        let json = |path: &Path| serde_json::from_str::<Value>(&text_of(path)).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|one| one.unwrap().path()).collect();
        names.sort();
        let ends = |path: &Path, end: &str| path.to_str().unwrap().ends_with(end);
        let (mut collections, mut views) = (BTreeMap::new(), BTreeMap::new());
        for path in &names {
            if ends(path, ".structure.json") {
                let structure = json(path);
                let name = structure["parameters"]["name"].as_str().unwrap().to_owned();
                let begin = [format!("{name}_{}", md5(&name)), name.clone()];
                let is_its = |path: &&PathBuf| {
                    let file = path.file_name().unwrap().to_str().unwrap();
                    begin.iter().any(|begin| file.starts_with(&format!("{begin}.")))
                        && file.contains(".data.json")
                };
                let mut documents = Vec::new();
                for data in names.iter().filter(is_its) {
                    documents.extend(text_of(data).lines().map(opened));
                }
                collections.insert(name, Collection { structure, documents });
            } else if ends(path, ".view.json") {
                let view = json(path);
                views.insert(view["name"].as_str().unwrap().to_owned(), view);
            }
        }
        Self { about: json(&folder.join("dump.json")), collections, views }
    }
}

/// The document in an envelope: what stands between its beginning and its last brace.
fn opened(line: &str) -> String {
    let inner = line.strip_prefix("{\"type\":2300,\"data\":").and_then(|it| it.strip_suffix('}'));
    inner.unwrap_or(line).to_owned()
}

pub fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a dump is written.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub gzip: bool,
    pub envelope: bool,
    /// 0 for one file without a number.
    pub parts: usize,
    pub hash: bool,
    /// Lines turned around.
    pub reversed: bool,
}

pub const PLAIN: Shape =
    Shape { gzip: false, envelope: false, parts: 0, hash: true, reversed: false };

pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

impl Content {
    pub fn write(&self, folder: &Path, shape: Shape) {
        fs::create_dir_all(folder).unwrap();
        let put = |name: String, text: &str| {
            let bytes = if shape.gzip && name.contains(".data.json") {
                (format!("{name}.gz"), gzipped(text.as_bytes()))
            } else {
                (name, text.as_bytes().to_vec())
            };
            fs::write(folder.join(bytes.0), bytes.1).unwrap();
        };
        put("dump.json".into(), &self.about.to_string());
        put("ENCRYPTION".into(), "none\n");
        for (name, collection) in &self.collections {
            let stem = if shape.hash { format!("{name}_{}", md5(name)) } else { name.clone() };
            put(format!("{stem}.structure.json"), &collection.structure.to_string());
            let mut lines = collection.documents.clone();
            if shape.envelope {
                lines.iter_mut().for_each(|it| *it = format!("{{\"type\":2300,\"data\":{it}}}"));
            }
            if shape.reversed {
                lines.reverse();
            }
            let text =
                |lines: &[String]| lines.iter().map(|it| format!("{it}\n")).collect::<String>();
            match shape.parts {
                0 => put(format!("{stem}.data.json"), &text(&lines)),
                parts => {
                    let each = lines.len().div_ceil(parts).max(1);
                    for part in 0..parts {
                        let from = (part * each).min(lines.len());
                        let lines = &lines[from..(from + each).min(lines.len())];
                        put(format!("{stem}.{part}.data.json"), &text(lines));
                    }
                }
            }
        }
        for (name, view) in &self.views {
            put(format!("{name}.view.json"), &view.to_string());
        }
    }
}

/// What an exporter gives: bytes of files, properties of directories, by path and in the right order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entries {
    pub files: BTreeMap<String, Vec<u8>>,
    pub folders: BTreeMap<String, BTreeMap<String, String>>,
}

impl Entries {
    pub fn of(exporter: &dyn Exporter) -> Result<Self, SourceError> {
        let mut session = exporter.open(&Cancel::new())?;
        let (mut entries, mut last) = (Self::default(), None);
        while let Some(item) = session.next()? {
            let Item::Entry(source) = item else { panic!("a problem") };
            let path = source.entry.path.clone();
            assert!(last.is_none_or(|last| last < path), "{path:?} is out of order");
            let properties = source.entry.properties.iter();
            let properties = properties
                .map(|one| (one.name.clone(), String::from_utf8(one.value.to_vec()).unwrap()));
            match (&source.entry.kind, source.body) {
                (EntryKind::Directory, None) => {
                    entries.folders.insert(path.display(), properties.collect());
                }
                (EntryKind::File, Some(body)) => {
                    let (mut body, mut bytes) = (body.open()?, Vec::new());
                    body.read_to_end(&mut bytes).unwrap();
                    body.finish()?;
                    assert_eq!(bytes.len() as u64, source.size_hint, "{path:?}");
                    entries.files.insert(path.display(), bytes);
                }
                (kind, _) => panic!("{path:?} is {kind:?}"),
            }
            last = Some(path);
        }
        session.finish()?;
        Ok(entries)
    }

    pub fn text(&self, path: &str) -> &str {
        let found =
            self.files.get(path).unwrap_or_else(|| panic!("no {path} in {:?}", self.files.keys()));
        str::from_utf8(found).unwrap()
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(self.text(path)).unwrap()
    }
}

pub fn exporter(path: &Path) -> Result<ArangodumpExporter, SourceError> {
    ArangodumpExporter::new(path, ArangodumpOptions::default(), &Cancel::new())
}

pub fn entries(path: &Path) -> Entries {
    Entries::of(&exporter(path).unwrap()).unwrap()
}

/// The real entities, and a view that they have not.
pub fn entities_with_a_view() -> Content {
    let mut content = Content::read(&real(ENTITIES));
    let view = json!({"name": "names", "type": "arangosearch", "id": "77", "links": {"Users": {"includeAllFields": true}}});
    content.views.insert("names".into(), view);
    content
}

/// An archive of a folder's content, below `root`.
pub fn archive(folder: &Path, root: &str, gzip: bool, to: &Path) {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(root, folder).unwrap();
    let bytes = builder.into_inner().unwrap();
    fs::write(to, if gzip { gzipped(&bytes) } else { bytes }).unwrap();
}
