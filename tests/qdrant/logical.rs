//! Points page by page and back.

use restow::format::{Entry, EntryKind, EntryPath, Property};
use restow::progress::Silent;
use restow::source::qdrant::{Mode, QdrantBackup, QdrantExporter, QdrantLoader, QdrantRestore};
use restow::source::{LoadReport, Loader, SourceError, Stored as StoredPart};
use restow::{BackupOptions, Cancel, ErrorKind, Overwrite, RestoreOptions};
use serde_json::json;

use super::{back_up, cat, fails, manager, property};
use crate::support::binary::Bench;
use crate::support::qdrant::more::{Stored, key_of};
use crate::support::qdrant::{Qdrant, quick, said};

const UUID: &str = "\"550e8400-e29b-41d4-a716-446655440000\"";

fn stored(id: &str, payload: &str, vector: &str, shard_key: Option<&str>) -> Stored {
    let shard_key = shard_key.map(str::to_owned);
    Stored { id: id.into(), payload: payload.into(), vector: vector.into(), shard_key }
}

/// Points that a careless reader would change.
fn odd_points() -> Vec<Stored> {
    vec![
        stored("0", "{}", "[1.0]", None),
        stored("9007199254740993", "{\"n\":1.10}", "[1e-7,-0.0]", None),
        stored("18446744073709551615", "{\"s\":\"a\\nb\\u00e9\"}", "{\"a\":[0.1]}", Some("\"eu\"")),
        stored(UUID, "{\"big\":123456789012345678901234567890}", "{}", Some("7")),
    ]
}

fn with_points(points: impl IntoIterator<Item = Stored>) -> Qdrant {
    let server = Qdrant::with_notes();
    {
        let mut state = server.lock();
        let notes = state.collections.get_mut("notes").unwrap();
        notes.points = points.into_iter().map(|point| (key_of(&point.id), point)).collect();
    }
    server
}

fn many(count: u32) -> impl Iterator<Item = Stored> {
    let one = |n: u32| stored(&n.to_string(), &format!("{{\"n\":{n}}}"), "[0.25,0.5]", None);
    (0..count).map(one)
}

fn logical(server: &Qdrant) -> QdrantExporter {
    let backup = QdrantBackup { mode: Mode::Logical, ..QdrantBackup::default() };
    server.exporter(&["notes"]).reading(backup)
}

fn line(point: &Stored) -> String {
    let Stored { id, payload, vector, shard_key } = point;
    let key = shard_key.as_ref().map(|key| format!(",\"shard_key\":{key}")).unwrap_or_default();
    format!("{{\"id\":{id},\"payload\":{payload},\"vector\":{vector}{key}}}\n")
}

#[test]
fn points_as_they_were_written() {
    let (server, manager) = (with_points(odd_points()), manager());
    server.faults(|faults| faults.page_most = Some(1));
    let report = manager.create(&[&logical(&server)], &BackupOptions::default()).unwrap();
    let id = report.id.unwrap();
    let lines: String = odd_points().iter().map(line).collect();
    let exported = String::from_utf8(cat(&manager, &id, "notes.points.jsonl")).unwrap();
    assert_eq!(exported, lines);
    assert_eq!(server.count("POST /collections/notes/points/scroll"), 4);
    assert_eq!(report.manifest.statistics.entries, 2);
    let fact = |name: &str| property(&manager, &id, &format!("notes/{name}")).unwrap();
    assert_eq!((fact("points"), fact("points_after")), ("4".to_owned(), "4".to_owned()));
    assert!(fact("consistent").starts_with("no"));
    assert_eq!(report.manifest.sources[0].consistency.as_ref().unwrap().kind, "none");
    assert_eq!(server.left(), [""; 0]);
}

