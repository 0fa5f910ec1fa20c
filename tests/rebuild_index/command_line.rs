//! `restow rebuild-index`, and who names it.

use std::fs;
use std::path::PathBuf;

use crate::support::binary::{Bench, stderr};
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
        assert!(said.contains("`restow rebuild-index` makes the index anew"), "{said}");
    }
    let before = look(&bench.repository());
    let text = bench.ok(&["rebuild-index", "--dry-run"]);
    assert!(text.contains("would be removed") && text.contains("would be listed anew"), "{text}");
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
    assert!(said.contains("`restow rebuild-index` makes the index anew"), "{said}");
    let packs = files(&bench, "packs");
    flip(&packs[0], 20);
    let output = bench.run(&["rebuild-index", "--progress", "lines"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    let name = packs[0].file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name) && text.contains("SOMETHING COULD NOT BE READ"), "{text}");
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
