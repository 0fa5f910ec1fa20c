//! Back to a state of a database and of the files beside it, as somebody does whose experiment went wrong.

use crate::support::arango::{Arango, document, shop};
use crate::support::binary::Bench;

#[test]
fn a_database_and_the_files_beside_it() {
    let (bench, server) = (Bench::with_repository(), Arango::with_shop());
    std::fs::create_dir(bench.path("experiments")).unwrap();
    std::fs::write(bench.path("experiments/run1"), "good").unwrap();
    let url = format!("arangodb://{}/shop", server.host());
    bench.ok(&["backup", &url, "./experiments", "-m", "before the experiment"]);

    let changed = document("people", "somebody", 99);
    server.lock().add("shop", "people", &changed);
    std::fs::write(bench.path("experiments/run1"), "bad").unwrap();
    std::fs::write(bench.path("experiments/run2"), "new").unwrap();
    bench.ok(&["backup", &url, "./experiments", "--no-bulk", "-m", "after it"]);
    assert_eq!(bench.json(&["show", "latest"])["manifest"]["sources"].as_array().unwrap().len(), 1);

    // Shown, and refused where nobody can be asked.
    let refused = bench.fails(7, &["restore", "latest", "--name", "before the experiment"]);
    assert!(refused.contains("shop/people: collection with 8 documents"), "{refused}");
    assert!(refused.contains("run1"), "{refused}");
    assert_eq!(server.lock().collection("shop", "people").documents.len(), 8);

    bench.ok(&["restore", "latest", "--name", "before the experiment", "--yes"]);
    let people = server.lock().collection("shop", "people").values();
    assert_eq!(people, shop().collections["people"].values());
    assert_eq!(std::fs::read(bench.path("experiments/run1")).unwrap(), b"good");
    // What the snapshot does not know stays.
    assert_eq!(std::fs::read(bench.path("experiments/run2")).unwrap(), b"new");
    assert_eq!(server.held(), 0);

    // And forward again, the database alone.
    bench.ok(&["restore", "latest", "--name", "after it", "--yes"]);
    assert_eq!(server.lock().collection("shop", "people").documents.len(), 8);
}

/// A service that starts beside an empty server, and the next time beside one that has everything.
#[test]
fn only_what_is_missing() {
    let (bench, source) = (Bench::with_repository(), Arango::with_shop());
    bench.ok(&["backup", &format!("arangodb://{}/shop", source.host())]);
    let server = Arango::start();
    let to = format!("arangodb://{}", server.host());
    let start = || {
        let create = "--create-database";
        bench.ok(&["restore", "latest", "--to", &to, "--if-missing", create, "--wait-ready", "60"])
    };
    start();
    let people = || server.lock().collection("shop", "people").values();
    assert_eq!(people(), shop().collections["people"].values());
    let mine = document("people", "mine", 1);
    server.lock().add("shop", "people", &mine);
    let second = start();
    assert!(second.contains("skipped") && second.contains("people"), "{second}");
    assert_eq!(server.lock().collection("shop", "people").documents.len(), 8);
    let refused = bench.fails(2, &["restore", "latest", "--to", &to, "--aliases"]);
    assert!(refused.contains("--aliases means nothing to a restore of arangodb"), "{refused}");
}
