//! What somebody is told when a server is not there, does not know the collection or the key, or has no time.

use std::sync::Arc;
use std::time::Duration;

use restow::source::Exporter;
use restow::source::http::ClientOptions;
use restow::source::qdrant::{QdrantExporter, QdrantOptions, QdrantSource};
use restow::{BackupOptions, Cancel, ErrorKind};
use serde_json::json;

use super::{back_up, fails, manager};
use crate::support::clock::ManualClock;
use crate::support::qdrant::{Qdrant, quick, with_key};

fn told(server: &Qdrant, source: &dyn Exporter, words: &[&str]) {
    let error = fails(server, source);
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn nobody_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("qdrant://127.0.0.1:{port}/notes");
    let source = QdrantSource::parse(&url).unwrap();
    let exporter = QdrantExporter::new(source, quick());
    let error = exporter.open(&Cancel::new()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let text = error.to_string();
    for word in [&format!("http://127.0.0.1:{port}/"), "refused", "6334 is gRPC"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn no_such_collection() {
    let server = Qdrant::with_notes();
    server.add("users", vec![1]);
    let words = ["collections/nope", "no collection nope", "there is notes, users"];
    told(&server, &server.exporter(&["nope"]), &words);
    // One of several: nothing is made of the others.
    told(&server, &server.exporter(&["nope", "notes"]), &words);
    assert_eq!(server.count("POST"), 0);
    let empty = Qdrant::start();
    told(&empty, &empty.exporter(&["nope"]), &["the server has none"]);
    told(&empty, &empty.exporter(&[]), &["nothing to back up", &empty.url()]);
}

#[test]
fn a_key_that_is_wrong_missing_or_too_weak() {
    let server = Qdrant::with_notes();
    server.lock().key = Some("right".into());
    told(&server, &server.exporter(&["notes"]), &["401", "set QDRANT_API_KEY", &server.url()]);
    let wrong = server.exporter_with(&["notes"], with_key("wr0ng"));
    told(&server, &wrong, &["Invalid API key", "QDRANT_API_KEY is wrong"]);
    assert!(!fails(&server, &wrong).to_string().contains("wr0ng"));
    let said = r#"{"status":{"error":"Forbidden: Global access is required"},"time":0.0}"#;
    server.instead("POST", 1, 403, "", said);
    let right = server.exporter_with(&["notes"], with_key("right"));
    told(&server, &right, &["403: Forbidden", "a key that may write"]);
    told(&server, &server.exporter_with(&["notes"], with_key("a\nb")), &["no header can hold"]);
}

#[test]
fn too_much_to_do_and_not_ready() {
    let server = Qdrant::with_notes();
    server.instead("GET /collections/notes", 1, 429, "retry-after: 1\r\n", "");
    // The server's own words; a proxy's may mean that the server has begun.
    let said = r#"{"status":{"error":"Service error: busy"},"time":0.0}"#;
    server.instead("POST /collections/notes/snapshots", 2, 503, "", said);
    server.instead("GET /collections/notes/snapshots/", 1, 500, "", "");
    let (clock, mut options) = (Arc::new(ManualClock::new()), quick());
    options.http.clock = clock.clone();
    back_up(&manager(), &server.exporter_with(&["notes"], options));
    assert!(clock.waited() >= Duration::from_secs(1), "as long as the server said");
    assert_eq!(server.count("POST"), 3);

    // It wants to be left alone for longer than anybody waits.
    server.instead("GET /collections/notes", 1, 429, "retry-after: 86400\r\n", "");
    told(&server, &server.exporter(&["notes"]), &["429", "too much to do"]);
    server.instead("POST", 100, 503, "", said);
    told(&server, &server.exporter(&["notes"]), &["503", "not ready"]);
}

#[test]
fn what_is_not_tried_again() {
    let server = Qdrant::with_notes();
    // The disk is no emptier a moment later; and what may have been made is not made twice.
    for status in [507, 501, 500, 503, 400, 0] {
        let before = server.count("POST");
        server.instead("POST", 1, status, "", "");
        told(&server, &server.exporter(&["notes"]), &["/collections/notes/snapshots"]);
        assert_eq!(server.count("POST"), before + 1, "{status}");
    }
    server.instead("POST", 1, 507, "", "");
    told(&server, &server.exporter(&["notes"]), &["its disk is full"]);
}

/// Nobody knows whose it is, but somebody should know of it.
#[test]
fn a_copy_that_may_have_been_made() {
    let server = Qdrant::with_notes();
    server.faults(|faults| faults.loses_answer = true);
    let exporter = server.exporter(&["notes"]);
    let error = manager().create(&[&exporter], &BackupOptions::default()).unwrap_err();
    let left = server.left();
    assert_eq!(left.len(), 1, "made once");
    assert!(error.to_string().contains(&format!("may have left {}", left[0])), "{error}");
}

/// The server follows it, to a collection whose name the snapshot would not have.
#[test]
fn an_alias_is_no_collection() {
    let server = Qdrant::with_notes();
    let error = fails(&server, &server.exporter(&["notes_live"]));
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("is an alias of collection notes"), "{error}");
    assert_eq!(server.count("POST"), 0);
}

#[test]
fn a_server_that_is_not_up_yet() {
    let server = Qdrant::with_notes();
    let starting = r#"{"status":{"error":"starting"},"time":0.0}"#;
    server.instead("GET /readyz", 5, 503, "", starting);
    server.instead("GET /readyz", 2, 0, "", "");
    let patient = QdrantOptions { wait_ready: Some(Duration::from_secs(60)), ..quick() };
    back_up(&manager(), &server.exporter_with(&["notes"], patient));
    assert_eq!(server.count("GET /readyz"), 8);

    server.instead("GET /readyz", u32::MAX, 503, "", starting);
    let mut hasty = QdrantOptions { wait_ready: Some(Duration::from_secs(2)), ..quick() };
    hasty.http.clock = Arc::new(ManualClock::new());
    hasty.http.pause = Duration::from_millis(100);
    told(
        &server,
        &server.exporter_with(&["notes"], hasty),
        &["not ready after", "503", "starting"],
    );
}

#[test]
fn a_server_that_is_something_else() {
    let server = Qdrant::with_notes();
    server.instead("GET /collections/notes", 1, 200, "", "<html>");
    told(&server, &server.exporter(&["notes"]), &["does not answer as Qdrant does"]);
    let elsewhere = "location: http://u:s3cret@evil/x?sig=s3cret#s3cret\r\n";
    server.instead("GET /collections/notes", 1, 302, elsewhere, "");
    let error = fails(&server, &server.exporter(&["notes"])).to_string();
    assert!(error.contains("leads to http://evil/x, where the key is not sent"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn a_collection_that_is_not_whole_on_this_node() {
    let server = Qdrant::with_notes();
    let shards = json!({
        "local_shards": [{"shard_id": 0, "state": "Active"}],
        "remote_shards": [{"shard_id": 1, "peer_id": 2, "state": "Active"}],
    });
    server.lock().collections.get_mut("notes").unwrap().cluster = shards;
    told(&server, &server.exporter(&["notes"]), &["shards [1]", "other nodes"]);
    assert_eq!(server.count("POST"), 0);
}

#[test]
fn https_where_there_is_none() {
    let server = Qdrant::with_notes();
    let source = QdrantSource::parse(&format!("qdrant+https://{}/notes", &server.url()[7..]));
    let http = ClientOptions {
        connect_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(2),
        retries: 0,
        ..quick().http
    };
    let exporter = QdrantExporter::new(source.unwrap(), QdrantOptions { http, ..quick() });
    told(&server, &exporter, &["https://127.0.0.1:"]);
}
