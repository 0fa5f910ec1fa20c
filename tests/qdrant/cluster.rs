//! Collections whose shards are on several nodes.

use restow::source::qdrant::{Mode, QdrantBackup, QdrantExporter, QdrantLoader, QdrantRestore};
use restow::{BackupOptions, Cancel, ErrorKind, Overwrite, RestoreOptions};
use serde_json::json;

use super::shards::shard;
use super::{cat, fails, json, manager, property};
use crate::support::binary::Bench;
use crate::support::qdrant::{Qdrant, night, quick, sha256};

/// Shard 0 on peer 7, shard 1 on peers 7 (not whole) and 8.
fn two_nodes() -> [Qdrant; 2] {
    let nodes = [Qdrant::with_notes(), Qdrant::with_notes()];
    nodes[1].lock().collections.get_mut("notes").unwrap().bytes = night(1).into();
    let uri = |host: &str| json!({"uri": format!("http://{host}:6335/")});
    nodes[0].lock().peers = json!({"7": uri("a"), "8": uri("b"), "9": uri("c")});
    nodes[0].lay_out("notes", 7, &[(0, "Active"), (1, "Partial")], &[(1, 8)]);
    nodes[1].lay_out("notes", 8, &[(1, "Active")], &[(0, 7)]);
    nodes
}

fn reading(nodes: &[Qdrant; 2], mode: Mode) -> QdrantExporter {
    let backup = QdrantBackup { mode, nodes: vec![nodes[1].server()] };
    nodes[0].exporter(&["notes"]).reading(backup)
}

#[test]
fn every_node_makes_its_own_part() {
    let (nodes, manager) = (two_nodes(), manager());
    let report =
        manager.create(&[&reading(&nodes, Mode::Snapshot)], &BackupOptions::default()).unwrap();
    let id = report.id.unwrap();
    assert_eq!(cat(&manager, &id, "notes@7.snapshot"), night(0));
    assert_eq!(cat(&manager, &id, "notes@8.snapshot"), night(1));
    assert_eq!(report.manifest.statistics.entries, 5);
    assert!(nodes.iter().all(|node| node.left().is_empty()));
    assert_eq!(property(&manager, &id, "notes@8/sha256").unwrap(), sha256(&night(1)));
    let about = json(&manager, &id, "notes.info.json");
    let recorded = about["nodes"].as_array().unwrap();
    assert_eq!((&recorded[0]["peer"], &recorded[0]["shards"]), (&json!(7), &json!([0, 1])));
    assert_eq!((&recorded[1]["peer"], &recorded[1]["shards"]), (&json!(8), &json!([1])));
    assert_eq!(recorded[1]["url"], nodes[1].url().as_str());
    assert_eq!(about["peers"]["peers"]["8"]["uri"], "http://b:6335/");
    assert_eq!(recorded[0]["cluster"]["remote_shards"][0]["peer_id"], 8);

    // The same source as without the other node: it may be named or not from night to night.
    let url = &report.manifest.sources[0].url;
    assert_eq!(*url, format!("qdrant://{}/notes", &nodes[0].url()[7..]));

    // Each part back to a node, or all to one that takes them.
    let into = |servers: &[Qdrant]| {
        let nodes = servers[1..].iter().map(Qdrant::server).collect();
        let restore = QdrantRestore { nodes, ..QdrantRestore::default() };
        let loader = QdrantLoader::new(&servers[0].server(), &quick(), restore, &Cancel::new());
        let options = RestoreOptions::default();
        manager.load(&id, Box::new(loader.unwrap()), &options, Overwrite::Refuse)
    };
    let two = [Qdrant::start(), Qdrant::start()];
    assert_eq!(into(&two).unwrap().entries, 1);
    for (server, bytes) in two.iter().zip([night(0), night(1)]) {
        let state = server.lock();
        let [(name, restored, priority)] = &state.restored[..] else { panic!() };
        assert_eq!((&name[..], &priority[..]), ("notes", "snapshot"));
        assert!(*restored == bytes);
    }
    let one = [Qdrant::start()];
    into(&one).unwrap();
    let restored: Vec<_> = one[0].lock().restored.iter().map(|(_, it, _)| sha256(it)).collect();
    assert_eq!(restored, [sha256(&night(0)), sha256(&night(1))]);
    assert_eq!(one[0].left(), [""; 0]);
}

