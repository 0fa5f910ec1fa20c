//! A dump's entries, whatever form it has.

use std::fs;

use restow::fault::ErrorKind;
use restow::progress::Cancel;
use restow::source::Exporter;
use restow::source::arangodb::{ArangodumpExporter, ArangodumpOptions, SortOptions};
use serde_json::Value;

use super::{
    Content, ENTITIES, Entries, MOVIES, PLAIN, Shape, archive, entities_with_a_view, entries,
    exporter, real,
};

/// Compares entries with what another reader found in the dump.
fn compare(entries: &Entries, database: &str, content: &Content) {
    let mut files = 1;
    for (name, collection) in &content.collections {
        let folder = format!("{database}/collections/{name}");
        let documents = entries.text(&format!("{folder}/documents.jsonl"));
        let revisions = entries.text(&format!("{folder}/revisions.jsonl"));
        assert_eq!(documents.lines().count(), collection.documents.len(), "{name}");
        assert_eq!(documents.lines().count(), revisions.lines().count(), "{name}");
        let mut keys = Vec::new();
        let mut by_key = collection.by_key();
        for (document, revision) in documents.lines().zip(revisions.lines()) {
            let mut value: Value = serde_json::from_str(document).unwrap();
            assert_eq!(value.get("_rev"), None);
            value["_rev"] = revision.into();
            let key = value["_key"].as_str().unwrap().to_owned();
            assert_eq!(by_key.remove(&key), Some(value));
            keys.push(key);
        }
        assert!(by_key.is_empty() && keys.is_sorted());
        let properties = &entries.folders[&folder];
        assert_eq!(properties["count"], collection.documents.len().to_string());
        let kind =
            if collection.structure["parameters"]["type"] == 2 { "document" } else { "edge" };
        assert_eq!(properties["type"], kind);
        let structure = entries.json(&format!("{folder}/structure.json"));
        for part in ["parameters", "indexes"] {
            assert_eq!(structure[part], collection.structure[part], "{name}");
        }
        assert_eq!(structure.as_object().unwrap().len(), 2);
        files += 3;
    }
    for (name, view) in &content.views {
        assert_eq!(&entries.json(&format!("{database}/views/{name}.json")), view);
        files += 1;
    }
    let about = entries.json(&format!("{database}/database.json"));
    assert_eq!(about["name"], database);
    assert_eq!(about["properties"], content.about["properties"]);
    assert!(!entries.text(&format!("{database}/database.json")).contains("Tick"));
    assert_eq!(entries.files.len(), files);
    assert_eq!(entries.folders.len(), 3 + content.collections.len());
}

#[test]
fn real_dumps_are_read_whole() {
    for (name, database, collections, documents) in
        [(ENTITIES, "entity3", 24, 4015), (MOVIES, "TUTdit9ohpgz1ntnbetsjstwi", 3, 68124)]
    {
        let content = Content::read(&real(name));
        assert_eq!(content.collections.len(), collections);
        let total: usize = content.collections.values().map(|one| one.documents.len()).sum();
        assert_eq!(total, documents);
        let exporter = exporter(&real(name)).unwrap();
        let about = exporter.describe();
        assert_eq!((about.kind.as_str(), about.label.as_str()), ("arangodb", database));
        assert_eq!(about.url, format!("file://{}", real(name).display()));
        compare(&Entries::of(&exporter).unwrap(), database, &content);
    }
}

#[test]
fn every_form_of_a_dump_comes_to_the_same_entries() {
    let folder = tempfile::tempdir().unwrap();
    let content = entities_with_a_view();
    let mut first: Option<Entries> = None;
    for (number, [gzip, envelope, split, hash, reversed]) in
        (0..32).map(|bits| [1, 2, 4, 8, 16].map(|bit| bits & bit != 0)).enumerate()
    {
        let parts = if split { 1 + number % 4 } else { 0 };
        let path = folder.path().join(number.to_string());
        content.write(&path, Shape { gzip, envelope, parts, hash, reversed });
        let found = entries(&path);
        match &first {
            Some(first) => assert!(*first == found, "{path:?} gzip {gzip} envelope {envelope}"),
            None => {
                compare(&found, "entity3", &content);
                first = Some(found);
            }
        }
    }
    // As it came, but for the view.
    let mut with_view = entries(&real(ENTITIES));
    let view = "entity3/views/names.json".to_owned();
    let first = first.unwrap();
    with_view.files.insert(view.clone(), first.files[&view].clone());
    assert!(with_view == first);
}

