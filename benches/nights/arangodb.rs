//! A real ArangoDB database, dumped on several nights, as `import` takes it. Of a hundred documents one is written
//! again in between: other values, a new `_rev`, and a place at the end of its collection, where a server has what was
//! written last.
//!
//! The files are plain (`arangodump --compress-output false`): whoever cuts or patches them has the best of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use super::seeded::Numbers;
use super::series::Series;

const DUMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/arangodump/imdb_with_ratings");
const DATA: &str = ".data.json";
const DAY: u64 = 86_400_000;

pub struct Nights {
    /// What does not change, by file.
    others: BTreeMap<String, Vec<u8>>,
    /// Documents by file.
    documents: BTreeMap<String, Vec<String>>,
    numbers: Numbers,
    /// In milliseconds, of what was written last.
    now: u64,
}

impl Nights {
    pub fn new() -> Self {
        let (mut others, mut documents) = (BTreeMap::new(), BTreeMap::new());
        for file in fs::read_dir(DUMP).unwrap().map(Result::unwrap) {
            let name = file.file_name().into_string().unwrap();
            match name.strip_suffix(".gz") {
                None => drop(others.insert(name, fs::read(file.path()).unwrap())),
                Some(plain) => {
                    let (mut text, from) = (String::new(), File::open(file.path()).unwrap());
                    MultiGzDecoder::new(from).read_to_string(&mut text).unwrap();
                    let opened = text.lines().map(|line| opened(line).to_owned());
                    documents.insert(plain.to_owned(), opened.collect());
                }
            }
        }
        Self { others, documents, numbers: Numbers::new(6), now: 1_700_000_000_000 }
    }

    fn lay(&self, place: &Path) {
        for (name, bytes) in &self.others {
            fs::write(place.join(name), bytes).unwrap();
        }
        for (name, documents) in &self.documents {
            fs::write(place.join(name), joined(documents)).unwrap();
        }
    }
}

/// Out of its envelope, in which that dump has them and a new one has not.
fn opened(line: &str) -> &str {
    let inner = line.strip_prefix("{\"type\":2300,\"data\":").and_then(|it| it.strip_suffix('}'));
    inner.unwrap()
}

fn joined(documents: &[String]) -> String {
    documents.iter().map(|document| format!("{document}\n")).collect()
}

/// As servers make them: milliseconds and a count, six bits a letter.
fn revision(time: u64) -> String {
    const LETTERS: &[u8] = b"-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |at: u32| char::from(LETTERS[((time << 20) >> (6 * at) & 63) as usize]);
    (0..11).rev().map(letter).collect()
}

/// Another value for a member that is a number, or a text without escapes.
fn set(document: &mut String, member: &str, value: &str) {
    let from = document.find(&format!("\"{member}\":")).unwrap() + member.len() + 3;
    let rest = document.get(from..).unwrap();
    let end = from + rest.find([',', '}']).unwrap();
    document.replace_range(from..end, value);
}

fn change(document: &mut String, time: u64, numbers: &mut Numbers) {
    set(document, "_rev", &format!("\"{}\"", revision(time)));
    let collection = document.split(['"', '/']).nth(7).map(str::to_owned);
    let mut number = |member: &str, from: u64, to: u64| {
        let value = from + numbers.below(to - from);
        set(document, member, &value.to_string());
    };
    match collection.as_deref() {
        Some("Ratings") => {
            number("Rating", 1, 6);
            number("Timestamp", 874_724_710, 893_286_638);
        }
        Some("Users") => {
            number("Age", 7, 73);
            number("zip_code", 10_000, 99_999);
        }
        Some("Movies") => {
            number("Comedy", 0, 2);
            number("Drama", 0, 2);
        }
        other => panic!("{other:?} is no collection of this dump"),
    }
}

impl Series for Nights {
    fn begin(&mut self, place: &Path) {
        self.lay(place);
    }

    fn advance(&mut self, place: &Path) {
        let night = self.now;
        for documents in self.documents.values_mut() {
            let all = std::mem::take(documents);
            let (again, left): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|_| self.numbers.happens(10));
            *documents = left;
            let pause = DAY / (again.len() as u64 + 1);
            self.now = night;
            for mut document in again {
                self.now += 1 + self.numbers.below(2 * pause);
                change(&mut document, self.now, &mut self.numbers);
                documents.push(document);
            }
        }
        self.now = night + 2 * DAY;
        self.lay(place);
    }

    /// What is dumped comes back as documents, revisions and structures.
    fn fingerprint(&self, folder: &Path) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let collections = match folder.join("dump.json").exists() {
            true => dumped(folder),
            false => restored(folder),
        };
        for (name, Collection { structure, mut documents }) in collections {
            documents.sort();
            let [parameters, indexes] = ["parameters", "indexes"].map(|key| &structure[key]);
            hasher.update(json!([name, parameters, indexes, documents]).to_string().as_bytes());
        }
        hasher.finalize()
    }

    fn note(&self) -> Option<String> {
        let one = |documents: &Vec<String>| {
            zstd::bulk::compress(joined(documents).as_bytes(), 3).unwrap().len()
        };
        let again = self.documents.values().map(one).sum::<usize>() as f64 / 1e6;
        Some(format!("keeping the last night's files as they are, by zstd -3: {again:.3} MB"))
    }
}

struct Collection {
    structure: Value,
    /// Their members in one order.
    documents: Vec<String>,
}

fn parsed(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn dumped(folder: &Path) -> BTreeMap<String, Collection> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        let Some((name, _)) = name.strip_suffix(DATA).and_then(|stem| stem.rsplit_once('_')) else {
            continue;
        };
        let structure = parsed(&folder.join(format!("{name}.structure.json")));
        let text = fs::read_to_string(file.path()).unwrap();
        let in_order = |line| serde_json::from_str::<Value>(line).unwrap().to_string();
        let documents = text.lines().map(in_order).collect();
        found.insert(name.to_owned(), Collection { structure, documents });
    }
    found
}

fn restored(folder: &Path) -> BTreeMap<String, Collection> {
    let database = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(database.join("collections")).unwrap().map(Result::unwrap) {
        let lines = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let (documents, revisions) = (lines("documents.jsonl"), lines("revisions.jsonl"));
        assert_eq!(documents.lines().count(), revisions.lines().count());
        let whole = |(document, revision)| {
            let mut document: Value = serde_json::from_str(document).unwrap();
            document["_rev"] = json!(revision);
            document.to_string()
        };
        let documents = documents.lines().zip(revisions.lines()).map(whole).collect();
        let structure = parsed(&folder.path().join("structure.json"));
        let name = folder.file_name().into_string().unwrap();
        found.insert(name, Collection { structure, documents });
    }
    found
}
