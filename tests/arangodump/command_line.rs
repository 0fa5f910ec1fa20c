//! In by `import`, out by `export`, and what lies between.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Content, ENTITIES, MOVIES, PLAIN, archive, entities_with_a_view, entries, real};
use crate::support::binary::{Bench, text};

/// Whether two dumps hold the same, documents with their revisions in any order.
fn assert_same(one: &Content, other: &Content) {
    assert_eq!(one.about["database"], other.about["database"]);
    assert_eq!(one.about["properties"], other.about["properties"]);
    assert_eq!(one.views, other.views);
    assert!(one.collections.keys().eq(other.collections.keys()));
    for (name, collection) in &one.collections {
        let written = &other.collections[name];
        for part in ["parameters", "indexes"] {
            assert_eq!(collection.structure[part], written.structure[part], "{name}");
        }
        assert_eq!(collection.documents.len(), written.documents.len(), "{name}");
        assert!(collection.by_key() == written.by_key(), "{name}");
    }
}

#[test]
fn a_real_dump_goes_in_and_comes_out() {
    let bench = Bench::with_repository();
    for name in [ENTITIES, MOVIES] {
        let from = real(name);
        let report = bench.json(&["import", text(&from)]);
        assert_eq!(report["manifest"]["sources"][0]["kind"], "arangodb");
        let id = report["id"].as_str().unwrap();
        let args = ["export", id, "--to", name, "--format", "arangodump"];
        let said = bench.ok(&args);
        assert!(said.contains("exported") && said.contains(name), "{said}");
        let written = bench.path(name);
        let (before, after) = (Content::read(&from), Content::read(&written));
        assert_same(&before, &after);
        assert_eq!(after.about["useEnvelope"], false);
        // What arangorestore looks for.
        assert_eq!(fs::read_to_string(written.join("ENCRYPTION")).unwrap(), "none");
        let users = "Users_f9aae5fda8d810a29f12d1e61b4ab25f";
        assert!(written.join(format!("{users}.structure.json")).is_file());
        assert!(written.join(format!("{users}.data.json.gz")).is_file());
        assert!(entries(&written) == entries(&from), "{name}");
        // Once more is refused, and changes nothing.
        let said = bench.fails(7, &args);
        assert!(said.contains("exists already"), "{said}");
        assert!(bench.fails(2, &[&args[..], &["--replace"]].concat()).contains("--replace"));
        assert_same(&before, &Content::read(&written));
    }
    let beside: Vec<_> =
        fs::read_dir(bench.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_str().unwrap().starts_with(".restow")), "{beside:?}");
}

#[test]
fn archives_and_several_databases_in_and_out() {
    let bench = Bench::with_repository();
    let mut content = entities_with_a_view();
    content.write(&bench.path("all/entity3"), PLAIN);
    content.about["database"] = "zwei/drei".into();
    let said = {
        content.write(&bench.path("all/two"), PLAIN);
        bench.fails(2, &["import", "all"])
    };
    assert!(said.contains("\"zwei/drei\"") && said.contains("cannot be stored"), "{said}");
    content.about["database"] = "zwei drei".into();
    content.write(&bench.path("all/two"), PLAIN);
    archive(&bench.path("all"), "dumps", true, &bench.path("all.tar.gz"));
    let id =
        bench.json(&["import", "all.tar.gz", "--temp-dir", "."])["id"].as_str().unwrap().to_owned();
    let expected = entries(&bench.path("all"));
    bench.ok(&["export", &id, "--to", "out.tar.gz", "--format", "arangodump"]);
    bench.ok(&["export", &id, "--to", "out.tgz", "--format", "arangodump"]);
    bench.ok(&["export", &id, "--to", "out", "--format", "arangodump"]);
    for written in ["out.tar.gz", "out.tgz", "out"] {
        assert!(entries(&bench.path(written)) == expected, "{written}");
    }
    // As files, as any snapshot.
    bench.ok(&["restore", &id, "--to", "files"]);
    let users = "entity3/collections/Users/documents.jsonl";
    assert_eq!(fs::read(bench.path("files").join(users)).unwrap(), expected.files[users]);
    assert_eq!(bench.ok(&["cat", &id, users]).as_bytes(), expected.files[users]);
}

