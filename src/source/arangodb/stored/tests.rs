use super::*;
use crate::source::arangodb::model::{collection, directory, path, text_file};

/// Entries and their bytes.
struct Held(Vec<(Entry, &'static str)>);

impl Stored for Held {
    fn each(
        &self,
        each: &mut dyn FnMut(Entry) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        self.0.iter().try_for_each(|(entry, _)| each(entry.clone()))
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>, SourceError> {
        let (_, bytes) = self.0.iter().find(|(held, _)| held.path == entry.path).unwrap();
        Ok(Box::new(bytes.as_bytes()))
    }
}

fn held() -> Held {
    let file = |parts: &[&str], bytes| (text_file(path(parts).unwrap(), Vec::new()).entry, bytes);
    let made = |parts: &[&str]| (directory(path(parts).unwrap()).entry, "");
    Held(vec![
        made(&["db"]),
        made(&["db", "collections"]),
        (collection(path(&["db", "collections", "c"]).unwrap(), CollectionKind::Edge, 2).entry, ""),
        file(
            &["db", "collections", "c", "documents.jsonl"],
            "{\"_key\":\"a\"}\n{\"_key\":\"b\"}\n",
        ),
        file(&["db", "collections", "c", "revisions.jsonl"], "1\n\n"),
        file(&["db", "collections", "c", "structure.json"], "{\"indexes\":[]}"),
        file(&["db", "collections", "c", "what.json"], ""),
        file(&["db", "database.json"], "{\"properties\":{\"id\":\"1\"}}"),
        made(&["db", "views"]),
        file(&["db", "views", "v.json.json"], "{"),
        made(&["empty"]),
    ])
}

#[test]
fn everything_is_found_where_it_belongs() {
    let stored = held();
    let found = StoredDatabases::of(&stored).unwrap();
    assert_eq!(found.databases.keys().collect::<Vec<_>>(), ["db", "empty"]);
    let unknown: Vec<_> = found.unknown.iter().map(EntryPath::display).collect();
    assert_eq!(unknown, ["db/collections/c/what.json"]);
    let database = &found.databases["db"];
    assert_eq!(database.properties(&stored).unwrap().unwrap()["id"], "1");
    let collection = &database.collections["c"];
    assert_eq!((collection.kind, collection.count), (Some(CollectionKind::Edge), Some(2)));
    assert!(collection.structure(&stored).unwrap().unwrap()["indexes"].is_array());
    let mut text = String::new();
    let mut joined = collection.joined(&stored, 100).unwrap().unwrap();
    joined.read_to_string(&mut text).unwrap();
    assert_eq!(text, "{\"_rev\":\"1\",\"_key\":\"a\"}\n{\"_key\":\"b\"}\n");
    assert_eq!(database.views.keys().collect::<Vec<_>>(), ["v.json"]);
    let error = definition(&stored, &database.views["v.json"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage);
    assert!(error.to_string().starts_with("db/views/v.json.json: is not the JSON"), "{error}");
}

#[test]
fn what_was_not_selected_is_not_there() {
    let mut stored = held();
    stored.0.retain(|(entry, _)| entry.path.name() == b"revisions.jsonl");
    let found = StoredDatabases::of(&stored).unwrap();
    let database = &found.databases["db"];
    assert!(database.properties(&stored).unwrap().is_none());
    let collection = &database.collections["c"];
    assert!(collection.joined(&stored, 100).unwrap().is_none());
    assert!(collection.structure(&stored).unwrap().is_none());
    assert_eq!((collection.kind, collection.count), (None, None));
}
