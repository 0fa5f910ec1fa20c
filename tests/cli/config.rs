//! `restow.toml` through the binary: what is found, what counts before what, and batches.

use std::fs;
use std::path::Path;

use crate::support::binary::{Bench, stderr, text};

const TWO: &str = r#"
default-repository = "home"

[repositories.home]
place = "~/home-backups"
passphrase-file = "secret"
cache = "~/index"

[repositories.other]
place = "../../other-backups"
passphrase-command = "echo the other one"

[sources.docs]
source = "~/docs"
description = "the papers"
tags = ["papers", "small"]
exclude = ["*.iso"]
permanent = true

[sources.site]
source = ["~/site", "~/single.txt"]
repository = "other"
name = "the-site"
exclude-preset = ["dev"]
"#;

fn two() -> Bench {
    let bench = Bench::configured(TWO);
    fs::write(bench.path(".config/restow/secret"), "of the file\n").unwrap();
    for (name, content) in [
        ("docs/a.txt", "a"),
        ("docs/big.iso", "image"),
        ("site/index.html", "<p>"),
        ("site/x.tmp", "x"),
        ("single.txt", "one"),
    ] {
        let path = bench.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    bench.ok(&["init"]);
    bench.ok(&["init", "-r", "other"]);
    bench
}

fn snapshots(bench: &Bench, args: &[&str]) -> Vec<serde_json::Value> {
    let args: Vec<&str> = ["list"].iter().chain(args).copied().collect();
    bench.json(&args)["snapshots"].as_array().unwrap().clone()
}

#[test]
fn names_of_repositories_and_sources() {
    let bench = two();
    assert!(bench.path("home-backups/restow.json").is_file());
    assert!(bench.path("other-backups/restow.json").is_file(), "relative to the file's folder");
    bench.ok(&["backup", "docs", "-e", "!big.iso", "--tag", "more"]);
    let first = &snapshots(&bench, &[])[0];
    assert_eq!(first["manifest"]["description"], "the papers");
    assert_eq!(first["permanent"], true);
    assert_eq!(first["tags"], serde_json::json!(["more", "papers", "small"]));
    assert!(bench.path("index").is_dir(), "the configured cache");
    bench.ok(&["restore", "latest", "--to", "out"]);
    assert!(bench.path("out/big.iso").exists(), "a flag takes back what the file left out");

    // Its own repository; a flag counts more.
    bench.ok(&["backup", "site", "-m", "said"]);
    let of_other = &snapshots(&bench, &["-r", "other"])[0];
    assert_eq!(of_other["manifest"]["name"], "the-site");
    assert_eq!(of_other["manifest"]["sources"].as_array().unwrap().len(), 2);
    assert_eq!(of_other["manifest"]["statistics"]["entries"], 3, "without x.tmp");
    bench.ok(&["backup", "site", "--repository", "home", "--name", "mine"]);
    assert_eq!(snapshots(&bench, &[])[1]["manifest"]["name"], "mine");

    // A path is a path: no excludes of the named source.
    bench.ok(&["backup", "./docs"]);
    assert_eq!(snapshots(&bench, &[])[2]["manifest"]["statistics"]["entries"], 3);
    let error = bench.fails(2, &["backup", "sit"]);
    assert!(error.contains("did you mean \"site\""), "{error}");
    let error = bench.fails(2, &["backup", "./docs", "docs", "site", "--repository", ""]);
    assert!(error.contains("empty"), "{error}");
    let error = bench.fails(5, &["list", "-r", "homes"]);
    assert!(error.contains("home, other"), "{error}");
}

#[test]
fn flags_before_environment_before_the_file() {
    let bench = two();
    fs::write(bench.path("wrong"), "wrong\n").unwrap();
    let code = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = bench.command(args);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        (output.status.code().unwrap(), stderr(&output))
    };
    assert_eq!(code(&["list"], &[]).0, 0);
    let (status, said) = code(&["list"], &[("RESTOW_PASSPHRASE", "wrong")]);
    assert_eq!(status, 6);
    assert!(said.contains("check RESTOW_PASSPHRASE"), "{said}");
    let right = ["list", "--passphrase-command", "echo of the file"];
    assert_eq!(code(&right, &[("RESTOW_PASSPHRASE", "wrong")]).0, 0);
    let file = [("RESTOW_PASSPHRASE_FILE", "wrong")];
    assert_eq!(code(&["list"], &file).0, 6);
    assert_eq!(code(&right, &file).0, 0);
    assert_eq!(code(&["list"], &[("RESTOW_KEY_FILE", "wrong")]).0, 2, "too short for a key file");
    assert_eq!(code(&["list"], &[("RESTOW_PASSPHRASE_COMMAND", "echo of the file")]).0, 0);
    assert_eq!(code(&["list"], &[("RESTOW_REPOSITORY", "other")]).0, 0);
    let (status, said) = code(&["list"], &[("RESTOW_REPOSITORY", "nowhere")]);
    assert_eq!(status, 5, "{said}");
    assert_eq!(code(&["list", "-r", "home"], &[("RESTOW_REPOSITORY", "nowhere")]).0, 0);
    // The cache: a flag, the environment, the file; none at all if so said.
    assert_eq!(code(&["list", "--no-cache"], &[("RESTOW_CACHE", "elsewhere")]).0, 0);
    code(&["check"], &[("RESTOW_CACHE", "elsewhere")]);
    assert!(bench.path("elsewhere").is_dir());
    let both = ["list", "--passphrase-file", "x", "--passphrase-command", "y"];
    assert_eq!(code(&both, &[]).0, 2);
}

