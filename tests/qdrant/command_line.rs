//! Backed up and restored by the binary, with the variables that Qdrant's own tools read.

use std::process::Output;

use super::shards::partial_shard;
use crate::support::binary::{Bench, stderr};
use crate::support::qdrant::{Qdrant, night};
use crate::support::tls;

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
    let said = say(&["backup", &url]);
    assert!(said.contains(" notes_") && said.contains("2.7 MiB in 3 entries"), "{said}");
    let again: serde_json::Value =
        serde_json::from_str(&say(&["backup", "qdrant:", "--json"])).unwrap();
    assert_eq!(again["manifest"]["sources"][0]["url"], url.as_str());
    assert!(again["manifest"]["sources"][0]["parent"].is_string(), "{again}");
    assert_eq!(again["manifest"]["statistics"]["plain_stored_bytes"], 0, "{again}");
    say(&["backup", "qdrant:users"]);
    say(&["restore", "latest", "--source", "glob:*notes*", "--to", "out"]);
    assert_eq!(std::fs::read(bench.path("out/notes.snapshot")).unwrap(), night(0));

    let target = Qdrant::start();
    let to = format!("qdrant://{}", &target.url()[7..]);
    say(&["restore", "latest", "--source", "glob:*notes*", "--to", &to, "--aliases"]);
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
        "glob:*notes*",
        "--to",
        &named,
        "--priority",
        "replica",
    ]);
    assert_eq!(target.lock().restored[1].0, "other");
    assert_eq!(target.lock().restored[1].2, "replica");

    // It is there now.
    let skipped =
        say(&["restore", "latest", "--source", "glob:*notes*", "--to", &to, "--if-missing"]);
    assert!(skipped.contains("skipped: collection notes with 4000 points is there"), "{skipped}");
    let refused =
        run(&bench, &server, "", &["restore", "latest", "--source", "glob:*notes*", "--to", &to]);
    assert_eq!(refused.status.code(), Some(7), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("notes: collection with 4000 points"));
    say(&["restore", "latest", "--source", "glob:*notes*", "--to", &to, "--overwrite"]);
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
    assert!(bench.fails(2, &["restore", "latest", "--to", &to]).contains("qdrant"));
    let error = bench.fails(2, &["restore", "latest", "--to", "x", "--if-missing"]);
    assert!(error.contains("--to qdrant://"), "{error}");
    let error = bench.fails(2, &["restore", "latest", "--to", "mysql://h/x"]);
    assert!(error.contains("mysql:// is no kind of target"), "{error}");
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

/// A certificate is believed if its authority is, and no other.
#[test]
fn over_tls_with_an_authority_of_ones_own() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    let port = tls::before(server.url()[7..].to_owned());
    let backup = |host: &str, authority: &std::path::Path| {
        let url = format!("qdrant+https://{host}:{port}/notes");
        let mut command = bench.command(&["backup", &url, "--retries", "0"]);
        command.env("SSL_CERT_FILE", authority).env_remove("SSL_CERT_DIR").output().unwrap()
    };
    let good = backup("127.0.0.1", &tls::authority());
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert_eq!(server.left(), [""; 0]);
    // Trusted, but for another name; and not trusted.
    for (host, authority) in [
        ("127.0.0.2", tls::authority()),
        ("127.0.0.1", std::path::PathBuf::from("/etc/ssl/certs/ca-certificates.crt")),
    ] {
        let bad = backup(host, &authority);
        assert_eq!(bad.status.code(), Some(8), "{host}: {}", stderr(&bad));
        assert!(stderr(&bad).contains("certificate"), "{}", stderr(&bad));
    }
}