#[test]
fn many_pages_and_a_night_that_changed_little() {
    let (server, manager) = (with_points(many(30_000)), manager());
    let first = back_up(&manager, &logical(&server));
    let text = String::from_utf8(cat(&manager, &first, "notes.points.jsonl")).unwrap();
    assert!(text == many(30_000).map(|point| line(&point)).collect::<String>());
    let asked = server.count("POST /collections/notes/points/scroll");
    assert!((3..30).contains(&asked), "{asked}: pages grow");
    {
        let mut state = server.lock();
        let points = &mut state.collections.get_mut("notes").unwrap().points;
        points.get_mut(&(false, 15_000)).unwrap().payload = "{\"n\":\"changed\"}".into();
    }
    let second = manager.create(&[&logical(&server)], &BackupOptions::default()).unwrap();
    let statistics = second.manifest.statistics;
    assert!(statistics.plain_stored + statistics.delta_stored < 2000, "{statistics:?}");
    // None at all.
    let empty = with_points([]);
    let id = back_up(&manager, &logical(&empty));
    assert_eq!(cat(&manager, &id, "notes.points.jsonl"), b"");
}

#[test]
fn pages_that_cannot_be_trusted() {
    let server = with_points(many(500));
    server.faults(|faults| faults.scroll_loops = true);
    let error = fails(&server, &logical(&server));
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("leads on to 0, which is not behind it"), "{error}");
    server.faults(|faults| (faults.scroll_loops, faults.scroll_shuffles) = (false, true));
    let error = fails(&server, &logical(&server)).to_string();
    assert!(error.contains("not ordered by id"), "{error}");
    server.faults(|faults| faults.scroll_shuffles = false);
    for (body, words) in [
        ("{\"result\":{\"points\":[{\"id\":1.5}]}}", "a point with the id 1.5"),
        ("{\"result\":{\"points\":[{}]}}", "not what Qdrant answers"),
        ("{\"result\":{\"points\":[],\"next_page_offset\":4}}", "leads on to 4"),
    ] {
        server.instead("POST /collections/notes/points/scroll", 1, 200, "", body);
        let error = fails(&server, &logical(&server)).to_string();
        assert!(error.contains(words), "{error}");
    }
    server.instead(
        "POST /collections/notes/points/count",
        1,
        200,
        "",
        "{\"result\":{},\"status\":\"ok\"}",
    );
    assert!(fails(&server, &logical(&server)).to_string().contains("how many points"));
}

#[test]
fn back_into_another_server() {
    let (source, manager) = (with_points(odd_points().into_iter().chain(many(2500))), manager());
    let keys = json!({"peer_id": 1, "local_shards": [{"shard_id": 0, "shard_key": "eu"}, {"shard_id": 1, "shard_key": 7}]});
    source.lock().collections.get_mut("notes").unwrap().cluster = keys;
    let id = back_up(&manager, &logical(&source));
    let server = Qdrant::start();
    let restore = QdrantRestore { rename: Some("copy".into()), ..QdrantRestore::default() };
    let loader = QdrantLoader::new(&server.server(), &quick(), restore, &Cancel::new()).unwrap();
    let options = RestoreOptions::default();
    let report = manager.load(&id, Box::new(loader), &options, Overwrite::Refuse).unwrap();
    assert_eq!((report.entries, report.problem_count), (1, 0));
    let state = server.lock();
    assert_eq!(state.collections["copy"].points, source.lock().collections["notes"].points);
    // At most a thousand at once, and each shard key on its own.
    assert_eq!(state.batches, [1000, 1000, 501, 1, 1]);
    let made: Vec<_> = state.made.iter().map(|(path, _)| path.as_str()).collect();
    let wanted = [
        "collections/copy",
        "collections/copy/shards",
        "collections/copy/shards",
        "collections/copy/index",
    ];
    assert_eq!(made, wanted);
    assert_eq!(state.made[0].1["vectors"], said("notes.info.json")["config"]["params"]["vectors"]);
    assert_eq!(state.made[2].1, json!({"shard_key": 7}));
}

/// A snapshot of nothing but these lines.
struct Lines(String);

