//! Backed up and restored by the binary, with the variables that it reads.

use std::process::Output;

use crate::support::arango::{Arango, Collection, document, shop};
use crate::support::binary::{Bench, stderr};

/// Runs restow with `ARANGO_URL` and the password that the server wants.
fn run(bench: &Bench, server: &Arango, password: &str, args: &[&str]) -> Output {
    let mut command = bench.command(args);
    command.env("ARANGO_URL", format!("http://{}", server.host()));
    command.env("ARANGO_USER", "anna").env("ARANGO_PASSWORD", password).output().unwrap()
}

fn locked(server: Arango) -> Arango {
    server.lock().login = Some(("anna".into(), "s3cret".into()));
    server
}

#[test]
fn backed_up_and_restored_by_url_and_by_variables() {
    let (bench, server) = (Bench::with_repository(), locked(Arango::with_shop()));
    let url = format!("arangodb://anna@{}/shop", server.host());
    let say = |args: &[&str]| {
        let output = run(&bench, &server, "s3cret", args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("s3cret"));
        String::from_utf8(output.stdout).unwrap()
    };
    say(&["backup", &url]);
    let again: serde_json::Value =
        serde_json::from_str(&say(&["backup", "arangodb:shop", "--json"])).unwrap();
    let source = &again["manifest"]["sources"][0];
    assert_eq!(source["url"], format!("arangodb://{}/shop", server.host()));
    assert!(source["parent"].is_string(), "{again}");
    say(&["backup", "arangodb:shop", "--collection", "people", "--include-system"]);
    let shown = say(&["show", "latest", "--entries"]);
    assert!(shown.contains("shop/collections/people/documents.jsonl"), "{shown}");
    assert!(!shown.contains("items"), "{shown}");

    // Into another database, another name; and as files for those who have no server at hand.
    let id = again["id"].as_str().unwrap();
    let copy = format!("arangodb://{}/copy", server.host());
    let refused = run(&bench, &server, "s3cret", &["restore", id, "--to", &copy]);
    assert_eq!(refused.status.code(), Some(8), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--create-database"), "{}", stderr(&refused));
    let twice = ["--collection", "people:a", "--collection", "people:b"];
    let twice = [["restore", id, "--to", copy.as_str()].as_slice(), &twice].concat();
    for (args, words) in [
        (twice, "--collection people:b: that name was given before"),
        (vec!["restore", id, "--to", "arangodb:a,b"], "one new name there, or none"),
    ] {
        let refused = run(&bench, &server, "s3cret", &args);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(words), "{}", stderr(&refused));
    }
    say(&["restore", id, "--to", &copy, "--create-database"]);
    let values = |database: &str, name: &str| server.lock().collection(database, name).values();
    assert_eq!(values("copy", "items"), shop().collections["items"].values());
    say(&["restore", id, "--to", "arangodb:copy", "--collection", "people:persons"]);
    assert_eq!(server.lock().collection("copy", "persons").documents.len(), 7);
    say(&["restore", id, "--to", "out"]);
    let file = bench.path("out/shop/collections/people/documents.jsonl");
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 7);

    // To where it came from: what is there is asked about, and kept when that is said.
    let mine = document("people", "mine", 1);
    server.lock().add("shop", "people", &mine);
    let refused = run(&bench, &server, "s3cret", &["restore", id, "--collection", "people"]);
    assert_eq!(refused.status.code(), Some(7), "{}", stderr(&refused));
    let said = stderr(&refused);
    assert!(said.contains("shop/people: collection with 8 documents"), "{said}");
    assert_eq!(server.lock().collection("shop", "people").documents.len(), 8);
    let said = say(&["restore", id, "--collection", "people", "--backup-existing", "--yes"]);
    assert!(said.contains("is kept as people_backup_"), "{said}");
    assert_eq!(values("shop", "people"), shop().collections["people"].values());
    assert_eq!(server.held(), 0);
}

