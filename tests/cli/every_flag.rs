//! Every command and every flag is used by a test that runs the binary.
//!
//! Found in the tests' sources: every list of words that begins with a command. clap itself says which flags
//! of which command such a list sets, so `-n`, `-nq` and `--dry-run` are the same, and a list that clap
//! refuses counts for nothing. A flag that only a loop's variable names is not found: write it out once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

#[path = "../../src/bin/restow/args/mod.rs"]
#[allow(dead_code, unused_imports)]
mod args;
#[path = "../../src/bin/restow/moment.rs"]
mod moment;

/// A command and one of its arguments; of a command that is used at all, also without one.
type Used = BTreeSet<(String, String)>;

/// The command line as clap knows it.
pub fn root() -> Command {
    let mut root = args::command(&restow::source::SourceKinds::default());
    root.build();
    root
}

/// The commands that do something, as `key add`.
pub fn commands() -> Vec<String> {
    let mut found = Vec::new();
    leaves(&root(), "", &mut |name, _| found.push(name.to_owned()));
    found
}

fn leaves(command: &Command, path: &str, each: &mut dyn FnMut(&str, &Command)) {
    let mut is_leaf = true;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        is_leaf = false;
        leaves(sub, format!("{path} {}", sub.get_name()).trim(), each);
    }
    if is_leaf {
        each(path, command);
    }
}

/// Notes what a list of arguments sets.
fn take(matches: &ArgMatches, globals: &BTreeSet<String>, used: &mut Used) {
    let mut path = String::new();
    let mut at = matches;
    loop {
        for id in at.ids() {
            let id = id.as_str();
            if at.value_source(id) == Some(ValueSource::CommandLine) {
                let owner = if globals.contains(id) { "" } else { &path };
                used.insert((owner.to_owned(), id.to_owned()));
            }
        }
        let Some((name, below)) = at.subcommand() else { break };
        path = format!("{path} {name}").trim().to_owned();
        at = below;
    }
    used.insert((path, String::new()));
}

/// The lists of arguments in a test's source. What is no literal stands as a word of its own.
fn lists(source: &str) -> Vec<Vec<String>> {
    // As if every list stood on one line.
    let source = &source.lines().map(str::trim_start).collect::<String>();
    let begins = |before: &str, begin: &str| -> Vec<Vec<String>> {
        let places = source.match_indices(begin);
        let list = |at: usize| words(&source[at + begin.len() - 1..]);
        let prefix = || before.split_whitespace().map(str::to_owned);
        places.map(|(at, _)| prefix().chain(list(at)).collect()).collect()
    };
    let mut found = begins("", "[\"");
    found.extend(begins("backup --json", ".back_up(&[\""));
    found
}

/// The items up to the closing bracket.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut depth) = (Vec::new(), 0);
    let mut letters = text.chars();
    let mut other = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                let mut word = String::new();
                while let Some(letter) = letters.next() {
                    match letter {
                        '"' => break,
                        '\\' => word.extend(letters.next()),
                        _ => word.push(letter),
                    }
                }
                if other.trim().is_empty() {
                    words.push(word);
                }
            }
            ']' | ',' if depth == 0 => {
                if !other.trim().is_empty() {
                    words.push("anything".into());
                }
                other.clear();
                if letter == ']' {
                    break;
                }
            }
            '(' | '[' => {
                depth += 1;
                other.push(letter);
            }
            ')' | ']' => {
                depth -= 1;
                other.push(letter);
            }
            _ => other.push(letter),
        }
    }
    words
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_command_and_every_flag_is_used_by_a_test() {
    let root = root();
    let globals: BTreeSet<String> =
        root.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut files);
    let mut used = Used::new();
    for file in files.iter().filter(|file| !file.ends_with(file!())) {
        for list in lists(&std::fs::read_to_string(file).unwrap()) {
            let words = ["restow".to_owned()].into_iter().chain(list);
            if let Ok(matches) = root.clone().try_get_matches_from(words) {
                take(&matches, &globals, &mut used);
            }
        }
    }
    let mut unused = Vec::new();
    let mut want = |owner: &str, id: &str| {
        if !used.contains(&(owner.to_owned(), id.to_owned())) {
            unused.push(format!("restow {owner} {id}"));
        }
    };
    globals
        .iter()
        .filter(|id| !matches!(id.as_str(), "help" | "version"))
        .for_each(|id| want("", id));
    leaves(&root, "", &mut |path, command| {
        want(path, "");
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            if id != "help" && !globals.contains(id) {
                want(path, id);
            }
        }
    });
    assert!(unused.is_empty(), "no test of the binary uses: {unused:#?}");
}

#[test]
fn every_command_shows_an_example_and_every_flag_says_what_it_does() {
    leaves(&root(), "", &mut |path, command| {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains("Example") && after.contains("restow "), "restow {path}: {after:?}");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "restow {path} {}", arg.get_id());
        }
    });
}

#[test]
fn lists_are_read_as_they_are_written() {
    let source = r#"
        bench.ok(&["backup", &path, "-nq", "--tag", "a\"b", &format!("x{}", ["y"][0])]);
        bench.fails(5, &["show", "x]y"]);
        let id = bench.back_up(&["site"]);
    "#;
    let found = lists(source);
    assert_eq!(found[0], ["backup", "anything", "-nq", "--tag", "a\"b", "anything"]);
    assert_eq!(found[2], ["show", "x]y"]);
    assert_eq!(found[4], ["backup", "--json", "site"]);
}
