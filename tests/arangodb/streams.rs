//! What becomes of a backup when bytes do not come as they should: it is whole, or there is none.

use std::time::Duration;

use restow::source::arangodb::ArangoOptions;
use restow::{BackupOptions, Cancel, ErrorKind};

use super::{back_up, documents, fails, manager};
use crate::support::arango::{Arango, quick, shop};

const OLD: &str = "GET /_api/replication/dump";
const NEW: &str = "POST /_api/dump/next";

/// An answer of the old kind comes once: what was lost of it cannot be had again, and must not be left out.
#[test]
fn cut_anywhere_an_old_dump_fails() {
    let server = Arango::with_shop();
    for at in [0, 1, 7, 100, 1000, 4096] {
        server.faults(|faults| faults.cut = Some((format!("{OLD}?collection=items"), at, 1)));
        let before = server.count(OLD);
        let error = fails(&server, &server.exporter("shop"));
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{at}: {error}");
        assert!(error.to_string().contains("run the backup again"), "{error}");
        let asked = server.lock().requests[before..].to_vec();
        let mut dumps: Vec<_> = asked.iter().filter(|made| made.starts_with(OLD)).collect();
        let count = dumps.len();
        dumps.dedup();
        assert_eq!(dumps.len(), count, "nothing is asked for twice");
    }
}

/// One of the new kind is kept until it is acknowledged, so it is asked for again.
#[test]
fn cut_anywhere_a_new_dump_is_whole() {
    let server = Arango::with_shop().modern();
    server.faults(|faults| faults.chunk = Some(600));
    for at in [0, 1, 7, 100, 599] {
        server.faults(|faults| faults.cut = Some((NEW.into(), at, 4)));
        let manager = manager();
        let id = back_up(&server, &manager, &server.exporter("shop"));
        for name in ["items", "people", "bought", "_graphs", "_analyzers"] {
            let found = documents(&manager, &id, &format!("shop/collections/{name}"));
            assert_eq!(found, shop().collections[name].values(), "{name} {at}");
        }
    }
    server.faults(|faults| faults.cut = Some((NEW.into(), 10, 1000)));
    fails(&server, &server.exporter("shop"));
}

#[test]
fn an_end_that_nobody_announced() {
    for server in [Arango::with_shop(), Arango::with_shop().modern()] {
        server.faults(|faults| faults.unframed = true);
        let error = fails(&server, &server.exporter("shop"));
        assert!(error.to_string().contains("does not say how long it is"), "{error}");
    }
}

#[test]
fn an_answer_that_does_not_say_whether_there_is_more() {
    let server = Arango::with_shop();
    server.faults(|faults| faults.no_checkmore = true);
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("does not say whether there is more"), "{error}");
    server.faults(|faults| faults.no_checkmore = false);
    let lies = "x-arango-replication-checkmore: true\r\nx-arango-replication-lastincluded: 0\r\n";
    server.instead(OLD, 1, 200, lies, "{\"_key\":\"a\"}\n");
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("and not from where"), "{error}");
}

#[test]
fn lines_that_are_no_documents() {
    for (server, request, headers) in [
        (Arango::with_shop(), OLD, "x-arango-replication-checkmore: false\r\n"),
        (Arango::with_shop().modern(), NEW, "x-arango-dump-shard-id: items\r\n"),
    ] {
        for body in ["{\"_key\":\"a\"", "<html>", "{\"a\":1}\n", "{\"_key\":\"a\"}\n\u{0}"] {
            server.instead(request, 1, 200, headers, body);
            let error = fails(&server, &server.exporter("shop"));
            assert!(error.to_string().contains("holds no documents of ArangoDB"), "{error}");
        }
    }
    let server = Arango::with_shop().modern();
    server.instead(NEW, 1, 200, "x-arango-dump-shard-id: other\r\n", "{\"_key\":\"a\"}\n");
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("other, which nobody asked for"), "{error}");
}

#[test]
fn a_state_that_the_server_gave_up() {
    let server = Arango::with_shop();
    server.faults(|faults| (faults.batches_last, faults.chunk) = (Some(4), Some(500)));
    let error = fails(&server, &server.exporter("shop"));
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("could be expired"), "{error}");
}

/// However long a collection takes: the server hears in time that the state is still wanted.
#[test]
fn a_state_is_kept_while_it_is_needed() {
    let (server, manager) = (Arango::with_shop(), manager());
    server.faults(|faults| faults.waits_for_extension = 3);
    let options = ArangoOptions { ttl: Duration::from_secs(1), ..quick() };
    let id = back_up(&server, &manager, &server.exporter_with("shop", options));
    assert_eq!(documents(&manager, &id, "shop/collections/items").len(), 50);
    assert!(server.lock().extended >= 3);
    assert_eq!(server.count("DELETE /_api/replication/batch/"), 1);
}

#[test]
fn a_slow_server_is_waited_for() {
    for server in [Arango::with_shop(), Arango::with_shop().modern()] {
        server.faults(|faults| faults.slow = Some(Duration::from_millis(50)));
        let manager = manager();
        let id = back_up(&server, &manager, &server.exporter("shop"));
        assert_eq!(documents(&manager, &id, "shop/collections/items").len(), 50);
    }
}

/// Stopped while it waits: the state is released all the same.
#[test]
fn told_to_stop() {
    for (server, request) in [(Arango::with_shop(), OLD), (Arango::with_shop().modern(), NEW)] {
        server.faults(|faults| faults.slow = Some(Duration::from_secs(60)));
        let cancel = Cancel::new();
        let manager = manager().with_cancel(cancel.clone());
        let exporter = server.exporter("shop");
        let error = std::thread::scope(|scope| {
            let backup = scope.spawn(|| manager.create(&[&exporter], &BackupOptions::default()));
            while server.count(request) == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            cancel.cancel();
            backup.join().unwrap().unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(server.held(), 0);
    }
}

#[test]
fn a_state_that_cannot_be_released() {
    let (server, manager) = (Arango::with_shop(), manager());
    server.instead("DELETE /_api/replication/batch", 10, 500, "", "");
    let report = manager.create(&[&server.exporter("shop")], &BackupOptions::default()).unwrap();
    assert_eq!(report.manifest.problem_count, 0, "the documents are safe by then");
    assert_eq!(server.held(), 1);
}