impl StoredPart for Lines {
    fn each(
        &self,
        each: &mut dyn FnMut(Entry) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let entry = |path: &str, kind: EntryKind, properties: Vec<Property>| Entry {
            path: EntryPath::new(path).unwrap(),
            kind,
            unix: None,
            token: Default::default(),
            content: None,
            properties,
            ext: Vec::new(),
        };
        each(entry("notes.info.json", EntryKind::File, Vec::new()))?;
        let named = Property { name: "collection".into(), value: b"notes".to_vec().into() };
        let kind = EntryKind::Stream { class: "qdrant-points".into() };
        each(entry("notes.points.jsonl", kind, vec![named]))
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn std::io::Read + Send>, SourceError> {
        let text = match entry.path.as_bytes() {
            b"notes.info.json" => json!({"info": said("notes.info.json")}).to_string(),
            _ => self.0.clone(),
        };
        Ok(Box::new(std::io::Cursor::new(text.into_bytes())))
    }
}

/// Into a collection that is made for it.
fn import(server: &Qdrant, lines: &str) -> Result<LoadReport, SourceError> {
    server.lock().collections.clear();
    let restore = QdrantRestore::default();
    let mut loader =
        QdrantLoader::new(&server.server(), &quick(), restore, &Cancel::new()).unwrap();
    let stored = Lines(lines.to_owned());
    loader.plan(&stored)?;
    Box::new(loader).load(&stored, false, &Silent, &Cancel::new())
}

#[test]
fn lines_that_are_no_points_and_points_that_get_lost() {
    let server = Qdrant::start();
    for (text, words) in [
        ("{\"id\":1,\"vector\":[1],\"payload\":{}}\n{\"id\":", "line 2: no point"),
        ("\n\n[]\n", "line 3: no point"),
        ("{\"id\":-1}\n", "line 1: -1 is no id"),
        ("{\"id\":1e3}", "1e3 is no id"),
    ] {
        let report = import(&server, text).unwrap();
        assert_eq!(report.loaded, 0);
        let damaged = &report.damaged[0].message;
        assert!(damaged.contains(words), "{damaged}");
    }
    let two = "{\"id\":1,\"vector\":[1]}\n{\"id\":2,\"vector\":[1],\"payload\":null}\n";
    server.faults(|faults| faults.loses_point = true);
    let error = import(&server, two).unwrap_err().to_string();
    assert!(error.contains("2 points were sent, and the server counts 1"), "{error}");
    assert!(error.contains("is there now, and not whole: delete it"), "{error}");
    assert_eq!(import(&server, two).unwrap().loaded, 1);
    // An order nobody knows tells nothing of the number.
    let twice = "{\"id\":2,\"vector\":[1]}\n{\"id\":2,\"vector\":[2]}\n";
    assert_eq!(import(&server, twice).unwrap().loaded, 1);
    assert_eq!(server.lock().collections["notes"].points[&(false, 2)].vector, "[2]");
    // The server says no, or does not say that it is done.
    let said = "{\"status\":{\"error\":\"dim 3\"}}";
    server.instead("PUT /collections/notes/points", 1, 400, "", said);
    assert!(import(&server, two).unwrap_err().to_string().contains("dim 3"));
    let waits = "{\"result\":{\"operation_id\":3,\"status\":\"acknowledged\"},\"status\":\"ok\"}";
    server.instead("PUT /collections/notes/points", 1, 200, "", waits);
    assert!(import(&server, two).unwrap_err().to_string().contains("acknowledged"));
    server.instead("PUT /collections/notes/points", 2, 503, "", "");
    assert_eq!(import(&server, two).unwrap().loaded, 1, "the same points come to the same");

    // Points do not replace others.
    let restore = QdrantRestore::default();
    let mut loader =
        QdrantLoader::new(&server.server(), &quick(), restore, &Cancel::new()).unwrap();
    let error = loader.plan(&Lines(two.to_owned())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("points would be added to them"), "{error}");
}

#[test]
fn by_the_binary() {
    let (bench, server) = (Bench::with_repository(), with_points(odd_points()));
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    bench.ok(&["backup", &url, "--qdrant-mode", "logical"]);
    assert_eq!(bench.ok(&["cat", "latest", "notes.points.jsonl"]).lines().count(), 4);
    assert!(bench.ok(&["show", "latest"]).contains("notes/consistent no"));
    let target = Qdrant::start();
    let to = format!("qdrant://{}", &target.url()[7..]);
    let other = Qdrant::start().url();
    bench.ok(&["restore", "latest", "--to", &to, "--qdrant-node", &other]);
    assert_eq!(
        target.lock().collections["notes"].points,
        server.lock().collections["notes"].points
    );
}
