//! What single flags do, where no other test has a story for them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::binary::{Bench, stderr};
use crate::support::model::noise;
use crate::support::skips::skip;
use crate::support::tree::{look, tells_every_change};

fn counts(bench: &Bench, id: &str) -> serde_json::Value {
    bench.json(&["show", id])["manifest"]["statistics"].clone()
}

/// Our own sources in one: what they have in common is found by a level that looks further,
/// wherever chunks and blocks end.
fn real_text() -> Vec<u8> {
    let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let files = look(sources).into_iter().filter(|(_, seen)| seen.kind == "file");
    files.flat_map(|(_, seen)| seen.bytes).collect()
}

#[test]
fn sizes_and_compression_are_decided_by_init() {
    let stored = |init: &[&str]| {
        let bench = Bench::new();
        bench.ok(init);
        fs::write(bench.path("text"), real_text()).unwrap();
        fs::write(bench.path("noise"), noise(20 << 20, 1)).unwrap();
        // By itself: how it shares blocks with something else is another matter.
        let text = bench.back_up(&["text"]);
        let noise = bench.back_up(&["noise"]);
        let packs = look(&bench.path("repository/packs"));
        let packs = packs.values().filter(|seen| seen.kind == "file").count();
        let number = |id: &str, name: &str| counts(&bench, id)[name].as_u64().unwrap();
        (number(&noise, "chunks"), number(&text, "plain_stored_bytes"), packs)
    };
    let (chunks, stored_fast, packs) = stored(&["init", "--compression", "1", "--pack-size", "8"]);
    let (more_chunks, _, one_pack) =
        stored(&["init", "--chunk-sizes", "4096,16384,65536", "--compression", "1"]);
    let (_, stored_small, _) = stored(&["init", "--compression", "12", "--pack-size", "32"]);
    assert!(more_chunks > chunks * 2, "{more_chunks} chunks of 16 KiB, {chunks} of 64 KiB");
    assert!(stored_small * 10 < stored_fast * 9, "{stored_small} {stored_fast}");
    // Two backups, each with a pack of metadata and at least one of data.
    assert!(packs >= 6 && one_pack == 4, "{packs} {one_pack}");
    let bench = Bench::new();
    bench.fails(2, &["init", "--chunk-sizes", "4096,1024,65536"]);
    bench.fails(2, &["init", "--pack-size", "7"]);
}

#[test]
fn a_repository_says_how_deep_deltas_go() {
    let delta_bytes = |init: &[&str]| {
        let bench = Bench::new();
        bench.ok(init);
        let place = bench.path("rows");
        let rows = |edited: usize| -> String {
            (0..60_000)
                .map(|n| format!("row {}\n", if n == edited { n } else { n * 7919 }))
                .collect()
        };
        [1, 30_000, 50_000].map(|edited| {
            std::fs::write(&place, rows(edited)).unwrap();
            let id = bench.back_up(&["rows"]);
            counts(&bench, &id)["delta_bytes"].as_u64().unwrap()
        })
    };
    let [first, second, third] = delta_bytes(&["init"]);
    assert!(first == 0 && second > 0 && third > 0, "{first} {second} {third}");
    assert_eq!(delta_bytes(&["init", "--delta-depth", "0"]), [0, 0, 0]);
    let [_, second, third] = delta_bytes(&["init", "--delta-depth", "1"]);
    assert!(second > 0 && third > 0, "{second} {third}");
    Bench::new().fails(2, &["init", "--delta-depth", "65"]);
}

#[test]
fn a_forced_backup_reads_what_looks_unchanged() {
    let bench = Bench::with_repository();
    // Old enough that its times can be trusted.
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/chunk");
    if !tells_every_change(sources.as_ref()) {
        skip!("no change times that can be trusted on this file system");
    }
    bench.ok(&["backup", sources]);
    let id = bench.back_up(&[sources]);
    assert_eq!(counts(&bench, &id)["read_bytes"], 0);
    let id = bench.json(&["backup", sources, "--force"])["id"].as_str().unwrap().to_owned();
    let counts = counts(&bench, &id);
    assert_eq!(counts["read_bytes"], counts["logical_bytes"]);
    assert_eq!(counts["new_bytes"], 0);
}

