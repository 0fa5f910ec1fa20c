//! Which snapshots are meant: by source, and by a time that a clock can have had.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restow::Secret;
use restow::format::{Manifest, ObjectKind, name};
use restow::id::SnapshotId;
use restow::repo::{Identity, OpenOptions, Repository};
use restow::storage::{Key, Local, Storage};

use crate::support::binary::{Bench, stderr};

/// Snapshots of `data` and `data-old`, the latter newer; their ids.
fn two() -> (Bench, String, String) {
    let bench = Bench::with_repository();
    for name in ["data", "data-old"] {
        fs::create_dir(bench.path(name)).unwrap();
        fs::write(bench.path(name).join("which"), name).unwrap();
    }
    let data = bench.back_up(&["data"]);
    let old = bench.back_up(&["data-old"]);
    (bench, data, old)
}

fn ids(bench: &Bench, args: &[&str]) -> Vec<String> {
    let said = bench.json(args);
    let listed = said["snapshots"].as_array().unwrap().iter();
    listed.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_source_is_not_another_whose_name_begins_alike() {
    let (bench, data, old) = two();
    let whole = bench.path("data").display().to_string();
    for said in ["data", "./data", "data/", &whole, &format!("{whole}/"), &format!("file:{whole}")]
    {
        assert_eq!(ids(&bench, &["list", "--source", said]), [&*data], "{said}");
        assert_eq!(bench.ok(&["cat", "latest", "which", "--source", said]), "data");
    }
    bench.ok(&["restore", "latest", "--source", "data", "--to", "out"]);
    assert_eq!(fs::read(bench.path("out/which")).unwrap(), b"data");
    // What is gone is still named by where it was.
    fs::remove_dir_all(bench.path("data")).unwrap();
    assert_eq!(ids(&bench, &["list", "--source", "data"]), [&*data]);
    bench.ok(&["cleanup", "--source", "data", "--older-than", "1s", "--yes"]);
    bench.ok(&["delete", "latest", "--source", "data", "--yes"]);
    assert_eq!(ids(&bench, &["list"]), [&*old]);
}

#[test]
fn a_source_that_nothing_has_is_told_and_never_means_all() {
    let (bench, ..) = two();
    for said in ["dat", "ata", "nowhere", "glob:dat", "glob:*none*"] {
        for args in [
            &["list", "--source", said][..],
            &["restore", "latest", "--to", "out", "--source", said],
            &["delete", "latest", "--yes", "--source", said],
            &["cleanup", "--keep-last", "1", "--yes", "--source", said],
            &["stats", "--source", said],
        ] {
            let error = bench.fails(5, args);
            assert!(error.contains("data-old"), "{args:?} names what there is: {error}");
        }
    }
    assert!(bench.fails(2, &["list", "--source", "glob:"]).contains("empty"));
    assert_eq!(ids(&bench, &["list"]).len(), 2);
}

#[test]
fn of_several_sources_that_match_none_is_taken() {
    let (bench, data, old) = two();
    assert_eq!(ids(&bench, &["list", "--source", "glob:*data*"]), [&*data, &*old]);
    for args in [
        &["restore", "latest", "--to", "out", "--source", "glob:*data*"][..],
        &["cat", "latest", "which", "--source", "glob:*data*"],
        &["delete", "latest", "--yes", "--source", "glob:*data*"],
    ] {
        let error = bench.fails(2, args);
        assert!(error.contains("/data,") && error.contains("/data-old"), "{args:?}: {error}");
    }
    assert_eq!(bench.ok(&["cat", "latest", "which", "--source", "glob:*/data"]), "data");
}

#[test]
fn a_configured_name_stands_for_what_it_names() {
    let (bench, data, old) = two();
    let text = format!(
        "[sources.data]\nsource = \"{}\"\n[sources.both]\nsource = [\"{}\", \"{}\"]\n",
        bench.path("data-old").display(),
        bench.path("data").display(),
        bench.path("data-old").display(),
    );
    fs::write(bench.path("c.toml"), text).unwrap();
    let of = |name: &str| ids(&bench, &["list", "--config", "c.toml", "--source", name]);
    assert_eq!(of("data"), [&*old]);
    assert_eq!(of("./data"), [&*data]);
    assert_eq!(of("both"), [&*data, &*old]);
}

fn repository(bench: &Bench) -> Repository {
    let storage: Arc<dyn Storage> = Arc::new(Local::open(bench.repository()).unwrap());
    let secret = Secret::Passphrase("a passphrase".into());
    Repository::open(storage, &secret, Identity::of_this_process(), OpenOptions::default()).unwrap()
}

/// A copy of a snapshot with a manifest of its own; its id.
fn copy(bench: &Bench, of: &str, change: impl FnOnce(&mut Manifest)) -> String {
    let repository = repository(bench);
    let mut manifest = repository.manifest(&of.parse::<SnapshotId>().unwrap()).unwrap();
    change(&mut manifest);
    let object = repository.vault().seal(ObjectKind::Manifest, &manifest).unwrap();
    let id = SnapshotId::new(object.name);
    let key = Key::new(name::snapshot(&id)).unwrap();
    repository.storage().put(&key, &object.bytes).unwrap();
    id.to_hex()
}

const YEAR: i64 = 365 * 86_400;

#[test]
fn a_snapshot_from_the_future_takes_nobodys_place() {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/a"), "a").unwrap();
    let first = bench.back_up(&["site"]);
    let future = copy(&bench, &first, |manifest| manifest.time.seconds += 3 * YEAR);
    assert_eq!(bench.json(&["show", "latest"])["id"], first.as_str());
    let second = bench.json(&["backup", "site"]);
    assert_eq!(second["manifest"]["sources"][0]["parent"], first.as_str());
    let second = second["id"].as_str().unwrap().to_owned();
    assert_eq!(bench.json(&["show", "latest"])["id"], second.as_str());
    let listed = bench.run(&["list"]);
    let line = |id: &str| {
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        text.lines().find(|line| line.starts_with(&id[..8])).unwrap().to_owned()
    };
    assert!(line(&future).contains("[FUTURE]") && !line(&first).contains("[FUTURE]"));
    assert!(stderr(&listed).contains("from the future"), "{}", stderr(&listed));
    // It fills no rule: what a rule keeps is what it would keep without it.
    for rule in [["--keep-last", "1"], ["--keep-yearly", "1"], ["--keep-within", "1d"]] {
        let said = bench.json(&[&["cleanup", "-n"], &rule[..]].concat());
        let is_kept = |id: &str| {
            let snapshots = said["snapshots"].as_array().unwrap();
            snapshots.iter().find(|one| one["id"] == id).unwrap()["kept"] == true
        };
        assert!(is_kept(&second) && is_kept(&future), "{rule:?}: {said}");
        assert_eq!(is_kept(&first), rule[0] == "--keep-within", "{rule:?}: {said}");
    }
    assert_eq!(bench.json(&["show", &future])["future"], true);
}

/// The machine that took it was ahead of the storage: that it is past now does not make its time right.
#[test]
fn a_snapshot_later_than_the_storages_own_time_is_from_the_future() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a"), "a").unwrap();
    let first = bench.back_up(&["a"]);
    let second = bench.back_up(&["a"]);
    let file = bench.repository().join("snapshots").join(&second);
    let file = fs::File::options().append(true).open(file).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(86_400)).unwrap();
    assert_eq!(bench.json(&["show", "latest"])["id"], first.as_str());
}

/// Where every snapshot is, it is the clock here that is wrong.
#[test]
fn a_clock_that_is_behind_hides_no_snapshot() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a"), "a").unwrap();
    let first = bench.back_up(&["a"]);
    let future = copy(&bench, &first, |manifest| manifest.time.seconds += 3 * YEAR);
    repository(&bench).delete_snapshot(&first.parse().unwrap()).unwrap();
    let shown = bench.run(&["show", "latest", "--json"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&future));
    assert!(stderr(&shown).contains("is the clock of this machine right"), "{}", stderr(&shown));
}