#[test]
fn shards_that_no_named_node_has_whole() {
    let nodes = two_nodes();
    nodes[0].lay_out("notes", 7, &[(0, "Active")], &[(1, 8), (2, 9)]);
    let error = fails(&nodes[0], &reading(&nodes, Mode::Snapshot));
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    for word in ["shards [2]", "shard 2 (whole on peer 9 at http://c:6335/)", "--qdrant-node"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert_eq!(nodes[0].count("POST") + nodes[1].count("POST"), 0, "nothing was made");
}

#[test]
fn nodes_that_are_none() {
    let nodes = two_nodes();
    // The same one under two names is one.
    nodes[1].lay_out("notes", 7, &[(0, "Active"), (1, "Active")], &[]);
    nodes[0].lay_out("notes", 7, &[(0, "Active"), (1, "Active")], &[]);
    let manager = manager();
    let report =
        manager.create(&[&reading(&nodes, Mode::Snapshot)], &BackupOptions::default()).unwrap();
    assert_eq!(report.manifest.statistics.entries, 3);
    // Of another cluster.
    nodes[1].lock().collections.clear();
    let error = fails(&nodes[0], &reading(&nodes, Mode::Snapshot)).to_string();
    assert!(error.contains("is it of the same cluster"), "{error}");
    nodes[1].add("notes", vec![1]);
    nodes[1].lock().collections.get_mut("notes").unwrap().cluster = json!({});
    let error = fails(&nodes[0], &reading(&nodes, Mode::Snapshot)).to_string();
    assert!(error.contains("which peer of its cluster"), "{error}");
}

#[test]
fn a_node_that_fails_leaves_nothing_on_the_others() {
    let nodes = two_nodes();
    nodes[1].instead("POST", 1, 507, "", "");
    let error = fails(&nodes[0], &reading(&nodes, Mode::Snapshot)).to_string();
    assert!(error.contains("its disk is full"), "{error}");
    assert_eq!(nodes[0].count("POST"), 1);
    assert!(nodes[1].left().is_empty());
}

#[test]
fn streams_take_each_shard_once_from_who_has_it_whole() {
    let (nodes, manager) = (two_nodes(), manager());
    for (node, id) in nodes.iter().zip([0, 1]) {
        let mut state = node.lock();
        let notes = state.collections.get_mut("notes").unwrap();
        notes.shards = [(id, shard(id).into())].into();
    }
    let report =
        manager.create(&[&reading(&nodes, Mode::Stream)], &BackupOptions::default()).unwrap();
    let id = report.id.unwrap();
    assert_eq!(cat(&manager, &id, "notes.shard-0.snapshot"), shard(0));
    assert_eq!(cat(&manager, &id, "notes.shard-1.snapshot"), shard(1));
    assert_eq!(nodes[0].count("GET /collections/notes/shards/1"), 0);
}

#[test]
fn by_the_binary() {
    let (bench, nodes) = (Bench::with_repository(), two_nodes());
    let url = format!("qdrant://{}/notes", &nodes[0].url()[7..]);
    bench.fails(8, &["backup", &url]);
    bench.ok(&["backup", &url, "--qdrant-node", &nodes[1].url()]);
    let shown = bench.ok(&["show", "latest", "--entries"]);
    assert!(shown.contains("notes@7.snapshot") && shown.contains("notes@8.snapshot"), "{shown}");
    let named = format!("qdrant://{}", &nodes[1].url()[7..]);
    let config = format!(
        "[sources.notes]\nsource = '{url}'\nqdrant-node = ['{named}']\nqdrant-mode = 'snapshot'\n"
    );
    std::fs::write(bench.path("restow.toml"), config).unwrap();
    bench.ok(&["backup", "notes", "--config", "restow.toml"]);
    assert!(bench.fails(2, &["backup", &url, "--qdrant-node", "ftp://x"]).contains("http://HOST"));
}
