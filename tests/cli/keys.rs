//! Keys through the binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::binary::{Bench, stderr};
use crate::support::model::noise;

/// Runs with this passphrase instead of the bench's, and gives the exit code.
fn code(bench: &Bench, passphrase: &str, args: &[&str]) -> i32 {
    let output = bench.command(args).env("RESTOW_PASSPHRASE", passphrase).output().unwrap();
    output.status.code().unwrap_or_else(|| panic!("{}", stderr(&output)))
}

fn keys(bench: &Bench) -> Vec<serde_json::Value> {
    bench.json(&["key", "list"])["keys"].as_array().unwrap().clone()
}

#[test]
fn added_listed_used_and_removed() {
    let bench = Bench::with_repository();
    fs::write(bench.path("word"), "the second\nignored\n").unwrap();
    fs::write(bench.path("file"), noise(64, 5)).unwrap();
    bench.ok(&["key", "add", "--new-passphrase-file", "word", "--label", "laptop"]);
    bench.ok(&["key", "add", "--new-passphrase-command", "echo the third"]);
    let file = bench.json(&["key", "add", "--new-key-file", "file", "--label", "safe"]);
    let mut variable = bench.command(&["key", "add"]);
    let added = variable.env("RESTOW_NEW_PASSPHRASE", "the fourth").output().unwrap();
    assert!(added.status.success(), "{}", stderr(&added));
    for word in ["the second", "the third", "the fourth"] {
        assert_eq!(code(&bench, word, &["list"]), 0, "{word}");
    }
    bench.ok(&["list", "--key-file", "file"]);
    let keys = keys(&bench);
    assert_eq!(keys.len(), 5);
    assert_eq!(keys.iter().filter(|key| key["in_use"] == true).count(), 1);
    let of_file = keys.iter().find(|key| key["id"] == file["id"]).unwrap();
    assert_eq!(
        (of_file["kind"].as_str(), of_file["label"].as_str()),
        (Some("key file"), Some("safe"))
    );
    let said = bench.ok(&["key", "list"]);
    assert!(said.contains("laptop") && said.contains("* "), "{said}");

    let laptop = keys.iter().find(|key| key["label"] == "laptop").unwrap()["id"].as_str().unwrap();
    assert!(bench.fails(2, &["key", "remove", &laptop[..8]]).contains("--yes"));
    bench.ok(&["key", "remove", &laptop[..8], "--yes"]);
    assert_eq!(code(&bench, "the second", &["list"]), 6);
    bench.fails(5, &["key", "remove", laptop, "-y"]);
    let own = keys.iter().find(|key| key["in_use"] == true).unwrap()["id"].as_str().unwrap();
    let error = bench.fails(2, &["key", "remove", own, "--yes"]);
    assert!(error.contains("opened the repository"), "{error}");
    bench.ok(&["list"]);
}

#[test]
fn a_changed_passphrase_keeps_its_label_unless_another_is_said() {
    let bench = Bench::new();
    bench.ok(&["init", "--label", "first"]);
    bench.ok(&["key", "passwd", "--new-passphrase-command", "echo changed"]);
    assert_eq!(code(&bench, "a passphrase", &["list"]), 6);
    assert_eq!(code(&bench, "changed", &["list"]), 0);
    fs::write(bench.path("back"), "a passphrase").unwrap();
    assert_eq!(code(&bench, "changed", &["key", "passwd", "--new-passphrase-file", "back"]), 0);
    assert_eq!(keys(&bench)[0]["label"], "first");
    fs::write(bench.path("file"), noise(32, 1)).unwrap();
    bench.ok(&["key", "passwd", "--new-key-file", "file", "--label", "of a file"]);
    bench.fails(6, &["list"]);
    let listed = bench.ok(&["key", "list", "--key-file", "file"]);
    assert!(listed.contains("of a file") && listed.lines().count() == 1, "{listed}");
}

#[test]
fn new_secrets_that_are_none() {
    let bench = Bench::with_repository();
    fs::write(bench.path("empty"), "\nnot this\n").unwrap();
    fs::write(bench.path("short"), noise(31, 1)).unwrap();
    assert!(bench.fails(2, &["key", "add"]).contains("RESTOW_"));
    bench.fails(2, &["key", "add", "--new-passphrase-file", "empty"]);
    bench.fails(2, &["key", "add", "--new-key-file", "short"]);
    bench.fails(1, &["key", "add", "--new-passphrase-command", "false"]);
    bench.fails(1, &["key", "add", "--new-passphrase-file", "missing"]);
    bench.fails(2, &["key", "add", "--new-key-file", "x", "--new-passphrase-file", "y"]);
    bench.fails(2, &["key"]);
    assert_eq!(keys(&bench).len(), 1);
}

#[test]
fn a_damaged_key_is_listed_and_can_be_removed() {
    let bench = Bench::with_repository();
    let id = bench.json(&["key", "add", "--new-passphrase-command", "echo x"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = bench.path("repository/keys").join(&id);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, bytes).unwrap();
    let error = bench.fails(4, &["key", "list"]);
    assert!(error.contains(&id), "{error}");
    bench.ok(&["key", "remove", &id, "--yes"]);
    bench.ok(&["key", "list"]);
}