/// One snapshot of a collection and the files beside it, changed, and rolled back to where both came from.
#[test]
fn rolled_back_with_the_files_beside_it() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    std::fs::create_dir(bench.path("experiments")).unwrap();
    std::fs::write(bench.path("experiments/run1"), "good").unwrap();
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    bench.ok(&["backup", &url, "./experiments", "-m", "before the change"]);

    server.lock().collections.get_mut("notes").unwrap().bytes = night(1).into();
    std::fs::write(bench.path("experiments/run1"), "bad").unwrap();
    bench.ok(&["backup", &url, "./experiments", "--no-bulk", "-m", "without files"]);
    assert_eq!(bench.json(&["show", "latest"])["manifest"]["sources"].as_array().unwrap().len(), 1);

    // Shown and refused where nobody can be asked, for both.
    let before = ["restore", "latest", "--name", "before the change"];
    let refused = bench.fails(7, &before);
    assert!(refused.contains("notes: collection with 4000 points"), "{refused}");
    assert!(refused.contains("run1"), "{refused}");
    assert!(server.lock().restored.is_empty());
    let planned = bench.json(&["restore", "latest", "--name", "before the change", "--dry-run"]);
    assert_eq!(planned["plans"][1]["replaced"], 1, "{planned}");
    bench.ok(&["restore", "latest", "--name", "before the change", "--no-bulk", "--yes"]);
    assert_eq!(std::fs::read(bench.path("experiments/run1")).unwrap(), b"bad");
    bench.ok(&["restore", "latest", "--name", "before the change", "--yes"]);
    assert_eq!(std::fs::read(bench.path("experiments/run1")).unwrap(), b"good");
    assert_eq!(server.lock().collections["notes"].bytes[..], night(0)[..]);

    // Elsewhere the files do not go to a server, which is said.
    let other = Qdrant::start();
    let to = format!("qdrant://{}", &other.url()[7..]);
    let said = bench.ok(&["restore", "latest", "--name", "before the change", "--to", &to]);
    assert!(said.contains("not restored here: ") && said.contains("experiments"), "{said}");
    let new = "notes:renamed";
    bench.ok(&["restore", "latest", "--name", "before", "--to", &to, "--collection", new]);
    assert!(other.lock().collections.contains_key("renamed"));
    assert!(bench.fails(2, &["backup", "./experiments", "--no-bulk"]).contains("nothing"));
}

/// As a container does that starts beside its server.
#[test]
fn restored_at_start_up() {
    let (bench, source) = (Bench::with_repository(), Qdrant::with_notes());
    let url = format!("qdrant://{}/notes", &source.url()[7..]);
    std::fs::write(bench.path("empty.env"), "").unwrap();
    bench.ok(&[
        "backup",
        &url,
        "--wait-ready",
        "60",
        "--env-file",
        "empty.env",
        "--retries",
        "2",
        "--connect-timeout",
        "5",
        "--read-timeout",
        "30",
        "--snapshot-timeout",
        "600",
        "--limit-upload",
        "1G",
    ]);
    let server = Qdrant::start();
    server.lock().key = Some("s3cret".into());
    server.instead("GET /readyz", 3, 503, "", "starting");
    let lines =
        format!("# for the container\nQDRANT_URL={}\nQDRANT_API_KEY='s3cret'\n", server.url());
    std::fs::write(bench.path(".env"), lines).unwrap();
    let start = || {
        bench.ok(&[
            "restore",
            "latest",
            "--source",
            "glob:*notes*",
            "--to",
            "qdrant:",
            "--if-missing",
            "--wait-ready",
            "60",
            "--env-file",
            ".env",
            "--retries",
            "2",
            "--connect-timeout",
            "5",
            "--read-timeout",
            "30",
            "--snapshot-timeout",
            "600",
        ])
    };
    let first = start();
    assert!(first.contains("notes: 4000 points, as when it was backed up"), "{first}");
    let second = start();
    assert!(second.contains("skipped: collection notes with 4000 points is there"), "{second}");
    assert_eq!(server.lock().restored.len(), 1);
    assert_eq!(server.lock().restored[0].1[..], night(0)[..]);

    std::fs::write(bench.path("bad.env"), "QDRANT_API_KEY s3cret\n").unwrap();
    let error = bench.fails(2, &["backup", "qdrant:notes", "--env-file", "bad.env"]);
    assert!(error.contains("NAME=VALUE") && !error.contains("s3cret"), "{error}");
}

