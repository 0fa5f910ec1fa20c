//! What a backup holds, what it asks of the server, what it leaves there.

use restow::source::Exporter;
use restow::source::arangodb::{ArangoExporter, ArangoOptions, ArangoSelection, ArangoSource};
use restow::{BackupOptions, Cancel, ErrorKind};
use serde_json::Value;

use super::{back_up, cat, documents, fails, manager, report};
use crate::support::arango::{Arango, Collection, document, dumped, quick, shop};

fn selection(selection: ArangoSelection) -> ArangoOptions {
    ArangoOptions { selection, ..quick() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Every document of two real databases, in whatever way it is read.
#[test]
fn two_real_databases_as_they_were() {
    for dump in ["entity_dump", "imdb_with_ratings"] {
        let mut streams = Vec::new();
        for modern in [false, true] {
            let server = Arango::with("db", dumped(dump));
            let server = if modern { server.modern() } else { server };
            // Other order of members, small pieces.
            server.faults(|faults| (faults.reordered, faults.chunk) = (modern, Some(5_000)));
            let manager = manager();
            let id = back_up(&server, &manager, &server.exporter("db"));
            let database = dumped(dump);
            let mut taken = 0;
            for (name, collection) in &database.collections {
                let path = format!("db/collections/{name}");
                if name.starts_with('_') && name != "_graphs" && name != "_analyzers" {
                    assert!(
                        manager
                            .cat(&id, format!("{path}/structure.json"), &mut Vec::new())
                            .is_err()
                    );
                    continue;
                }
                taken += 1;
                assert_eq!(documents(&manager, &id, &path), collection.values(), "{name}");
                let structure: Value =
                    serde_json::from_str(&cat(&manager, &id, &format!("{path}/structure.json")))
                        .unwrap();
                assert_eq!(structure["parameters"]["name"], name.as_str());
                assert_eq!(structure["indexes"], Value::Array(collection.indexes.clone()));
                streams.push(cat(&manager, &id, &format!("{path}/revisions.jsonl")));
            }
            assert!(taken >= 3, "{taken}");
            let used = if modern { "POST /_api/dump/next" } else { "GET /_api/replication/dump" };
            assert!(server.count(used) > taken, "several pieces a collection");
        }
        let (old, new) = streams.split_at(streams.len() / 2);
        assert_eq!(old, new);
    }
}

#[test]
fn what_is_recorded_beside_the_documents() {
    let (server, manager) = (Arango::with_shop(), manager());
    let report = report(&manager, &server.exporter("shop"));
    let source = &report.manifest.sources[0];
    assert_eq!(source.kind, "arangodb");
    assert_eq!(source.url, format!("arangodb://{}/shop", server.host()));
    assert!(report.manifest.name.starts_with("shop_"), "{}", report.manifest.name);
    let consistency = source.consistency.as_ref().unwrap();
    assert_eq!((consistency.kind.as_str(), consistency.value.as_str()), ("tick", "4711"));
    let property =
        |name: &str| source.properties.iter().find(|(key, _)| key == name).map(|it| it.1.as_str());
    assert_eq!(property("server_version"), Some("3.11.5"));
    assert_eq!(property("shop/method"), Some("replication batch"));
    assert_eq!(property("shop/items/documents"), Some("50"));
    assert_eq!(property("shop/items/counted_by_server"), None);
    assert_eq!(property("not_consistent"), None);

    let id = report.id.unwrap();
    let first = cat(&manager, &id, "shop/collections/items/documents.jsonl");
    let first = first.lines().next().unwrap();
    // Byte for byte, but for its revision.
    assert_eq!(first, document("items", "k0", 0).replacen(r#""_rev":"_r0","#, "", 1));
    let json = |path: &str| serde_json::from_str::<Value>(&cat(&manager, &id, path)).unwrap();
    assert_eq!(json("shop/database.json")["name"], "shop");
    assert_eq!(json("shop/views/found.json"), shop().views["found"]);
    assert_eq!(json("shop/views/alias.json"), shop().views["alias"]);
    let graphs = documents(&manager, &id, "shop/collections/_graphs");
    assert_eq!(graphs["sales"]["edgeDefinitions"][0]["collection"], "bought");
}

/// A snapshot shows one moment, whatever is written while it is read.
#[test]
fn what_is_written_meanwhile_is_not_in_it() {
    let (server, manager) = (Arango::with_shop(), manager());
    let written = vec![
        ("shop".to_owned(), "items".to_owned(), document("items", "k3", 999)),
        ("shop".to_owned(), "people".to_owned(), document("people", "new", 1)),
        ("shop".to_owned(), "people".to_owned(), document("people", "newer", 2)),
    ];
    server.faults(|faults| faults.written_meanwhile = written);
    let report = report(&manager, &server.exporter("shop"));
    let id = report.id.unwrap();
    for name in ["items", "people", "bought"] {
        let path = format!("shop/collections/{name}");
        assert_eq!(documents(&manager, &id, &path), shop().collections[name].values());
    }
    assert_eq!(server.lock().collection("shop", "people").documents.len(), 9);
    // What the server counts now is said, and no reason to fail.
    let properties = &report.manifest.sources[0].properties;
    assert!(properties.contains(&("shop/people/counted_by_server".to_owned(), "9".to_owned())));
    assert!(properties.contains(&("shop/people/documents".to_owned(), "7".to_owned())));
}

#[test]
fn a_night_costs_what_changed() {
    for modern in [false, true] {
        let server = Arango::with("db", dumped("imdb_with_ratings"));
        let (server, manager) = (if modern { server.modern() } else { server }, manager());
        back_up(&server, &manager, &server.exporter("db"));
        {
            let mut state = server.lock();
            let ratings =
                state.databases.get_mut("db").unwrap().collections.get_mut("Ratings").unwrap();
            ratings.insert(r#"{"_key":"2732620467","_id":"Ratings/2732620467","_rev":"_x","_from":"Users/1","_to":"Movies/1","Rating":5}"#);
        }
        let second = report(&manager, &server.exporter("db"));
        assert!(second.manifest.sources[0].parent.is_some());
        let statistics = &second.manifest.statistics;
        let stored = statistics.plain_stored + statistics.delta_stored;
        assert!(stored < 20_000, "{statistics:?}");
    }
}

/// What progress is measured by is near what it comes to.
#[test]
fn an_estimate_of_what_it_comes_to() {
    let server = Arango::with("db", dumped("imdb_with_ratings"));
    server.lock().databases.insert("shop".into(), shop());
    let some = ArangoSelection { collections: names(&["people"]), ..ArangoSelection::default() };
    let all = [("db,shop", ArangoSelection::default()), ("", ArangoSelection::default())];
    for (databases, chosen) in all.into_iter().chain([("shop", some)]) {
        let (manager, exporter) = (manager(), server.exporter_with(databases, selection(chosen)));
        let estimate = exporter.estimate(&Cancel::new()).unwrap().unwrap();
        let statistics = report(&manager, &exporter).manifest.statistics;
        assert_eq!(estimate.entries, statistics.entries, "{databases}");
        let share = estimate.bytes as f64 / statistics.logical_bytes as f64;
        // Of little the structures are much.
        let least = if databases.is_empty() || databases.contains("db") { 0.9 } else { 0.5 };
        assert!((least..1.1).contains(&share), "{databases}: {share}");
    }
    // Nobody waits for a total that is not to be had.
    server.instead("POST /_api/cursor", 1, 403, "", "");
    assert!(server.exporter("shop").estimate(&Cancel::new()).is_err());
    let stopped = Cancel::new();
    stopped.cancel();
    let error = server.exporter("shop").estimate(&stopped).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn several_databases_and_all_of_them() {
    let server = Arango::with_shop();
    server.lock().databases.insert("a db".into(), shop());
    let two = manager();
    let id = back_up(&server, &two, &server.exporter("shop,a%20db"));
    for name in ["shop", "a db"] {
        let path = format!("{name}/collections/people");
        assert_eq!(documents(&two, &id, &path), shop().collections["people"].values());
    }
    let source = &two.get(&id.to_hex()).unwrap().unwrap().manifest.sources[0].clone();
    assert_eq!(source.url, format!("arangodb://{}/a db,shop", server.host()));
    assert_eq!(source.consistency.as_ref().unwrap().value, "a db:4711 shop:4711");
    let all = manager();
    let id = back_up(&server, &all, &server.exporter(""));
    assert!(cat(&all, &id, "_system/database.json").contains("_system"));
    assert!(cat(&all, &id, "a db/database.json").contains("a db"));
}

#[test]
fn chosen_and_system_collections_and_users() {
    let server = Arango::with_shop();
    {
        let mut state = server.lock();
        let system = state.databases.get_mut("_system").unwrap();
        system.collections.insert("_users".into(), Collection::small("_users", 2, 3));
    }
    let taken = |databases: &str, chosen: ArangoSelection| {
        let manager = manager();
        let exporter = server.exporter_with(databases, selection(chosen));
        let report = report(&manager, &exporter);
        let counted = |name: &str| name.strip_suffix("/documents").map(str::to_owned);
        let properties = &report.manifest.sources[0].properties;
        let mut found: Vec<_> = properties.iter().filter_map(|(key, _)| counted(key)).collect();
        found.sort();
        (found.join(" "), report.manifest.sources[0].url.clone())
    };
    let plain = ArangoSelection::default();
    let (found, _) = taken("shop", plain.clone());
    assert_eq!(found, "shop/_analyzers shop/_graphs shop/bought shop/items shop/people");
    let one =
        ArangoSelection { collections: names(&["people", "items", "people"]), ..plain.clone() };
    let (found, url) = taken("shop", one);
    assert_eq!(found, "shop/items shop/people");
    // Less than all is another source: retention must not weigh one against the other.
    assert!(url.ends_with("/shop?collections=items,people"), "{url}");
    let (found, _) = taken("shop", ArangoSelection { include_system: true, ..plain.clone() });
    assert!(found.contains("shop/_jobs"), "{found}");
    let (found, _) = taken("_system", ArangoSelection { include_system: true, ..plain.clone() });
    assert!(!found.contains("_users"), "{found}");
    let users = ArangoSelection { include_users: true, ..plain.clone() };
    assert!(taken("_system", users.clone()).0.contains("_system/_users"));
    let error = fails(&server, &server.exporter_with("shop", selection(users)));
    assert!(error.to_string().contains("_system"), "{error}");
    let nope = ArangoSelection { collections: names(&["items", "nope"]), ..plain };
    let error = fails(&server, &server.exporter_with("shop", selection(nope)));
    assert!(
        error.to_string().contains("no collection nope; there is _analyzers, _graphs"),
        "{error}"
    );
}

#[test]
fn over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("arango db.sock");
    let server = Arango::with_shop().modern().on_socket(&socket);
    let url = format!("arangodb+unix://{}?database=shop", socket.display()).replace(' ', "%20");
    let exporter = ArangoExporter::new(ArangoSource::parse(&url).unwrap(), quick());
    let manager = manager();
    let id = back_up(&server, &manager, &exporter);
    let found = documents(&manager, &id, "shop/collections/items");
    assert_eq!(found, shop().collections["items"].values());
    let url = &manager.get(&id.to_hex()).unwrap().unwrap().manifest.sources[0].url;
    assert_eq!(*url, format!("arangodb+unix://{}?database=shop", socket.display()));
}

/// The shards of a collection are at two servers; that there is no one moment is in the manifest.
#[test]
fn a_cluster() {
    let (server, manager) = (Arango::with_shop().clustered(), manager());
    let report = report(&manager, &server.exporter("shop"));
    assert_eq!(server.held(), 0);
    for name in ["items", "people", "bought", "_graphs"] {
        let path = format!("shop/collections/{name}");
        let found = documents(&manager, &report.id.unwrap(), &path);
        assert_eq!(found, shop().collections[name].values(), "{name}");
    }
    let source = &report.manifest.sources[0];
    assert_eq!(source.consistency.as_ref().unwrap().kind, "none");
    assert!(source.properties.iter().any(|(key, _)| key == "not_consistent"));
    assert_eq!(server.count("POST /_api/replication/batch"), 2);
    assert!(server.count("GET /_api/replication/dump?collection=s.items.1") >= 1);
    server.lock().role = "PRIMARY".into();
    let error = fails(&server, &server.exporter("shop"));
    assert!(error.to_string().contains("name a coordinator"), "{error}");
}

/// A new way that a server of this version should have, and has not.
#[test]
fn a_server_that_cannot_dump_in_parallel() {
    let (server, manager) = (Arango::with_shop().modern(), manager());
    server.lock().has_parallel_dumps = false;
    let id = back_up(&server, &manager, &server.exporter("shop"));
    let found = documents(&manager, &id, "shop/collections/items");
    assert_eq!(found, shop().collections["items"].values());
    assert_eq!(server.count("POST /_api/dump/start"), 1);
    // And one that may, and is not asked to.
    let server = Arango::with_shop().modern();
    let options = ArangoOptions { workers: 0, ..quick() };
    back_up(&server, &manager, &server.exporter_with("shop", options));
    assert_eq!(server.count("POST /_api/dump/start"), 0);
}

#[test]
fn an_empty_database_is_worth_keeping() {
    let (server, manager) = (Arango::start(), manager());
    let exporter = server.exporter("_system");
    let report = manager.create(&[&exporter], &BackupOptions::default()).unwrap();
    assert!(cat(&manager, &report.id.unwrap(), "_system/database.json").contains("_system"));
    assert_eq!(server.held(), 0);
}
