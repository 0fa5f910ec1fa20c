//! `restow prune`, and what deletes and counts with it, through the binary.

use std::fs;

use restow::Selector;
use restow::repo::{Identity, WriteSession};
use serde_json::Value;

use crate::support::binary::{Bench, stderr};
use crate::support::model::noise;

/// Two nights: the second has half of what the first had.
fn two_nights() -> (Bench, [String; 2]) {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/a"), noise(1 << 20, 1)).unwrap();
    fs::write(bench.path("site/b"), noise(3 << 20, 2)).unwrap();
    let first = bench.back_up(&["site"]);
    fs::remove_file(bench.path("site/b")).unwrap();
    let second = bench.back_up(&["site"]);
    (bench, [first, second])
}

fn packs(bench: &Bench) -> u64 {
    let stats = bench.json(&["stats"]);
    stats["repository"]["objects"]["packs"]["bytes"].as_u64().unwrap()
}

#[test]
fn what_is_said_to_be_freed_is_freed() {
    let (bench, [first, _]) = two_nights();
    let said = bench.json(&["stats", "--without", &first])["freed_bytes"].as_u64().unwrap();
    let dry = bench.json(&["delete", &first, "--prune", "--dry-run"]);
    assert_eq!(dry["prune"]["plan"]["freed_bytes"], said);
    let before = packs(&bench);
    let done = bench.json(&["delete", &first, "--prune", "--yes"]);
    let freed = before - packs(&bench);
    assert_eq!(done["prune"]["freed_bytes"], freed);
    assert!(said.abs_diff(freed) * 50 < freed, "{said} said, {freed} freed");
    assert!(freed > 3 << 20);
    let text = bench.ok(&["prune", "--dry-run"]);
    assert!(text.contains("nothing to free"), "{text}");
    let output = bench.run(&["restore", "latest", "--to", "back"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read(bench.path("back/a")).unwrap(), noise(1 << 20, 1));
    assert!(bench.run(&["check", "--read-data"]).status.success());
}

#[test]
fn a_list_says_what_only_one_needs() {
    let (bench, [first, second]) = two_nights();
    let costs = bench.json(&["stats", "--costs"]);
    let listed = bench.json(&["list", "--verbose"]);
    for (at, id) in [&first, &second].into_iter().enumerate() {
        assert_eq!(costs["snapshots"][at]["id"], **id);
        assert_eq!(listed["alone_bytes"][id], costs["snapshots"][at]["alone_bytes"]);
    }
    let first_alone = listed["alone_bytes"][&first].as_u64().unwrap();
    // A block may hold the end of one file and the start of the next.
    assert!(first_alone > 2 << 20, "{costs}");
    assert_eq!(bench.json(&["list"])["alone_bytes"], Value::Null);
    assert_eq!(bench.ok(&["list", "-v"]).matches("needed by this snapshot only").count(), 2);
    // What is damaged is listed all the same.
    fs::remove_dir_all(bench.path("repository/packs")).unwrap();
    let output = bench.run(&["list", "--verbose"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot compute the size"), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&second));
}

#[test]
fn people_are_told_what_goes_and_why_not_yet() {
    let (bench, [first, _]) = two_nights();
    let here = Identity::of_this_process();
    bench.leave_a_dead_writer();
    let live = bench.open(here);
    let session = WriteSession::begin(&live, false).unwrap();
    let id = live.find(&Selector::new(&first), &restow::Filter::default()).unwrap().id;
    live.delete_snapshot(&id).unwrap();
    let text = bench.ok(&["prune"]);
    let words = ["was declared dead", "unused:", "will free", "prune again when it has ended"];
    for words in words {
        assert!(text.contains(words), "{words}: {text}");
    }
    session.abandon();
    let text = bench.ok(&["prune", "--expire-after", "7200"]);
    assert!(text.contains("finished an earlier prune"), "{text}");
    assert!(text.contains("freed"), "{text}");
}

#[test]
fn cleanup_prunes_what_it_drops() {
    let (bench, _) = two_nights();
    let args = ["cleanup", "--keep-last", "1", "--prune"];
    let dry = bench.json(&["cleanup", "--keep-last", "1", "--prune", "--dry-run"]);
    let text = bench.ok(&["cleanup", "--keep-last", "1", "--prune", "--dry-run"]);
    assert!(text.contains("would free"), "{text}");
    let all: Vec<&str> = args.iter().copied().chain(["--yes"]).collect();
    let done = bench.json(&all);
    assert_eq!(dry["prune"]["plan"], done["prune"]["plan"]);
    assert!(done["prune"]["deleted"]["count"].as_u64() > Some(0), "{done}");
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().map(Vec::len), Some(1));
    let nothing = bench.json(&all);
    assert_eq!(
        (&nothing["prune"]["deleted"]["count"], &nothing["deleted"]),
        (&0.into(), &Value::Array(Vec::new()))
    );
}

#[test]
fn old_packs_are_compacted() {
    let (bench, _) = two_nights();
    // A log, which a thorough compressor makes more of.
    let lines = |at: u32| format!("{at:07} GET /{:05} 200\n", at.wrapping_mul(2_654_435_761) >> 15);
    let log: String = (0..60_000).map(lines).collect();
    fs::write(bench.path("site/log"), &log).unwrap();
    bench.back_up(&["site"]);
    let text = bench.ok(&["compact", "--dry-run"]);
    assert!(text.contains("nothing to free"), "nothing is a week old: {text}");
    let before = packs(&bench);
    let dry = bench.json(&["compact", "--older-than", "0h", "--compression", "12", "-n"]);
    assert!(dry["plan"]["compacted"]["count"].as_u64() > Some(1), "{dry}");
    let text = bench.ok(&["compact", "--older-than", "0h", "--compression", "12"]);
    assert!(text.contains("to be compacted"), "{text}");
    assert!(packs(&bench) < before);
    assert!(bench.run(&["check", "--read-data"]).status.success());
    assert_eq!(bench.ok(&["cat", "latest", "log"]), log);
    for bad in ["soon", "1y", "-3d"] {
        let said = bench.fails(2, &["compact", &format!("--older-than={bad}")]);
        assert!(said.contains("36h, 7d or 2w"), "{bad}: {said}");
    }
}

/// Snapshots lie on a disk that is not mounted: nothing is taken for waste.
#[test]
fn what_is_out_of_sight_is_not_gone() {
    let (bench, [first, _]) = two_nights();
    let (snapshots, away) = (bench.repository().join("snapshots"), bench.path("away"));
    fs::rename(&snapshots, &away).unwrap();
    std::os::unix::fs::symlink(bench.path("unmounted"), &snapshots).unwrap();
    let said = bench.fails(1, &["prune"]);
    assert!(said.contains("snapshots"), "{said}");
    fs::remove_file(&snapshots).unwrap();
    fs::create_dir(&snapshots).unwrap();
    let said = bench.fails(2, &["prune"]);
    assert!(said.contains("--empty"), "{said}");
    fs::remove_dir(&snapshots).unwrap();
    fs::rename(&away, &snapshots).unwrap();
    assert!(bench.run(&["check", "--read-data"]).status.success());
    // That there really are none has to be said, or is known from the deletion.
    bench.ok(&["delete", &first, "--yes"]);
    let text = bench.ok(&["delete", "latest", "--yes", "--prune"]);
    assert!(text.contains("freed"), "{text}");
    assert_eq!(packs(&bench), 0);
    bench.back_up(&["site"]);
    bench.ok(&["delete", "latest", "--yes"]);
    bench.ok(&["prune", "--empty"]);
    assert_eq!(packs(&bench), 0);
}

#[test]
fn a_prune_at_work_is_named() {
    let (bench, _) = two_nights();
    let other = bench.open(Identity::of_this_process());
    let day = std::time::Duration::from_secs(86_400);
    let restow::repo::Begun::Session(session) = other.begin_prune(day).unwrap() else {
        panic!("there is no other");
    };
    let output = bench.run(&["prune"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("another prune is at work") && said.contains("process"), "{said}");
    session.retire().unwrap();
    assert!(bench.run(&["prune"]).status.success());
}