#[test]
fn no_faster_than_was_said() {
    let (bench, server) = (Bench::with_repository(), Qdrant::start());
    server.add("large", crate::support::model::noise(1 << 20, 3));
    let url = format!("qdrant://{}", &server.url()[7..]);
    let second = std::time::Duration::from_secs(1);
    let started = std::time::Instant::now();
    bench.ok(&["backup", &url, "--collection", "large", "--limit-download", "900k"]);
    assert!(started.elapsed() >= second);
    let (target, started) = (Qdrant::start(), std::time::Instant::now());
    let to = format!("qdrant://{}", &target.url()[7..]);
    bench.ok(&[
        "restore",
        "latest",
        "--to",
        &to,
        "--limit-upload",
        "900k",
        "--limit-download",
        "1G",
    ]);
    assert!(started.elapsed() >= second);
    assert!(bench.fails(2, &["backup", &url, "--limit-download", "fast"]).contains("20M"));
}

/// A file that a server made lies about, and becomes a night between two others.
#[test]
fn a_file_of_a_server_imported() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    bench.ok(&["backup", &url]);
    let file = "notes-4261355958411988-2026-11-20-20-00-12.snapshot";
    std::fs::write(bench.path(file), night(1)).unwrap();
    let imported = bench.json(&["import", file, "--as", &url]);
    assert_eq!(imported["manifest"]["sources"][0]["url"], url.as_str());
    assert_eq!(imported["manifest"]["statistics"]["plain_stored_bytes"], 0, "{imported}");
    let target = Qdrant::start();
    let to = format!("qdrant://{}", &target.url()[7..]);
    bench.ok(&["restore", "latest", "--to", &to]);
    assert!(target.lock().collections["notes"].bytes[..] == night(1)[..]);
    std::fs::write(bench.path("no.snapshot"), "no").unwrap();
    let refused = bench.fails(1, &["import", "no.snapshot"]);
    assert!(refused.contains("is no snapshot of a collection"), "{refused}");
}

/// What comes back whole is told from what does not, and what to do instead.
#[test]
fn partial_snapshots_and_those_of_a_whole_storage_are_not_imported() {
    let bench = Bench::with_repository();
    let partial = "notes-shard-0-2026-11-20-20-00-10.snapshot";
    std::fs::write(bench.path(partial), partial_shard(1)).unwrap();
    let refused = bench.fails(1, &["import", partial]);
    assert!(refused.contains("only what changed since another"), "{refused}");
    assert!(refused.contains("POST /collections/NAME/snapshots"), "{refused}");
    // As a server makes it: its collections' snapshots, and last what they are of.
    let mut builder = tar::Builder::new(Vec::new());
    let config = br#"{"collections_mapping":{"notes":"notes.snapshot"},"collections_aliases":{}}"#;
    for (path, bytes) in [("notes.snapshot", night(0)), ("config.json", config.to_vec())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    let full = "full-snapshot-2026-11-20-20-00-10.snapshot";
    std::fs::write(bench.path(full), builder.into_inner().unwrap()).unwrap();
    let refused = bench.fails(1, &["import", full]);
    assert!(refused.contains("a server's whole storage: unpack it"), "{refused}");
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);
    // That done, each goes in.
    let mut tar = std::process::Command::new("tar");
    let status = tar.args(["-xf", full, "notes.snapshot"]).current_dir(bench.path("")).status();
    assert!(status.unwrap().success());
    bench.ok(&["import", "notes.snapshot"]);
}

/// One thing goes to one place, and one place gets one thing.
#[test]
fn names_that_are_given_twice() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    let url = format!("qdrant://{}", &server.url()[7..]);
    bench.ok(&["backup", &format!("{url}/notes")]);
    for pairs in [["notes:a", "notes:b"], ["notes:a", "users:a"]] {
        let (one, other) = (pairs[0], pairs[1]);
        let said = bench.fails(
            2,
            &["restore", "latest", "--to", &url, "--collection", one, "--collection", other],
        );
        assert!(said.contains(&format!("--collection {other}: that name was given")), "{said}");
    }
    let said = bench.fails(2, &["restore", "latest", "--to", &format!("{url}/a,b")]);
    assert!(said.contains("one new name there, or say --collection A:B"), "{said}");
}