#[test]
fn the_file_that_counts() {
    let bench = Bench::configured("[repositories.own]\nplace = 'of-the-user'\n");
    fs::write(bench.path("a.toml"), "[repositories.a]\nplace = 'of-a'\n").unwrap();
    fs::write(bench.path("b.toml"), "[repositories.b]\nplace = 'of-b'\n").unwrap();
    // One in the current folder is somebody else's.
    fs::write(bench.path("restow.toml"), "[repositories.c]\nplace = 'of-c'\n").unwrap();
    let place = |args: &[&str], variable: Option<&str>| {
        let mut command = bench.command(args);
        command.env("RESTOW_PASSPHRASE", "x");
        if let Some(file) = variable {
            command.env("RESTOW_CONFIG", file);
        }
        stderr(&command.output().unwrap())
    };
    assert!(place(&["list"], None).contains("of-the-user"));
    assert!(place(&["list"], Some("b.toml")).contains("of-b"));
    assert!(place(&["list", "--config", "a.toml"], Some("b.toml")).contains("of-a"));
    let error = bench.fails(1, &["list", "--config", "missing.toml"]);
    assert!(error.contains("missing.toml"), "{error}");
}

#[test]
fn a_file_that_is_wrong_or_dangerous() {
    let cases = [
        ("[repositories.a]\nplace = 'x'\npassphrase = 'hunter2'\n", "line 3"),
        ("[repositories.a]\nplace = 'x'\npasphrase-file = 'hunter2'\n", "\"passphrase-file\"?"),
        ("[sources.a]\nsource = 'x'\ncommand = ['y']\n", "either source or command"),
    ];
    for (wrong, expected) in cases {
        let bench = Bench::configured(wrong);
        let error = bench.fails(2, &["list"]);
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        // What needs no configuration works all the same.
        bench.ok(&["completions", "bash"]);
    }
    let bench = Bench::configured("");
    let file = bench.path(".config/restow/restow.toml");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert!(bench.fails(2, &["list"]).contains("chmod"));
}

#[test]
fn a_batch_stops_or_goes_on() {
    let bench = two();
    let all = bench.json(&["backup", "--all", "-m", "nightly"]);
    assert_eq!((all["good"].as_u64(), all["failed"].as_u64()), (Some(2), Some(0)));
    assert_eq!(all["results"][0]["source"], "docs");
    assert_eq!(all["results"][1]["backup"]["manifest"]["description"], "nightly");
    assert!(bench.ok(&["backup", "--all", "--dry-run"]).contains("2 good"));
    assert_eq!(snapshots(&bench, &[]).len(), 1, "nothing stored");

    fs::remove_dir_all(bench.path("docs")).unwrap();
    let error = bench.fails(8, &["backup", "--all"]);
    assert!(error.contains("docs") && error.contains("1 failed, 1 not tried"), "{error}");
    assert_eq!(snapshots(&bench, &["-r", "other"]).len(), 1);
    let error = bench.fails(8, &["backup", "--all", "--keep-going"]);
    assert!(error.contains("1 good, 0 incomplete, 1 failed, 0 not tried"), "{error}");
    assert_eq!(snapshots(&bench, &["-r", "other"]).len(), 2);
    let output = bench.run(&["backup", "--all", "--keep-going", "--json"]);
    assert_eq!(output.status.code(), Some(8));
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(all["results"][0]["error"].as_str().unwrap().contains("docs"));
    assert_eq!(all["results"][0]["exit_code"], 8);

    bench.fails(2, &["backup", "--keep-going", "docs"]);
    bench.fails(2, &["backup", "--all", "docs"]);
    let none = Bench::configured("");
    assert!(none.fails(2, &["backup", "--all"]).contains("[sources.NAME]"));
}

/// One incomplete source does not hide behind a good one, nor a failure behind an incomplete one.
#[test]
fn the_worst_exit_code() {
    let bench = Bench::with_repository();
    let memory = format!("/proc/{}/mem", std::process::id());
    let config = |more: &str| {
        let text =
            format!("[sources.a]\nsource = '{memory}'\n[sources.b]\nsource = 'fine'\n{more}");
        fs::write(bench.path("batch.toml"), text).unwrap();
    };
    fs::write(bench.path("fine"), "fine").unwrap();
    let file = bench.path("batch.toml");
    config("");
    bench.fails(3, &["backup", "--all", "--config", text(&file)]);
    config("[sources.c]\nsource = 'missing'\n[sources.d]\nsource = 'fine'\n");
    let error = bench.fails(8, &["backup", "--all", "--keep-going", "--config", text(&file)]);
    assert!(error.contains("2 good, 1 incomplete, 1 failed, 0 not tried"), "{error}");
    assert!(Path::new(&memory).exists());
}

/// The example in docs/CONFIG.md is read, and every word the file may have stands there.
#[test]
fn the_documentation_and_the_file_agree() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIG.md");
    let documented = fs::read_to_string(path).unwrap();
    let example = documented.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let bench = Bench::configured(example);
    let error = bench.fails(5, &["list", "-r", "office"]);
    assert!(error.contains("/office-backups"), "{error}");
    let mut words = 0;
    for start in
        ["", "[retention]\n", "[repositories.a]\nplace = 'x'\n", "[sources.a]\nsource = 'x'\n"]
    {
        let bench = Bench::configured(&format!("{start}zzz = 1\n"));
        let error = bench.fails(2, &["list"]);
        let (_, known) = error.split_once("there are: ").unwrap();
        for word in known
            .trim()
            .split(", ")
            .filter(|word| !["repositories", "sources", "retention"].contains(word))
        {
            assert!(documented.contains(&format!("`{word}`")), "{word} is not in docs/CONFIG.md");
            words += 1;
        }
    }
    assert!(words > 20, "{words}");
}