#[test]
fn everything_that_leaves_something_out() {
    let bench = Bench::with_repository();
    for name in ["keep", "a.iso", "b.tmp", "c.log", "cache/big", "marked/big", "marked/.nobackup"] {
        let path = bench.path("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let tag = "Signature: 8a477f597d28d172789f06886806bc55";
    fs::write(bench.path("data/cache/CACHEDIR.TAG"), tag).unwrap();
    fs::write(bench.path("patterns"), "*.log\n").unwrap();
    bench.back_up(&[
        "data",
        "--exclude",
        "*.iso",
        "--exclude-file",
        "patterns",
        "--exclude-preset",
        "dev",
        "--exclude-if-present",
        ".nobackup",
        "--exclude-caches",
    ]);
    bench.ok(&["restore", "latest", "--to", "out", "--owners-by-name"]);
    let left: Vec<_> = look(&bench.path("out"))
        .into_iter()
        .filter(|(_, seen)| seen.kind == "file")
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(left, ["cache/CACHEDIR.TAG", "keep", "marked/.nobackup"]);
    let of = |place: &str| fs::metadata(bench.path(place)).unwrap().uid();
    assert_eq!(of("out/keep"), of("data/keep"));
}

/// `/dev` has other file systems below it, wherever it is one of its own.
#[test]
fn other_file_systems_are_left_out() {
    let bench = Bench::with_repository();
    bench.ok(&["backup", "/dev", "--one-file-system", "--quiet"]);
    let device = |path: &Path| fs::symlink_metadata(path).map(|found| found.dev()).ok();
    let own = device(Path::new("/dev"));
    let entries = bench.json(&["show", "latest", "--entries"])["entries"].clone();
    let entries = entries.as_array().unwrap();
    for entry in entries {
        let path = Path::new("/dev").join(entry["path"].as_str().unwrap());
        // A mount's own folder is kept, as an empty one.
        let outside =
            path.parent().is_some_and(|parent| device(parent).is_some_and(|d| Some(d) != own));
        assert!(!outside || path == Path::new("/dev"), "{}", path.display());
    }
    assert!(entries.len() > 3);
}

#[test]
fn how_long_a_locked_database_is_waited_for() {
    let bench = Bench::with_repository();
    let connection = rusqlite::Connection::open(bench.path("app.db")).unwrap();
    connection.execute_batch("create table t (x); begin exclusive;").unwrap();
    fs::create_dir(bench.path("elsewhere")).unwrap();
    let error = bench.fails(8, &["backup", "sqlite:app.db", "--busy-timeout", "0"]);
    assert!(error.contains("lock"), "{error}");
    connection.execute_batch("rollback").unwrap();
    bench.ok(&["backup", "sqlite:app.db", "--busy-timeout", "0", "--temp-dir", "elsewhere"]);
}

#[test]
fn an_empty_stream_is_an_error_unless_it_is_allowed() {
    let bench = Bench::with_repository();
    bench.fails(8, &["backup", "command:nothing", "--", "true"]);
    bench.ok(&["backup", "command:nothing", "--allow-empty", "--", "true"]);
    assert_eq!(bench.ok(&["cat", "latest", "nothing"]), "");
}

#[test]
fn one_snapshot_checked() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a"), "a").unwrap();
    let id = bench.back_up(&["a"]);
    bench.back_up(&["a"]);
    assert!(bench.ok(&["check", &id]).contains("1 snapshots"));
    bench.fails(5, &["check", "deadbeef"]);
}

#[test]
fn passphrases_from_files_and_commands() {
    let bench = Bench::new();
    fs::write(bench.path("secret"), "of a file\n").unwrap();
    bench.ok(&["init", "--passphrase-file", "secret"]);
    bench.ok(&["list", "--passphrase-command", "cat secret"]);
    bench.fails(6, &["list"]);
    fs::write(bench.path("next"), "the next\n").unwrap();
    bench.ok(&["key", "passwd", "--passphrase-file", "secret", "--new-passphrase-file", "next"]);
    bench.ok(&["list", "--passphrase-file", "next"]);
}

#[test]
fn a_manual_page_for_every_command() {
    let bench = Bench::new();
    bench.ok(&["man", "--to", "share/man1"]);
    for command in super::every_flag::commands() {
        let page = format!("share/man1/restow-{}.1", command.replace(' ', "-"));
        let text = fs::read_to_string(bench.path(&page)).expect(&page);
        assert!(text.contains(".SH NAME") && text.contains("OPTIONS"), "{page}");
    }
    let text = fs::read_to_string(bench.path("share/man1/restow.1")).unwrap();
    assert!(text.contains("Exit codes: 0 done"), "{text}");
    assert!(bench.ok(&["completions", "bash"]).contains("passwd"));
}

#[test]
fn logs_and_progress_are_as_they_are_asked_for() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a"), "a").unwrap();
    let said = |args: &[&str]| stderr(&bench.run(args));
    let json = said(&["backup", "a", "--progress", "json"]);
    assert!(json.lines().all(|line| line.starts_with('{')), "{json}");
    assert!(json.contains("\"finished\""));
    assert_eq!(said(&["backup", "a", "--progress", "none"]), "");
    assert_eq!(said(&["backup", "a", "--progress", "lines"]), "", "it took less than ten seconds");
    let text = said(&["delete", "latest", "--yes", "--log-level", "info"]);
    assert!(text.contains("INFO snapshot"), "{text}");
    let json = said(&["delete", "latest", "--yes", "--log-level", "info", "--log-format", "json"]);
    assert!(json.contains("\"level\":\"INFO\""), "{json}");
    assert_eq!(said(&["delete", "latest", "--yes", "--log-level", "error"]), "");
    let mut command = bench.command(&["init", "--json"]);
    let output = command.env("RESTOW_LOG", "nonsense").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("{\"error\":"), "{}", stderr(&output));
}

