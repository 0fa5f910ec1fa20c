//! What a backup is weighed against before it is kept: counts, identities, shards, definitions.

use restow::ErrorKind;
use serde_json::Value;

use super::{back_up, cat, documents, fails, manager, report};
use crate::support::arango::{Arango, State, document, shop};

const OLD: &str = "GET /_api/replication/dump";
const NEW: &str = "POST /_api/dump/next";

/// Without them nobody knows where its documents are: it is not stored as an empty one.
#[test]
fn a_collection_of_a_cluster_without_shards() {
    let server = Arango::with_shop().clustered();
    {
        let mut state = server.lock();
        let shop = state.databases.get_mut("shop").unwrap();
        let people = shop.collections.get_mut("people").unwrap();
        people.parameters.as_object_mut().unwrap().remove("shards");
    }
    let error = fails(&server, &server.exporter("shop"));
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(
        error.to_string().contains("shop/people: the cluster's inventory names no shards"),
        "{error}"
    );
}

/// Documents are asked for by name: one that was dropped and made again is not what the inventory described.
#[test]
fn another_collection_of_the_same_name() {
    for server in [Arango::with_shop(), Arango::with_shop().modern()] {
        let again = || vec![("shop".to_owned(), "people".to_owned())];
        server.faults(|faults| faults.made_again_meanwhile = again());
        let error = fails(&server, &server.exporter("shop"));
        assert!(error.to_string().contains("shop/people: was dropped or renamed"), "{error}");
        // Made as it was, it is itself again.
        let manager = manager();
        let id = back_up(&server, &manager, &server.exporter("shop"));
        assert!(documents(&manager, &id, "shop/collections/people").is_empty());
        // A server that does not tell is not failed for that.
        server.faults(|faults| faults.no_ids = true);
        back_up(&server, &manager, &server.exporter("shop"));
    }
}

#[test]
fn documents_that_a_server_never_sends() {
    for server in [Arango::with_shop(), Arango::with_shop().modern()] {
        server.faults(|faults| faults.withheld = Some(("items".into(), 1)));
        let error = fails(&server, &server.exporter("shop"));
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        let words = "49 documents came, and the server counts 50, as it counted 50 before";
        assert!(error.to_string().contains(words), "{error}");
        // Nothing at all came, though there was much all the time.
        for number in 0..1500 {
            server.lock().add("shop", "items", &document("items", &format!("m{number}"), number));
        }
        let written = || vec![("shop".into(), "items".into(), document("items", "more", 1))];
        server.faults(|faults| {
            faults.withheld = Some(("items".into(), 5000));
            faults.written_meanwhile = written();
        });
        let error = fails(&server, &server.exporter("shop"));
        assert!(
            error.to_string().contains("0 documents came, and the server counts 1551"),
            "{error}"
        );
    }
}

