//! `restow cleanup` and `backup --cleanup`, through the binary.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use restow::format::{ObjectKind, Time, name};
use restow::id::SnapshotId;
use restow::repo::{Identity, OpenOptions, Repository};
use restow::storage::{Key, Local, Storage};
use restow::{NoteChange, Secret};
use serde_json::Value;

use crate::support::binary::{Bench, stderr};

fn repository(bench: &Bench) -> Repository {
    let storage: Arc<dyn Storage> = Arc::new(Local::open(bench.repository()).unwrap());
    let secret = Secret::Passphrase("a passphrase".into());
    let identity = Identity::of_this_process();
    Repository::open(storage, &secret, identity, OpenOptions::default()).unwrap()
}

/// A snapshot of `site` at 23:30 UTC of each day from 2025-03-01 to 2025-04-09, a Wednesday, named after the day.
fn nights() -> Bench {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/a"), "a").unwrap();
    let id: SnapshotId = bench.back_up(&["site"]).parse().unwrap();
    let repository = repository(&bench);
    let first: Timestamp = "2025-03-01T23:30:00Z".parse().unwrap();
    let mut manifest = repository.manifest(&id).unwrap();
    for night in 0..40 {
        let moment = first + SignedDuration::from_hours(24 * night);
        manifest.name = moment.strftime("%m-%d").to_string();
        manifest.time = Time { seconds: moment.as_second(), nanos: 0 };
        let object = repository.vault().seal(ObjectKind::Manifest, &manifest).unwrap();
        let key = Key::new(name::snapshot(&SnapshotId::new(object.name))).unwrap();
        repository.storage().put(&key, &object.bytes).unwrap();
    }
    repository.delete_snapshot(&id).unwrap();
    bench
}

