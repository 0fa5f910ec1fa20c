//! Backed up and restored by the binary, with the variables that Qdrant's own tools read.

use std::process::Output;

use crate::support::binary::{Bench, stderr};
use crate::support::qdrant::{Qdrant, night};

/// Runs restow with `QDRANT_URL` and the key that the server wants.
fn run(bench: &Bench, server: &Qdrant, key: &str, args: &[&str]) -> Output {
    let mut command = bench.command(args);
    command.env("QDRANT_URL", server.url()).env("QDRANT_COLLECTION_NAME", "notes");
    command.env("QDRANT_API_KEY", key).output().unwrap()
}

#[test]
fn backed_up_and_restored_by_url_and_by_variables() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    server.add("users", vec![3; 10_000]);
    server.lock().key = Some("s3cret".into());
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    let say = |args: &[&str]| {
        let output = run(&bench, &server, "s3cret", args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("s3cret"));
        String::from_utf8(output.stdout).unwrap()
    };
    say(&["backup", &url]);
    let again: serde_json::Value =
        serde_json::from_str(&say(&["backup", "qdrant:", "--json"])).unwrap();
    assert_eq!(again["manifest"]["sources"][0]["url"], url.as_str());
    assert!(again["manifest"]["sources"][0]["parent"].is_string(), "{again}");
    assert_eq!(again["manifest"]["statistics"]["plain_stored_bytes"], 0, "{again}");
    say(&["backup", "qdrant:users"]);
    say(&["restore", "latest", "--source", "notes", "--to", "out"]);
    assert_eq!(std::fs::read(bench.path("out/notes.snapshot")).unwrap(), night(0));

    let target = Qdrant::start();
    let to = format!("qdrant://{}", &target.url()[7..]);
    say(&["restore", "latest", "--source", "notes", "--to", &to, "--aliases"]);
    assert_eq!(target.lock().collections["notes"].bytes[..], night(0)[..]);
    assert_eq!(target.lock().aliases["notes_live"], "notes");
    let named = format!("{to}/other");
    let notes = "notes.*";
    say(&[
        "restore",
        "latest",
        "--only",
        notes,
        "--source",
        "notes",
        "--to",
        &named,
        "--priority",
        "replica",
    ]);
    assert_eq!(target.lock().restored[1].0, "other");
    assert_eq!(target.lock().restored[1].2, "replica");

    // It is there now.
    let skipped = say(&["restore", "latest", "--source", "notes", "--to", &to, "--if-missing"]);
    assert!(skipped.contains("skipped: the collection is there"), "{skipped}");
    let refused =
        run(&bench, &server, "", &["restore", "latest", "--source", "notes", "--to", &to]);
    assert_eq!(refused.status.code(), Some(7), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("collection notes with 4000 points"));
    say(&["restore", "latest", "--source", "notes", "--to", &to, "--overwrite"]);
    assert_eq!(target.lock().restored.len(), 3);
}

#[test]
fn what_cannot_be_done_and_its_exit_codes() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    server.lock().key = Some("right".into());
    let refused = run(&bench, &server, "wr0ng", &["backup", "qdrant:notes"]);
    assert_eq!(refused.status.code(), Some(8));
    let said = stderr(&refused);
    assert!(said.contains("QDRANT_API_KEY is wrong") && !said.contains("wr0ng"), "{said}");
    let refused = run(&bench, &server, "right", &["backup", "qdrant:nope"]);
    assert_eq!(refused.status.code(), Some(8));
    assert!(stderr(&refused).contains("there is notes"), "{}", stderr(&refused));
    assert!(bench.fails(2, &["backup", "qdrant:"]).contains("QDRANT_URL"));
    assert!(bench.fails(2, &["backup", "qdrant://u:k3y@h/x"]).contains("QDRANT_API_KEY"));
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);

    std::fs::create_dir(bench.path("site")).unwrap();
    bench.ok(&["backup", "site"]);
    let to = format!("qdrant://{}", &server.url()[7..]);
    assert!(bench.fails(2, &["restore", "latest", "--to", &to]).contains("Qdrant"));
    let error = bench.fails(2, &["restore", "latest", "--to", "x", "--if-missing"]);
    assert!(error.contains("--to qdrant://"), "{error}");
}

/// As in a container with nothing in it.
#[test]
fn a_machine_without_certificates() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    let backup = |url: &str| {
        let mut command = bench.command(&["backup", url]);
        command.env("SSL_CERT_FILE", "/none").env("SSL_CERT_DIR", "/none").output().unwrap()
    };
    let host = &server.url()[7..];
    let plain = backup(&format!("qdrant://{host}/notes"));
    assert_eq!(plain.status.code(), Some(0), "{}", stderr(&plain));
    let sealed = backup(&format!("qdrant+https://{host}/notes"));
    assert_eq!(sealed.status.code(), Some(8));
    assert!(stderr(&sealed).contains("certificates"), "{}", stderr(&sealed));
}