#[test]
fn what_cannot_be_done_and_its_exit_codes() {
    let (bench, server) = (Bench::with_repository(), locked(Arango::with_shop()));
    let refused = run(&bench, &server, "wr0ng", &["backup", "arangodb:shop"]);
    assert_eq!(refused.status.code(), Some(8));
    let said = stderr(&refused);
    assert!(
        said.contains("password in ARANGO_PASSWORD is wrong") && !said.contains("wr0ng"),
        "{said}"
    );
    let refused = run(&bench, &server, "s3cret", &["backup", "arangodb:nope"]);
    assert_eq!(refused.status.code(), Some(8));
    assert!(stderr(&refused).contains("there is _system, shop"), "{}", stderr(&refused));
    assert!(bench.fails(2, &["backup", "arangodb:shop"]).contains("ARANGO_URL"));
    let secret = bench.fails(2, &["backup", "arangodb://root:s3cret@h/shop"]);
    assert!(secret.contains("set ARANGO_PASSWORD") && !secret.contains("s3cret"), "{secret}");
    let missing = bench.fails(8, &["backup", "arangodb+unix:///nowhere/a.sock?database=shop"]);
    assert!(missing.contains("unix:///nowhere/a.sock: there is no such socket"), "{missing}");
    std::fs::write(bench.path("file"), "x").unwrap();
    bench.ok(&["backup", "file"]);
    let nothing = bench.fails(2, &["restore", "latest", "--to", "arangodb://127.0.0.1:1/x"]);
    assert!(nothing.contains("arangodb"), "{nothing}");
    assert!(
        bench
            .fails(2, &["restore", "latest", "--to", "x", "--backup-existing"])
            .contains("--to arangodb://")
    );
}

#[test]
fn users_and_what_a_server_keeps_for_itself() {
    let (bench, source, target) = (Bench::with_repository(), Arango::start(), Arango::start());
    for (server, count) in [(&source, 3), (&target, 1)] {
        for name in ["_users", "_jobs"] {
            let made = Collection::small(name, 2, count);
            let system = &mut server.lock().databases;
            system.get_mut("_system").unwrap().collections.insert(name.into(), made);
        }
    }
    let url = |server: &Arango| format!("arangodb://{}/_system", server.host());
    bench.ok(&["backup", &url(&source), "--include-system", "--include-users"]);
    let counts =
        || ["_users", "_jobs"].map(|it| target.lock().collection("_system", it).documents.len());
    bench.ok(&["restore", "latest", "--to", &url(&target)]);
    assert_eq!(counts(), [1, 1]);
    bench.ok(&["restore", "latest", "--to", &url(&target), "--include-system", "--yes"]);
    assert_eq!(counts(), [1, 3]);
    bench.ok(&["restore", "latest", "--to", &url(&target), "--include-users", "--yes"]);
    assert_eq!(counts(), [3, 3]);
}

#[test]
fn a_session_and_a_ready_token() {
    let (bench, server) = (Bench::with_repository(), locked(Arango::with_shop()));
    let url = format!("arangodb://{}/shop", server.host());
    let mut command = bench.command(&["backup", &url]);
    command.env("ARANGO_USER", "anna").env("ARANGO_PASSWORD", "s3cret").env("ARANGO_AUTH", "jwt");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert_eq!(server.count("POST /_open/auth"), 1);
    let mut command = bench.command(&["backup", &url]);
    let output = command.env("ARANGO_JWT", "t0ken").output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    let said = stderr(&output);
    assert!(said.contains("the token in ARANGO_JWT is wrong") && !said.contains("t0ken"), "{said}");
}

/// Over a socket with a cluster behind it: what is no single moment is said.
#[test]
fn a_cluster_is_warned_of() {
    let (bench, folder) = (Bench::with_repository(), tempfile::tempdir().unwrap());
    let socket = folder.path().join("a.sock");
    let server = Arango::with_shop().clustered().on_socket(&socket);
    let url = format!("arangodb+unix://{}?database=shop", socket.display());
    let output = bench.run(&["backup", &url]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("read one after the other"), "{}", stderr(&output));
    assert_eq!(server.held(), 0);
    bench.ok(&["restore", "latest", "--to", "out"]);
    let file = bench.path("out/shop/collections/items/documents.jsonl");
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 50);
}