#[test]
fn a_part_goes_out_alone() {
    let bench = Bench::with_repository();
    bench.ok(&["import", text(&real(ENTITIES))]);
    let only = "entity3/collections/Users";
    bench.ok(&["export", "latest", "--only", only, "--to", "users", "--format", "arangodump"]);
    let (all, part) = (Content::read(&real(ENTITIES)), Content::read(&bench.path("users")));
    assert_eq!(part.collections.len(), 1);
    assert!(part.collections["Users"].by_key() == all.collections["Users"].by_key());
    // Half a collection is none.
    let only = "entity3/collections/*/documents.jsonl";
    let said = bench
        .fails(3, &["export", "latest", "--only", only, "--to", "half", "--format", "arangodump"]);
    assert!(said.contains("its structure is not in what is selected"), "{said}");
    assert_eq!(Content::read(&bench.path("half")).collections.len(), 0);
    let nothing = ["export", "latest", "--only", "x", "--to", "none", "--format", "arangodump"];
    assert!(bench.fails(2, &nothing).contains("names nothing in this snapshot"));
    assert!(!bench.path("none").exists());
    fs::create_dir(bench.path("site")).unwrap();
    bench.ok(&["backup", "site"]);
    let other = ["export", "latest", "--to", "none", "--format", "arangodump"];
    assert!(bench.fails(2, &other).contains("no ArangoDB database"));
}

#[test]
fn options_do_what_they_do_for_a_backup() {
    let bench = Bench::with_repository();
    let dump = real(ENTITIES);
    let dry = bench.json(&["import", text(&dump), "--dry-run"]);
    assert_eq!(dry["id"], Value::Null);
    assert_eq!(dry["dry_run"], true);
    let identity = "arangodb://localhost:8529/entity3";
    let said = bench.ok(&[
        "import",
        text(&dump),
        "--as",
        identity,
        "-m",
        "the first",
        "--tag",
        "old",
        "--permanent",
    ]);
    assert!(said.contains("snapshot "), "{said}");
    let packed = bench.path("dump.tar.gz");
    archive(&dump, "dump", true, &packed);
    let again = bench.json(&["import", "dump.tar.gz", "--as", identity, "--name", "second"]);
    let listed = bench.json(&["list"]);
    let snapshots = listed["snapshots"].as_array().unwrap();
    assert_eq!(snapshots.len(), 2);
    let (first, second) = (&snapshots[0], &snapshots[1]);
    assert_eq!(first["tags"][0], "old");
    assert_eq!(first["permanent"], true);
    let manifest = &first["manifest"];
    assert_eq!(manifest["description"], "the first");
    assert!(manifest["name"].as_str().unwrap().starts_with("entity3_"), "{manifest}");
    let source = &manifest["sources"][0];
    assert_eq!(source["url"], identity);
    assert_eq!(source["consistency"]["value"], "1486762");
    assert_eq!(source["properties"]["documents"], "4015");
    assert_eq!(source["properties"]["collections"], "24");
    assert_eq!(second["manifest"]["name"], "second");
    // From another place, and yet the next one of the same source.
    assert_eq!(again["manifest"]["sources"][0]["parent"], first["id"]);
    assert_eq!(again["manifest"]["statistics"]["new_bytes"], 0);
}

#[test]
fn damage_leaves_a_collection_out_and_says_so() {
    let bench = Bench::with_repository();
    bench.ok(&["import", text(&real(ENTITIES))]);
    // The first data pack holds the first collections.
    flip(&bench.path("repository/packs"));
    let said = bench.fails(4, &["export", "latest", "--to", "out", "--format", "arangodump"]);
    assert!(said.contains("damaged: entity3/collections/") && said.contains("left out"), "{said}");
    let (all, saved) = (Content::read(&real(ENTITIES)), Content::read(&bench.path("out")));
    assert!(saved.collections.len() < all.collections.len(), "nothing was left out");
    assert!(!saved.collections.is_empty(), "everything was left out");
    for (name, collection) in &saved.collections {
        assert!(collection.by_key() == all.collections[name].by_key(), "{name}");
    }
    let restored = entries(&bench.path("out"));
    assert_eq!(restored.folders.len(), 3 + saved.collections.len());
}

/// Changes a byte in the middle of each pack with documents.
fn flip(folder: &Path) {
    let mut changed = 0;
    for (name, seen) in crate::support::tree::look(folder) {
        let path = folder.join(name);
        if seen.kind != "file" {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if bytes[7] == 3 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
            changed += 1;
        }
    }
    assert!(changed > 0);
}