/// Only what restow keeps there for this repository: the folder may be the user's.
#[test]
fn a_cache_in_the_source_leaves_out_nothing_else() {
    let bench = Bench::new();
    let made = bench.json(&["init"])["repository"].as_str().unwrap().to_owned();
    fs::create_dir_all(bench.path("data/mine")).unwrap();
    fs::write(bench.path("data/mine/thesis"), "x").unwrap();
    fs::create_dir_all(bench.path("data/mine").join(&made)).unwrap();
    fs::write(bench.path("data/mine").join(&made).join("cached"), "x").unwrap();
    for place in ["data/mine", "./data/mine/"] {
        bench.ok(&["backup", "data", "--cache", place]);
        let shown = bench.ok(&["show", "latest", "--entries"]);
        assert!(shown.contains("mine/thesis"), "{shown}");
        assert!(!shown.contains(&made), "the cache itself is left out: {shown}");
    }
}

/// `--help` is what people paste into tickets.
#[test]
fn help_shows_no_values_of_the_environment() {
    let bench = Bench::new();
    let help = |args: &[&str]| {
        let output = bench.command(args).env("RESTOW_REPOSITORY", "/mnt/hunter2").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for args in [&["--help"][..], &["help", "backup"], &["backup", "--help"]] {
        let help = help(args);
        assert!(help.contains("RESTOW_REPOSITORY") && !help.contains("hunter2"), "{help}");
    }
}

/// The end of it would be a panic, and exit code 101.
#[test]
fn nobody_who_reads_the_log_ends_no_backup() {
    let bench = Bench::with_repository();
    fs::write(bench.path("file"), "x").unwrap();
    for (log, color) in [("trace", "text"), ("warn", "json")] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let args = ["backup", "file", "--cache", "file", "--log-level", log, "--log-format", color];
        let status = bench.command(&args).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{log}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let args = ["list", "--log-level", log, "--repository", "nowhere"];
        assert_eq!(bench.command(&args).stderr(writer).status().unwrap().code(), Some(5));
    }
}

/// As those are used to who come from elsewhere.
#[test]
fn repo_stands_for_repository() {
    let bench = Bench::new();
    bench.ok(&["init"]);
    bench.ok(&["list", "--repo", bench.path("repository").to_str().unwrap()]);
    bench.fails(5, &["list", "--repo", "nowhere"]);
}

#[test]
fn stats_tell_what_each_source_adds_and_how_deep_its_deltas_are() {
    let bench = Bench::new();
    bench.ok(&["init"]);
    let mut rows = noise(1 << 20, 1);
    for night in 0..4 {
        fs::write(bench.path("grows"), &rows).unwrap();
        fs::write(bench.path("stays"), noise(500_000, 2)).unwrap();
        bench.back_up(&["grows"]);
        if night < 2 {
            bench.back_up(&["stays"]);
        }
        rows[300_000..][..20_000].copy_from_slice(&noise(20_000, 10 + night));
    }
    let stats = bench.json(&["stats"]);
    let growth = stats["growth"].as_array().unwrap();
    let of = |name: &str| {
        let is_it = |one: &&serde_json::Value| one["sources"][0].as_str().unwrap().ends_with(name);
        let found: Vec<_> = growth.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{growth:?}");
        found[0]
    };
    let number = |one: &serde_json::Value, field: &str| one[field].as_u64().unwrap();
    let (grows, stays) = (of("grows"), of("stays"));
    assert_eq!((growth.len(), number(grows, "snapshots"), number(stays, "snapshots")), (2, 4, 2));
    assert!((20_000..40_000).contains(&number(grows, "added_bytes_each_later")), "{grows}");
    assert!(number(stays, "added_bytes_each_later") < 5_000, "{stays}");
    assert!((1 << 20..1_250_000).contains(&number(grows, "added_bytes")), "{grows}");
    assert!(grows["first"].as_str() < grows["last"].as_str(), "{grows}");
    // Three nights, each of deltas on the one before: up to one, two and three decodes. How many of each is up to the cuts.
    let depth = stats["repository"]["data"]["mean_delta_depth"].as_f64().unwrap();
    assert!(depth > 1.0 && depth < 3.0, "{depth}");
}