#[test]
fn archives_come_to_the_same_entries() {
    let folder = tempfile::tempdir().unwrap();
    let expected = entries(&real(ENTITIES));
    for (number, root) in [".", "dump", "a/b/dump", ""].into_iter().enumerate() {
        for gzip in [false, true] {
            let path = folder.path().join(format!("{number}-{gzip}.tar"));
            archive(&real(ENTITIES), root, gzip, &path);
            assert!(entries(&path) == expected, "{root:?} {gzip}");
        }
    }
}

#[test]
fn memory_and_temporary_files_are_as_they_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let temp = folder.path().join("temp");
    fs::create_dir(&temp).unwrap();
    let sort = SortOptions {
        memory: 64 * 1024,
        fan_in: 3,
        temp_dir: Some(temp.clone()),
        ..SortOptions::default()
    };
    let options = ArangodumpOptions { sort, identity: None };
    let small = ArangodumpExporter::new(real(MOVIES), options, &Cancel::new()).unwrap();
    assert!(Entries::of(&small).unwrap() == entries(&real(MOVIES)));
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
    // A folder that is not there is told, not made.
    let sort =
        SortOptions { temp_dir: Some(temp.join("none")), memory: 1, ..SortOptions::default() };
    let options = ArangodumpOptions { sort, identity: None };
    let exporter = ArangodumpExporter::new(real(MOVIES), options, &Cancel::new()).unwrap();
    let error = Entries::of(&exporter).unwrap_err();
    assert!(error.to_string().contains("temp/none"), "{error}");
}

#[test]
fn removals_and_later_lines_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::read(&real(ENTITIES));
    content.write(&folder.path().join("plain"), PLAIN);
    let users = content.collections.get_mut("Users").unwrap();
    let key = users.by_key().keys().next().unwrap().clone();
    let stale = format!(r#"{{"_key":"{key}","_rev":"_old","stale":true}}"#);
    users.documents.insert(0, stale);
    users.documents.insert(0, r#"{"_key":"gone","_rev":"_old"}"#.into());
    let shape = Shape { envelope: true, ..PLAIN };
    content.write(&folder.path().join("changed"), shape);
    let file = folder.path().join("changed/Users_f9aae5fda8d810a29f12d1e61b4ab25f.data.json");
    let removal = r#"{"type":2302,"data":{"_key":"gone","_rev":"_newer"}}"#;
    fs::write(&file, fs::read_to_string(&file).unwrap() + removal).unwrap();
    assert!(entries(&folder.path().join("plain")) == entries(&folder.path().join("changed")));
}

#[test]
fn several_databases_and_odd_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("all");
    let mut content = entities_with_a_view();
    content.write(&root.join("entity3"), PLAIN);
    let expected = entries(&root.join("entity3"));
    // Extended names: the file is named by the id, what is inside counts.
    content.about["database"] = "größer & schöner".into();
    let mut users = content.collections.remove("Users").unwrap();
    users.structure["parameters"]["name"] = "benützer".into();
    let id = users.structure["parameters"]["cid"].as_str().unwrap().to_owned();
    content.write(&root.join("123"), PLAIN);
    let stem = root.join("123").join(format!("{id}_{}", super::md5("benützer")));
    let stem = stem.to_str().unwrap();
    fs::write(format!("{stem}.structure.json"), users.structure.to_string()).unwrap();
    fs::write(format!("{stem}.data.json"), users.documents.join("\n")).unwrap();
    let all = entries(&root);
    for (path, bytes) in &expected.files {
        assert_eq!(&all.files[path], bytes);
    }
    assert_eq!(all.files.len(), 2 * expected.files.len());
    let users = "größer & schöner/collections/benützer/documents.jsonl";
    assert_eq!(all.files[users], expected.files["entity3/collections/Users/documents.jsonl"]);
    let about = exporter(&root).unwrap().describe();
    assert_eq!(about.label, "all");
    let packed = folder.path().join("all.tgz");
    archive(&root, "everything", true, &packed);
    assert!(entries(&packed) == all);
    // The same database twice.
    content.write(&root.join("again"), PLAIN);
    let error = exporter(&root).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains("two dumps of the database"), "{error}");
}