/// As many documents come as go: the server counts the same before and after, and held another number in between.
#[test]
fn a_queue_that_stays_as_long_as_it_is() {
    const KEYS: [&str; 7] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6"];
    for server in [Arango::with_shop(), Arango::with_shop().modern()] {
        let queue = |held: fn(&mut State), read: fn(&mut State)| {
            server.faults(|faults| {
                (faults.when_held, faults.when_read) = (Some(held), Some(read));
            });
        };
        let longer = || {
            queue(
                |state| state.add("shop", "people", &document("people", "job", 1)),
                |state| state.remove("shop", "people", "job"),
            );
        };
        let emptied = || {
            queue(
                |state| KEYS.iter().for_each(|key| state.remove("shop", "people", key)),
                |state| {
                    KEYS.iter().for_each(|key| {
                        state.add("shop", "people", &document("people", key, 1));
                    });
                },
            );
        };
        for (change, came) in [(&longer as &dyn Fn(), 8), (&emptied, 0)] {
            change();
            let manager = manager();
            let report = report(&manager, &server.exporter("shop"));
            let found = documents(&manager, &report.id.unwrap(), "shop/collections/people");
            assert_eq!(found.len(), came);
            let properties = &report.manifest.sources[0].properties;
            let counted = ("shop/people/counted_by_server".to_owned(), "7".to_owned());
            assert!(properties.contains(&counted), "{properties:?}");
        }
        // Where a server does not tell whether anybody wrote, the count is all there is.
        longer();
        server.faults(|faults| faults.no_ids = true);
        let error = fails(&server, &server.exporter("shop"));
        let words = "8 documents came, and the server counts 7, as it counted 7 before";
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A 503 may come from where a cursor has moved already.
#[test]
fn a_dump_is_asked_for_again_only_where_nothing_was_done() {
    let said = |number: u32| format!(r#"{{"error":true,"code":503,"errorNum":{number}}}"#);
    let cluster = Arango::with_shop().clustered();
    for number in [503, 38] {
        cluster.instead(OLD, 1, 503, "", &said(number));
        let before = cluster.count(OLD);
        assert!(fails(&cluster, &cluster.exporter("shop")).to_string().contains("503"));
        assert_eq!(cluster.count(OLD), before + 1);
    }
    let queue = r#"{"error":true,"code":412,"errorNum":21004,"errorMessage":"queue time"}"#;
    cluster.instead(OLD, 1, 412, "", queue);
    cluster.instead(OLD, 1, 429, "", "");
    back_up(&cluster, &manager(), &cluster.exporter("shop"));
    let single = Arango::with_shop();
    for number in [503, 38, 21003] {
        single.instead(OLD, 1, 503, "", &said(number));
        back_up(&single, &manager(), &single.exporter("shop"));
    }
    for text in [said(1477), "{}".to_owned(), "busy".to_owned()] {
        single.instead(OLD, 1, 503, "", &text);
        assert!(fails(&single, &single.exporter("shop")).to_string().contains("503"), "{text}");
    }
}

/// Definitions and documents of one moment: a dump that begins while something changes is begun again.
#[test]
fn definitions_that_change_while_a_dump_begins() {
    let (server, manager) = (Arango::with_shop().modern(), manager());
    server.faults(|faults| faults.indexed_at_start = 2);
    let report = report(&manager, &server.exporter("shop"));
    assert_eq!(server.held(), 0);
    assert_eq!(server.count("POST /_api/dump/start"), 3);
    let id = report.id.unwrap();
    let structure = cat(&manager, &id, "shop/collections/items/structure.json");
    let structure: Value = serde_json::from_str(&structure).unwrap();
    assert_eq!(structure["indexes"].as_array().unwrap().len(), 5, "two more than before");
    let found = documents(&manager, &id, "shop/collections/items");
    assert_eq!(found, shop().collections["items"].values());
    // Whose moment has no tick.
    let consistency = report.manifest.sources[0].consistency.as_ref().unwrap();
    assert_eq!(consistency.value, "parallel dump");
    server.faults(|faults| faults.indexed_at_start = 1000);
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("collection items changed while the dump began"), "{error}");
}

#[test]
fn answers_that_hold_nothing_for_ever() {
    let server = Arango::with_shop();
    server.faults(|faults| faults.empty_answers = true);
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("promises more and more documents"), "{error}");
    let server = Arango::with_shop().modern();
    server.instead(NEW, 1_000_000, 200, "x-arango-dump-shard-id: items\r\n", "");
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("holds no documents"), "{error}");
    // An inventory that says nothing of views does not say that there are none.
    let server = Arango::with_shop();
    server.instead("GET /_api/replication/inventory", 1, 200, "", r#"{"collections":[]}"#);
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("no list of views"), "{error}");
}

/// More than a batch may have beside others: it is asked for once more, alone.
#[test]
fn a_document_longer_than_a_batch() {
    let (server, manager) = (Arango::with_shop().modern(), manager());
    let long = format!(
        r#"{{"_key":"long","_id":"people/long","_rev":"_l","t":"{}"}}"#,
        "x".repeat(17 << 20)
    );
    server.lock().add("shop", "people", &long);
    let id = back_up(&server, &manager, &server.exporter("shop"));
    let found = documents(&manager, &id, "shop/collections/people");
    assert_eq!(found.len(), 8);
    assert_eq!(found["long"]["t"].as_str().unwrap().len(), 17 << 20);
    let asked: Vec<_> =
        server.lock().requests.iter().filter(|it| it.starts_with(NEW)).cloned().collect();
    let distinct: std::collections::BTreeSet<_> = asked.iter().collect();
    assert_eq!(asked.len(), distinct.len() + 1, "once more");
}
