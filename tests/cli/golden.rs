//! The command line of every version so far: what was there once stays.
//!
//! `tests/golden/cli/facts.txt` lists commands, flags, aliases, possible values and defaults, one a line;
//! `json.txt` lists the fields of every JSON document; `restow.toml` sets every key of a configuration file.
//! A line of these files that is no longer true fails the test. New lines are added by a run with
//! `UPDATE_GOLDEN=1`. Only a deliberate edit by hand removes one.
//! `help/*.txt` has the help texts. They may change, and a run with `UPDATE_GOLDEN=1` writes them anew, so that
//! a review shows every change of wording.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

use super::every_flag::{commands, root};
use super::json::document::Document;
use crate::support::binary::{Bench, text};

const HOW: &str =
    "UPDATE_GOLDEN=1 cargo test --release --locked --test restow_tests -- cli::golden";

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cli").join(name)
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// Every line of the file must be among `now`. What is new must be written into the file.
fn compare_lines(name: &str, now: &BTreeSet<String>) {
    let stored = fs::read_to_string(golden(name)).unwrap_or_default();
    let stored: BTreeSet<String> = stored.lines().map(str::to_owned).collect();
    let lost: Vec<&String> = stored.difference(now).collect();
    assert!(
        lost.is_empty(),
        "users rely on these, and they are gone (a renamed flag keeps its old name as an alias); \
         if the removal is deliberate, delete the lines from tests/golden/cli/{name}: {lost:#?}"
    );
    let new: Vec<&String> = now.difference(&stored).collect();
    if is_update() {
        let lines: String = now.iter().map(|line| format!("{line}\n")).collect();
        fs::write(golden(name), lines).unwrap();
    } else {
        assert!(new.is_empty(), "not in tests/golden/cli/{name} yet; run {HOW}: {new:#?}");
    }
}

/// What holds of a command and of each of its arguments under each of its names.
fn facts(command: &Command, path: &str, found: &mut BTreeSet<String>) {
    found.insert(format!("{path}: command"));
    for alias in command.get_all_aliases() {
        found.insert(format!("{path}: also called {alias}"));
    }
    for arg in command.get_arguments() {
        // A flag of every command is listed once.
        if arg.is_global_set() && path != "restow" {
            continue;
        }
        for name in names(arg) {
            for fact in facts_of(arg) {
                found.insert(format!("{path} {name}: {fact}"));
            }
        }
    }
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        facts(sub, &format!("{path} {}", sub.get_name()), found);
    }
}

fn names(arg: &Arg) -> Vec<String> {
    let long = arg.get_long_and_visible_aliases().unwrap_or_default();
    let hidden = arg.get_all_aliases().unwrap_or_default();
    let longs: BTreeSet<&str> = long.into_iter().chain(hidden).collect();
    let shorts = arg.get_short_and_visible_aliases().unwrap_or_default();
    let hidden = arg.get_all_short_aliases().unwrap_or_default();
    let shorts: BTreeSet<char> = shorts.into_iter().chain(hidden).collect();
    let place = arg.get_index().map(|index| format!("argument {index}"));
    let longs = longs.iter().map(|name| format!("--{name}"));
    longs.chain(shorts.iter().map(|name| format!("-{name}"))).chain(place).collect()
}

fn facts_of(arg: &Arg) -> Vec<String> {
    let mut facts = Vec::new();
    let takes_values = arg.get_action().takes_values();
    facts.push(if takes_values { "takes a value".into() } else { "takes no value".into() });
    if matches!(arg.get_action(), ArgAction::Append | ArgAction::Count) {
        facts.push("can be repeated".into());
    }
    if !arg.is_required_set() {
        facts.push("can be left out".into());
    }
    if arg.is_global_set() {
        facts.push("holds for every command".into());
    }
    if let Some(variable) = arg.get_env() {
        facts.push(format!("is read from {}", text(variable.as_ref())));
    }
    for value in arg.get_default_values().iter().filter(|_| takes_values) {
        facts.push(format!("is {:?} by default", text(value.as_ref())));
    }
    for value in arg.get_possible_values().iter().filter(|_| takes_values) {
        facts.extend(value.get_name_and_aliases().map(|name| format!("may be {name:?}")));
    }
    facts
}

#[test]
fn every_command_flag_alias_and_value_is_still_there() {
    let mut now = BTreeSet::new();
    facts(&root(), "restow", &mut now);
    compare_lines("facts.txt", &now);
}

/// docs/JSON.md stands for the documents: `cli::json` compares it with what the commands print, both ways.
#[test]
fn every_field_of_every_json_document_is_still_there() {
    compare_lines("json.txt", &Document::read().paths());
}

#[test]
fn every_key_of_a_configuration_file_is_still_known() {
    // The file is read and understood; only then is the repository looked for.
    let file = golden("restow.toml");
    let error = Bench::new().fails(5, &["list", "--config", text(&file), "-r", "everything"]);
    assert!(error.contains("no restow repository"), "{error}");
}

#[test]
fn help_texts() {
    let bench = Bench::new();
    let mut names: BTreeSet<String> = commands().into_iter().collect();
    names.extend(["".into(), "key".into()]);
    let mut changed = Vec::new();
    let mut files = BTreeSet::new();
    for name in &names {
        let args: Vec<&str> = name.split_whitespace().chain(["--help"]).collect();
        let output = bench.command(&args).env("COLUMNS", "100").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let file = format!("help/{}.txt", format!("restow {name}").trim().replace(' ', "-"));
        let stored = fs::read(golden(&file)).unwrap_or_default();
        if stored != output.stdout && is_update() {
            fs::write(golden(&file), &output.stdout).unwrap();
        } else if stored != output.stdout {
            changed.push(file.clone());
        }
        files.insert(file);
    }
    assert!(
        changed.is_empty(),
        "these help texts changed; run {HOW}, and look at the diff: {changed:#?}"
    );
    for entry in fs::read_dir(golden("help")).unwrap() {
        let name = format!("help/{}", entry.unwrap().file_name().to_str().unwrap());
        assert!(files.contains(&name), "no command has the help text of {name}");
    }
}

/// The table of exit codes in `restow --help`: each code happens, and no other is listed.
#[test]
fn exit_codes() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a.txt"), "a").unwrap();
    let listed = bench.ok(&["--help"]);
    let listed = listed.split("Exit codes:").nth(1).unwrap();
    let listed: Vec<i32> = listed
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    assert_eq!(listed, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]);

    bench.ok(&["backup", "a.txt"]);
    bench.fails(1, &["list", "--config", "missing.toml"]);
    bench.fails(2, &["list", "--no-such-flag"]);
    bench.fails(3, &["backup", &format!("/proc/{}/mem", std::process::id())]);
    bench.fails(5, &["list", "-r", "nowhere"]);
    bench.fails(5, &["show", "deadbeef"]);
    let wrong = bench.command(&["list"]).env("RESTOW_PASSPHRASE", "wrong").output().unwrap();
    assert_eq!(wrong.status.code(), Some(6));
    bench.fails(7, &["init"]);
    bench.fails(8, &["backup", "missing.txt"]);
    let snapshots = fs::read_dir(bench.path("repository/snapshots")).unwrap();
    for snapshot in snapshots {
        fs::write(snapshot.unwrap().path(), "damaged").unwrap();
    }
    bench.fails(4, &["check"]);
    let marker = bench.path("repository/restow.json");
    let newer = fs::read_to_string(&marker).unwrap().replace("\"version\": 1", "\"version\": 2");
    fs::write(&marker, newer).unwrap();
    bench.fails(9, &["list"]);
    // 130: `cli::signals` interrupts each command.
}