fn names(snapshots: &Value, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let some = snapshots.as_array().unwrap().iter().filter(|one| wanted(one));
    some.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// Names of what would stay.
fn kept(bench: &Bench, args: &[&str]) -> Vec<String> {
    let args: Vec<&str> = args.iter().copied().chain(["--dry-run"]).collect();
    let said = bench.json(&args);
    assert_eq!((&said["dry_run"], &said["deleted"]), (&true.into(), &Value::Array(Vec::new())));
    names(&said["snapshots"], |one| one["kept"] == true)
}

fn there(bench: &Bench) -> Vec<String> {
    let said = bench.json(&["list"]);
    let listed = said["snapshots"].as_array().unwrap();
    listed.iter().map(|one| one["manifest"]["name"].as_str().unwrap().to_owned()).collect()
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn every_rule() {
    let bench = nights();
    assert_eq!(kept(&bench, &["cleanup", "--keep-last", "2"]), ["04-08", "04-09"]);
    let hourly = ["cleanup", "--keep-hourly", "3", "--timezone", "+01:00"];
    assert_eq!(kept(&bench, &hourly), ["04-07", "04-08", "04-09"]);
    let daily = ["cleanup", "--keep-daily", "2", "--timezone", "UTC"];
    assert_eq!(kept(&bench, &daily), ["04-08", "04-09"]);
    assert_eq!(kept(&bench, &["cleanup", "--keep-daily", "25h", "--timezone", "UTC"]).len(), 2);
    // Sunday is 04-06; two hours further east that night is Monday's already.
    let weekly = |zone| kept(&bench, &["cleanup", "--keep-weekly", "2", "--timezone", zone]);
    assert_eq!(weekly("UTC"), ["04-06", "04-09"]);
    assert_eq!(weekly("+02:00"), ["04-05", "04-09"]);
    let monthly = |zone| kept(&bench, &["cleanup", "--keep-monthly", "2", "--timezone", zone]);
    assert_eq!(monthly("UTC"), ["03-31", "04-09"]);
    assert_eq!(monthly("+02:00"), ["03-30", "04-09"]);
    assert_eq!(kept(&bench, &["cleanup", "--keep-yearly", "5"]), ["04-09"]);
    let within = kept(&bench, &["cleanup", "--keep-within", "5d", "--timezone", "UTC"]);
    assert_eq!(within, ["04-04", "04-05", "04-06", "04-07", "04-08", "04-09"]);
    bench.ok(&["tag", "03-05", "--add", "release"]);
    bench.ok(&["tag", "03-10", "--permanent", "on"]);
    let tagged = ["cleanup", "--keep-tag", "release", "--keep-last", "1"];
    assert_eq!(kept(&bench, &tagged), ["03-05", "03-10", "04-09"]);
    assert_eq!(kept(&bench, &["cleanup", "--older-than", "1d"]), ["03-10", "04-09"]);
    assert_eq!(kept(&bench, &["cleanup", "--older-than", "9000y"]).len(), 40);
    assert_eq!(kept(&bench, &["cleanup", "--max-size", "0"]), ["03-10", "04-09"]);
    assert_eq!(kept(&bench, &["cleanup", "--max-size", "1G"]).len(), 40);
    // The default: ten, and Sundays of three months.
    let by_default = kept(&bench, &["cleanup", "--timezone", "UTC"]);
    let sundays = ["03-02", "03-09", "03-10", "03-16", "03-23", "03-30"];
    assert_eq!(by_default[..6], sundays);
    assert_eq!((by_default[6].as_str(), by_default.len()), ("03-31", 16));
    // What is looked at.
    assert!(kept(&bench, &["cleanup", "--keep-last", "1", "--host", "elsewhere"]).is_empty());
    bench.fails(5, &["cleanup", "--keep-last", "1", "--source", "docs", "--dry-run"]);
    assert_eq!(kept(&bench, &["cleanup", "--keep-last", "1", "--tag", "release"]), ["03-05"]);
    assert_eq!(there(&bench).len(), 40);
}

/// The same words in the file: ages as texts, counts as either.
#[test]
fn rules_of_the_file() {
    let bench = nights();
    let file = bench.path("rules.toml");
    let run = |rules: &str| {
        fs::write(&file, rules).unwrap();
        kept(&bench, &["cleanup", "--config", "rules.toml"])
    };
    // Sundays of three weeks, and five days.
    let rules = "timezone = 'UTC'\n[retention]\nkeep-within = '5d'\nkeep-weekly = '3w'\n";
    let five_days = ["04-04", "04-05", "04-06", "04-07", "04-08", "04-09"];
    assert_eq!(run(rules), [&["03-23", "03-30"][..], &five_days].concat());
    assert_eq!(run("[retention]\nkeep-hourly = '2'\n"), ["04-08", "04-09"]);
    assert_eq!(run("[retention]\nkeep-daily = 2\nolder-than = '9000y'\n").len(), 40);
    assert_eq!(run("[retention]\nmax-size = 1\nkeep-yearly = 2\n"), ["04-09"]);
    assert_eq!(run("[retention]\nmax-size = '1G'\nkeep-yearly = 2\n").len(), 40);
    assert_eq!(run("timezone = '+02:00'\n[retention]\nkeep-monthly = 2\n"), ["03-30", "04-09"]);
    // A flag counts before the file.
    fs::write(&file, "timezone = '+02:00'\n[retention]\nkeep-last = 9\n").unwrap();
    let said = ["cleanup", "--config", "rules.toml", "--keep-monthly", "2", "--timezone", "UTC"];
    assert_eq!(kept(&bench, &said), ["03-31", "04-09"]);
    fs::write(&file, "timezone = 'Middle/Earth'\n").unwrap();
    assert!(bench.fails(2, &["cleanup", "-n", "--config", "rules.toml"]).contains("Middle/Earth"));
}

#[test]
fn each_snapshot_is_shown_with_its_rule() {
    let bench = nights();
    bench.ok(&["tag", "03-10", "--permanent", "on"]);
    let said = bench.ok(&["cleanup", "-n", "--keep-weekly", "2", "--timezone", "UTC"]);
    let line = |name: &str| said.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(said.lines().next().unwrap().contains("/site on "), "{said}");
    for (name, what, why) in [
        ("  03-09  ", "  drop ", "no rule keeps it"),
        ("  03-10  ", "  keep ", "permanent"),
        ("  04-06  ", "  keep ", "the newest of week 2025-W14, one of the last 2 weeks"),
        ("  04-09  ", "  keep ", "the newest complete one; the newest of week 2025-W15"),
    ] {
        assert!(line(name).starts_with(what) && line(name).contains(why), "{}", line(name));
    }
    assert!(said.contains("3 snapshots to keep, 37 to drop (days and weeks of UTC)"), "{said}");
    let said = bench.ok(&["cleanup", "-n", "--max-size", "1", "--keep-last", "2"]);
    assert!(said.contains("over the budget of 1 B, and no rule keeps it"), "{said}");
    assert!(said.contains("still over the budget"), "{said}");
}

#[test]
fn it_asks_before_it_deletes() {
    let bench = nights();
    let error = bench.fails(2, &["cleanup", "--keep-last", "2"]);
    assert!(error.contains("--yes"), "{error}");
    bench.fails(2, &["cleanup", "--keep-last", "2", "--json"]);
    assert_eq!(there(&bench).len(), 40);
    let said = bench.ok(&["cleanup", "--keep-last", "2", "--yes"]);
    assert!(said.contains("  drop ") && !said.contains("  keep "), "{said}");
    assert!(said.contains("38 snapshots deleted"), "{said}");
    assert_eq!(there(&bench), ["04-08", "04-09"]);
    // Nothing to do is nothing to ask.
    let said = bench.ok(&["cleanup", "--keep-last", "2"]);
    assert!(said.contains("0 to drop") && said.contains("0 snapshots deleted"), "{said}");
    assert_eq!(bench.ok(&["cleanup", "--keep-last", "1", "-y", "--quiet"]), "");
    assert_eq!(there(&bench), ["04-09"]);
    bench.ok(&["check"]);
}

#[test]
fn rules_that_make_no_sense() {
    let bench = nights();
    for (args, expected) in [
        (&["cleanup", "--keep-tag", "x", "--yes"][..], "keep-tag alone"),
        (&["cleanup", "--keep-last", "0", "--yes"], "is not in 1"),
        (&["cleanup", "--keep-daily", "0", "--yes"], "1 or more"),
        (&["cleanup", "--keep-within", "7", "--yes"], "like 36h"),
        (&["cleanup", "--older-than", "-7d", "--yes"], ""),
        (&["cleanup", "--max-size", "2.5G", "--yes"], "like 500M"),
        (&["cleanup", "--timezone", "Middle/Earth", "--yes"], "Middle/Earth"),
        (&["backup", "site", "--cleanup", "--dry-run"], "cannot be used with"),
    ] {
        let error = bench.fails(2, args);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    assert_eq!(there(&bench).len(), 40);
}

/// It may say that its snapshot is permanent.
#[test]
fn a_note_that_cannot_be_read_stops_everything() {
    let bench = nights();
    let repository = repository(&bench);
    let (snapshots, _) = repository.snapshots().unwrap();
    let note = NoteChange::default().permanent(Some(true));
    let [note] = repository.change_notes(&snapshots[0].id, &note).unwrap()[..] else { panic!() };
    let file = bench.repository().join(name::note(&snapshots[0].id, &note));
    flip(&file);
    for args in [&["cleanup", "--keep-last", "2", "--yes"][..], &["cleanup", "-n"]] {
        let error = bench.fails(4, args);
        assert!(error.contains(&note.to_hex()) && error.contains("permanent"), "{error}");
    }
    assert_eq!(there(&bench).len(), 40);
    // The snapshot of the backup stands, and says so.
    let output = bench.run(&["backup", "site", "--cleanup", "--json"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["cleanup"].is_null() && document["id"].is_string());
    assert!(stderr(&output).contains("is stored, but the cleanup failed"), "{}", stderr(&output));
    assert_eq!(there(&bench).len(), 41);
}

#[test]
fn a_damaged_snapshot_is_left_alone_and_told() {
    let bench = nights();
    let (snapshots, _) = repository(&bench).snapshots().unwrap();
    let file = bench.repository().join(name::snapshot(&snapshots[3].id));
    flip(&file);
    let error = bench.fails(4, &["cleanup", "--keep-last", "1", "--yes"]);
    assert!(error.contains(&snapshots[3].id.to_hex()), "{error}");
    assert!(file.exists());
    bench.fails(4, &["list"]);
}

const CONFIG: &str = r#"
timezone = "UTC"

[repositories.here]
place = "~/repository"
passphrase-command = "echo a passphrase"

[retention]
keep-last = 3
keep-hourly = 1
keep-daily = 1
keep-weekly = 1
keep-monthly = 1
keep-yearly = 1
keep-tag = ["stays"]

[sources.docs]
source = "~/docs"

[sources.site]
source = "~/site"
retention = { keep-last = 1, older-than = "1s", max-size = "1T" }

[sources.uploads]
source = "~/uploads"
retention = { keep-last = 2 }
"#;

fn configured() -> Bench {
    let bench = Bench::configured(CONFIG);
    for source in ["docs", "site", "uploads"] {
        fs::create_dir(bench.path(source)).unwrap();
        fs::write(bench.path(source).join("a"), source).unwrap();
    }
    bench.ok(&["init"]);
    bench
}

fn count(bench: &Bench, source: &str) -> usize {
    let of_source = ["list", "--source", source];
    let args = if source.is_empty() { &of_source[..1] } else { &of_source };
    bench.json(args)["snapshots"].as_array().unwrap().len()
}

#[test]
fn a_backup_cleans_up_behind_its_own_source() {
    let bench = configured();
    for _ in 0..4 {
        bench.back_up(&["docs"]);
        bench.back_up(&["uploads"]);
    }
    bench.ok(&["tag", "latest", "--source", "docs", "--add", "stays"]);
    let said = bench.ok(&["backup", "docs", "--cleanup"]);
    assert!(said.contains("cleanup: 2 snapshots deleted, 3 kept"), "{said}");
    assert_eq!((count(&bench, "docs"), count(&bench, "uploads")), (3, 4));
    let done = bench.json(&["backup", "uploads", "--cleanup"]);
    assert_eq!(done["cleanup"]["deleted"].as_array().unwrap().len(), 3);
    assert_eq!(done["cleanup"]["timezone"], "UTC");
    assert_eq!((count(&bench, "docs"), count(&bench, "uploads")), (3, 2));
    // A path has the rules of all.
    bench.ok(&["backup", "./uploads", "--cleanup"]);
    assert_eq!(count(&bench, "uploads"), 3);
    // Nothing goes without the word.
    assert!(bench.json(&["backup", "uploads"])["cleanup"].is_null());
    assert_eq!(count(&bench, "uploads"), 4);
    // Two that disagree are told before anything is stored.
    let error = bench.fails(2, &["backup", "uploads", "site", "--cleanup"]);
    assert!(error.contains("different rules"), "{error}");
    assert_eq!(count(&bench, ""), 7);
    let all = bench.json(&["backup", "--all", "--cleanup"]);
    assert_eq!(all["results"][2]["backup"]["cleanup"]["deleted"].as_array().unwrap().len(), 3);
    assert_eq!(all["results"][1]["backup"]["cleanup"]["budgets"][0]["max_bytes"], 1u64 << 40);
    assert_eq!([count(&bench, "docs"), count(&bench, "site"), count(&bench, "uploads")], [3, 1, 2]);
}

#[test]
fn cleanup_goes_by_the_rules_of_each_source() {
    let bench = configured();
    for source in ["docs", "site", "uploads"] {
        for _ in 0..5 {
            bench.back_up(&[source]);
        }
    }
    let all = bench.json(&["cleanup", "--dry-run", "--keep-last", "4"]);
    assert_eq!(
        names(&all["snapshots"], |one| one["kept"] == false).len(),
        3,
        "what is said counts"
    );
    let said = bench.ok(&["cleanup", "--yes", "--source", "docs"]);
    assert!(said.contains("(days and weeks of UTC)"), "{said}");
    assert_eq!([count(&bench, "docs"), count(&bench, "site"), count(&bench, "uploads")], [3, 5, 5]);
    bench.ok(&["cleanup", "--yes", "--older-than", "1h"]);
    bench.ok(&["cleanup", "--yes"]);
    let left = [count(&bench, "docs"), count(&bench, "uploads")];
    assert_eq!(left, [3, 2]);
    // What cannot be told apart is not touched.
    fs::rename(bench.path("uploads"), bench.path("away")).unwrap();
    let error = bench.fails(8, &["cleanup", "--yes"]);
    assert!(error.contains("source \"uploads\", which has its own rules"), "{error}");
    bench.ok(&["cleanup", "--dry-run", "--keep-last", "1"]);
}

#[test]
fn an_incomplete_snapshot_costs_no_other() {
    let bench = Bench::with_repository();
    fs::write(bench.path("restow.toml"), "[retention]\nkeep-last = 1\n").unwrap();
    let memory = format!("/proc/{}/mem", std::process::id());
    for _ in 0..2 {
        bench.fails(3, &["backup", &memory]);
    }
    let file = bench.path("restow.toml");
    let config = ["--config", file.to_str().unwrap()];
    let output = bench.run(&["backup", &memory, "--cleanup", config[0], config[1]]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("no cleanup"), "{said}");
    assert_eq!(count(&bench, ""), 3);
    bench.ok(&["cleanup", "--yes", config[0], config[1]]);
    assert_eq!(count(&bench, ""), 1, "of three that lack something the newest stays");
}
