//! `restow rebuild-index`, and who names it.

use std::fs;
use std::path::PathBuf;

use restow::storage::{Local, Storage};

use super::condemned::{lists_condemned, needed_again};
use crate::support::binary::{Bench, stderr};
use crate::support::copy_into;
use crate::support::model::noise;
use crate::support::tree::look;

fn two_nights() -> Bench {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/a"), noise(1 << 20, 1)).unwrap();
    bench.back_up(&["site"]);
    fs::write(bench.path("site/b"), noise(2 << 20, 2)).unwrap();
    bench.back_up(&["site"]);
    bench
}

fn files(bench: &Bench, folder: &str) -> Vec<PathBuf> {
    let folder = bench.repository().join(folder);
    look(&folder)
        .into_iter()
        .filter(|(_, seen)| seen.kind == "file")
        .map(|(name, _)| folder.join(name))
        .collect()
}

fn flip(path: &PathBuf, from_end: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - from_end;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_mended_and_the_way_is_named() {
    let bench = two_nights();
    flip(&files(&bench, "index")[0], 50);
    let said = bench.fails(4, &["prune"]);
    assert!(said.contains("restow rebuild-index"), "{said}");
    for check in [&["check"][..], &["check", "--names"]] {
        let output = bench.run(check);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains("`restow rebuild-index` rebuilds the index"), "{said}");
    }
    let before = look(&bench.repository());
    let text = bench.ok(&["rebuild-index", "--dry-run"]);
    assert!(text.contains("would be removed") && text.contains("would be listed again"), "{text}");
    assert!(look(&bench.repository()) == before);

    let done = bench.json(&["rebuild-index"]);
    assert_eq!((&done["whole"], &done["objects_removed"]), (&true.into(), &1.into()), "{done}");
    assert_eq!(done["listed"]["count"], 2, "{done}");
    assert!(done["mended"][0]["path"].as_str().unwrap().starts_with("index/"), "{done}");
    assert!(bench.run(&["check", "--read-data"]).status.success());
    bench.ok(&["prune"]);
    bench.ok(&["restore", "latest", "--to", "back"]);
    assert_eq!(fs::read(bench.path("back/b")).unwrap(), noise(2 << 20, 2));

    let text = bench.ok(&["rebuild-index", "--all"]);
    assert!(text.contains("index objects put: 1, removed: 2"), "{text}");
    assert_eq!(files(&bench, "index").len(), 1);
    assert!(bench.run(&["check", "--read-data"]).status.success());
    let text = bench.ok(&["rebuild-index", "--quiet"]);
    assert_eq!(text, "");
}

#[test]
fn what_cannot_be_read_is_named_with_what_it_means() {
    let bench = two_nights();
    for object in files(&bench, "index") {
        fs::remove_file(object).unwrap();
    }
    let output = bench.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("`restow rebuild-index` rebuilds the index"), "{said}");
    let packs = files(&bench, "packs");
    flip(&packs[0], 20);
    let output = bench.run(&["rebuild-index", "--progress", "lines"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    let name = packs[0].file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name) && text.contains("NOT EVERYTHING WAS READABLE"), "{text}");
    assert!(stderr(&output).contains(name), "told as it is found: {}", stderr(&output));
    let output = bench.run(&["rebuild-index", "--json"]);
    assert_eq!(output.status.code(), Some(4));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(said["problems"][0]["path"].as_str().unwrap().ends_with(name), "{said}");
    assert!(packs[0].exists());
    // As it says: the same backed up again, and everything is there.
    bench.run(&["check"]);
    bench.ok(&["backup", "site", "--force"]);
    assert!(bench.run(&["restore", "latest", "--to", "back"]).status.success());
    bench.fails(5, &["rebuild-index", "--repository", "nowhere"]);
}

/// Found in review: what listed condemned packs was lost, and nobody named the one command that helps.
#[test]
fn where_condemned_packs_are_listed_nowhere_the_way_is_named() {
    for is_lost in [true, false] {
        let (storage, _, files) = needed_again();
        let lists_them = lists_condemned(&storage);
        match is_lost {
            true => storage.delete(&lists_them).unwrap(),
            false => super::flip(&storage, &lists_them, 0.5),
        }
        let bench = Bench::new();
        copy_into(&storage, &Local::create(bench.repository()).unwrap());
        let said = |args: &[&str]| {
            let mut command = bench.command(args);
            let output = command.env("RESTOW_PASSPHRASE", "correct horse battery staple").output();
            let output = output.unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.code(), text, stderr(&output))
        };
        let (code, text, _) = said(&["check"]);
        let all = if is_lost { " --all" } else { "" };
        let way = format!("`restow rebuild-index{all}` rebuilds the index");
        assert!(code == Some(4) && text.contains(&way), "{text}");
        assert!(text.contains("of them are condemned"), "{text}");
        let (_, text, _) = said(&["check", "--json"]);
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(found["unindexed_condemned"].as_u64().unwrap() > 0, "{text}");
        let (code, _, text) = said(&["prune"]);
        assert!(code == Some(4) && text.contains("rebuild-index"), "{text}");

        let (code, text, _) = said(&["rebuild-index"]);
        let names_it = text.lines().last().unwrap().ends_with("run `restow rebuild-index --all`");
        assert_eq!((code, names_it), (Some(0), is_lost), "{text}");
        if is_lost {
            assert_eq!(said(&["check"]).0, Some(4), "it had no reason to list them");
            let (code, text, _) = said(&["rebuild-index", "--all"]);
            assert!(code == Some(0) && !text.contains("run `restow"), "{text}");
        }
        assert_eq!(said(&["check", "--read-data"]).0, Some(0));
        assert_eq!(said(&["prune"]).0, Some(0));
        for (name, bytes) in &files {
            let mut command = bench.command(&["cat", "latest", &name.display()]);
            command.env("RESTOW_PASSPHRASE", "correct horse battery staple");
            assert!(command.output().unwrap().stdout == *bytes);
        }
    }
}
