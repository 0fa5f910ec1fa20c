//! Databases as real servers had them: dumps in tests/data/arangodump.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

/// A database of the server.
#[derive(Debug, Clone, Default)]
pub struct Database {
    pub collections: BTreeMap<String, Collection>,
    pub views: BTreeMap<String, Value>,
    /// As it was made with.
    pub options: Value,
}

#[derive(Debug, Clone)]
pub struct Collection {
    pub parameters: Value,
    pub indexes: Vec<Value>,
    /// By key, the text as it was sent.
    pub documents: Arc<BTreeMap<String, String>>,
    /// How often it was written to.
    pub writes: u64,
}

impl Collection {
    /// Without documents.
    pub fn new(parameters: Value, indexes: Vec<Value>) -> Self {
        Self { parameters, indexes, documents: Arc::default(), writes: 0 }
    }

    /// A collection with `count` documents.
    pub fn small(name: &str, kind: u64, count: usize) -> Self {
        let parameters = json!({
            "name": name, "type": kind, "isSystem": name.starts_with('_'), "id": format!("17{}", name.len()),
            "globallyUniqueId": format!("hABC/{name}"), "keyOptions": {"type": "traditional"},
        });
        let mut made = Self::new(parameters, Vec::new());
        for number in 0..count {
            made.insert(&document(name, &format!("k{number}"), number));
        }
        made
    }

    /// By its key, in place of what was there.
    pub fn insert(&mut self, text: &str) {
        let parsed: Value = serde_json::from_str(text).unwrap();
        let key = parsed["_key"].as_str().unwrap().to_owned();
        Arc::make_mut(&mut self.documents).insert(key, text.to_owned());
        self.writes += 1;
    }

    pub fn remove(&mut self, key: &str) {
        Arc::make_mut(&mut self.documents).remove(key);
        self.writes += 1;
    }

    pub fn name(&self) -> &str {
        self.parameters["name"].as_str().unwrap()
    }

    /// Its documents, parsed.
    pub fn values(&self) -> BTreeMap<String, Value> {
        let parsed =
            |(key, text): (&String, &String)| (key.clone(), serde_json::from_str(text).unwrap());
        self.documents.iter().map(parsed).collect()
    }

    /// The same without `_id`, which says what the collection is called.
    pub fn nameless(&self) -> BTreeMap<String, Value> {
        let mut values = self.values();
        for value in values.values_mut() {
            value.as_object_mut().unwrap().remove("_id");
        }
        values
    }
}

pub fn document(collection: &str, key: &str, number: usize) -> String {
    // A number that no 64-bit float can hold, and a text with everything in it.
    format!(
        r#"{{"_key":"{key}","_id":"{collection}/{key}","_rev":"_r{number}","n":{number}.10000000000000000001,"t":"ä\u0000\"}}{{"}}"#
    )
}

/// A dump of a real server: `entity_dump` or `imdb_with_ratings`.
pub fn dumped(name: &str) -> Database {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/arangodump").join(name);
    let mut database = Database::default();
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !file.ends_with(".structure.json") {
            continue;
        }
        let structure: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let parameters = structure["parameters"].clone();
        let name = parameters["name"].as_str().unwrap().to_owned();
        let indexes = structure["indexes"].as_array().unwrap().clone();
        let mut made = Collection::new(parameters, indexes);
        for line in data(&folder, &name).lines() {
            let enveloped: BTreeMap<&str, &serde_json::value::RawValue> =
                serde_json::from_str(line).unwrap();
            assert_eq!(enveloped["type"].get(), "2300");
            made.insert(enveloped["data"].get());
        }
        database.collections.insert(name, made);
    }
    database
}

fn data(folder: &Path, name: &str) -> String {
    let is_its = |file: &str| {
        let rest = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('_'));
        rest.is_some_and(|rest| rest.len() == "_.data.json.gz".len() - 1 + 32)
    };
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let path = files
        .filter(|path| path.extension().is_some_and(|it| it == "gz"))
        .find(|path| is_its(path.file_name().unwrap().to_str().unwrap()))
        .unwrap();
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}
