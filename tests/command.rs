//! Commands and standard input as sources, through the binary.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use restow::source::command::{CommandExporter, CommandOptions};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::binary::{Bench, stderr};
use crate::support::faulty::{Call, Failure, Faulty};
use crate::support::model::noise;
use crate::support::tree::look;
use crate::support::{back_up, default_chunks, memory_repository, open, try_open};

/// `restow backup command:NAME -- sh -c SCRIPT`
fn shell<'a>(name: &'a str, script: &'a str) -> [&'a str; 6] {
    ["backup", name, "--", "sh", "-c", script]
}

fn snapshots(bench: &Bench) -> usize {
    bench.json(&["list"])["snapshots"].as_array().unwrap().len()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn pid_in(file: PathBuf) -> Pid {
    wait_for("the child's pid", || {
        let text = fs::read_to_string(&file).ok()?;
        Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
    })
}

fn is_gone(pid: Pid) {
    wait_for("the child's end", || test_kill_process(pid).is_err().then_some(()));
}

fn no_leftovers(bench: &Bench) {
    assert_eq!(snapshots(bench), 0);
    let actors = fs::read_dir(bench.path("repository/active")).map_or(0, Iterator::count);
    assert_eq!(actors, 0);
}

#[test]
fn what_a_command_prints_comes_back() {
    let bench = Bench::with_repository();
    fs::write(bench.path("data"), noise(3 << 20, 1)).unwrap();
    let output = bench.run(&[
        "backup",
        "command:dump.sql",
        "--json",
        "--",
        "sh",
        "-c",
        "cat data; echo 'a note' >&2",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "", "--json keeps standard error to itself");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let source = &report["manifest"]["sources"][0];
    assert_eq!(source["kind"], "command");
    assert_eq!(source["url"], "command:dump.sql");
    assert_eq!(source["properties"]["program"], "sh");
    assert!(!report.to_string().contains("a note"), "no argument is recorded");
    bench.ok(&["restore", "latest", "--to", "out"]);
    assert_eq!(fs::read(bench.path("out/dump.sql")).unwrap(), noise(3 << 20, 1));
    assert_eq!(look(&bench.path("out/dump.sql")).values().next().unwrap().mode, 0o600);

    let output = bench.run(&shell("command:dump.sql", "cat data; echo 'a note' >&2"));
    assert!(stderr(&output).contains("a note"), "its words are passed on");
    assert!(output.status.success());
    let again = bench.json(&["show", "latest"]);
    assert_eq!(again["manifest"]["statistics"]["new_bytes"], 0, "{again}");
    assert!(again["manifest"]["sources"][0]["parent"].is_string());

    let error = bench.fails(2, &["restore", "latest"]);
    assert!(error.contains("--to"), "{error}");
}

#[test]
fn a_command_that_does_not_end_well_makes_no_snapshot() {
    let bench = Bench::with_repository();
    let cases = [
        ("echo half; echo 'server gone' >&2; exit 3", "server gone"),
        ("echo half; kill -9 $$", "signal: 9"),
        ("kill -SEGV $$", "signal: 11"),
        ("true", "--allow-empty"),
        ("echo half; exec >&-; sleep 0.2; exit 4", "exit status: 4"),
        // A grandchild that holds the pipe open does not keep a failure from showing.
        ("echo $$ >pid; sleep 1000 & exit 5", "exit status: 5"),
    ];
    for (script, words) in cases {
        let error = bench.fails(8, &shell("command:x", script));
        assert!(error.contains(words) && error.contains("command:x"), "{script}: {error}");
        no_leftovers(&bench);
    }
    let error = bench.fails(8, &["backup", "command:x", "--", "no-such-program-here"]);
    assert!(error.contains("no-such-program-here"), "{error}");
    assert!(bench.fails(2, &["backup", "command:x"]).contains("after --"));
    assert!(bench.fails(2, &["backup", "command:a/b", "--", "true"]).contains("name"));
    assert!(bench.fails(2, &["backup", "command:..", "--", "true"]).contains("name"));
    assert!(bench.fails(2, &["backup", "site", "--", "true"]).contains("command:NAME"));
    no_leftovers(&bench);

    bench.ok(&["backup", "command:x", "--allow-empty", "--", "true"]);
    // Closing standard output early is no failure, nor is taking one's time after it.
    bench.ok(&shell("command:x", "echo all; exec >&-; sleep 0.3"));
    assert_eq!(snapshots(&bench), 2);
}

#[test]
fn a_talkative_failure_is_cut_short() {
    let bench = Bench::with_repository();
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 1";
    let output = bench.run(&["backup", "command:x", "--json", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(8));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let error = error["error"].as_str().unwrap();
    assert!(error.contains("line 19999") && error.len() < 1000, "{error}");
}

#[test]
fn a_child_killed_at_any_moment() {
    let bench = Bench::with_repository();
    for wait in [0, 1, 5, 20, 60, 150, 400] {
        let _ = fs::remove_file(bench.path("pid"));
        let args = shell("command:x", "echo $$ >pid.new; mv pid.new pid; exec cat /dev/zero");
        let child = bench.command(&args).stderr(Stdio::piped()).spawn().unwrap();
        let pid = pid_in(bench.path("pid"));
        std::thread::sleep(Duration::from_millis(wait));
        kill_process(pid, Signal::KILL).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
        assert!(stderr(&output).contains("signal: 9"), "{}", stderr(&output));
        is_gone(pid);
        no_leftovers(&bench);
    }
    bench.ok(&["check", "--read-data"]);
}

#[test]
fn a_child_that_asks_the_terminal() {
    let bench = Bench::with_repository();
    // What the system does to a background group that reads from its terminal.
    for script in ["kill -TTIN $$", "exec >&-; kill -TTOU $$"] {
        let _ = fs::remove_file(bench.path("pid"));
        let script = format!("echo $$ >pid.new; mv pid.new pid; echo some; {script}; sleep 1000");
        let error = bench.fails(8, &shell("command:x", &script));
        assert!(error.contains("asks something on the terminal"), "{error}");
        is_gone(pid_in(bench.path("pid")));
        no_leftovers(&bench);
    }
    // Stopped by somebody else, it is waited for.
    let bench = Bench::with_repository();
    let script = "echo $$ >pid.new; mv pid.new pid; kill -STOP $$; echo whole";
    let child = bench.command(&shell("command:x", script)).spawn().unwrap();
    let pid = pid_in(bench.path("pid"));
    std::thread::sleep(Duration::from_millis(300));
    kill_process(pid, Signal::CONT).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    bench.ok(&["restore", "latest", "--to", "out"]);
    assert_eq!(fs::read(bench.path("out/x")).unwrap(), b"whole\n");
}

#[test]
fn a_storage_that_fails_ends_the_child() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("echo $$ >{0}.new; mv {0}.new {0}; exec cat /dev/urandom", pid.display());
    let argv = ["sh", "-c", &script].map(OsString::from);
    let exporter = CommandExporter::new("x", &argv, CommandOptions::default()).unwrap();
    let mut started = 0;
    for at in 0..6 {
        let _ = fs::remove_file(&pid);
        let storage = memory_repository(&default_chunks());
        let faulty = Faulty::failing(storage.clone(), at, Failure::CrashBefore).only(&[Call::Put]);
        let repository = try_open(Arc::new(faulty)).unwrap();
        back_up(&repository, &[&exporter]).unwrap_err();
        if pid.exists() {
            started += 1;
            is_gone(pid_in(pid.clone()));
        }
        assert!(open(storage).snapshots().unwrap().0.is_empty());
    }
    assert!(started > 0);
}

/// Starts a backup of a command, waits until the command runs, interrupts restow.
fn interrupted(bench: &Bench, script: &str) -> (Output, Pid) {
    let _ = fs::remove_file(bench.path("pid"));
    let script = format!("echo $$ >pid.new; mv pid.new pid; {script}");
    let args = shell("command:x", &script);
    let child = bench.command(&args).stderr(Stdio::piped()).spawn().unwrap();
    let pid = pid_in(bench.path("pid"));
    std::thread::sleep(Duration::from_millis(100));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    (child.wait_with_output().unwrap(), pid)
}

#[test]
fn an_interrupted_backup_takes_its_child_along() {
    let bench = Bench::with_repository();
    let scripts = [
        "exec cat /dev/zero",
        "echo some; exec sleep 1000",
        "exec >&-; exec sleep 1000",
        // One that ignores the request, and one with a child of its own.
        "trap '' TERM; echo some; while :; do sleep 1; done",
        "sleep 1000 & echo $! >grandchild; wait",
        // One that has left its group.
        "exec perl -e 'setpgrp(0, getpgrp(getppid())); sleep 1000'",
    ];
    for script in scripts {
        let (output, pid) = interrupted(&bench, script);
        assert_eq!(output.status.code(), Some(130), "{script}: {}", stderr(&output));
        is_gone(pid);
        no_leftovers(&bench);
    }
    is_gone(pid_in(bench.path("grandchild")));
}

#[test]
fn secrets_do_not_reach_the_child() {
    let bench = Bench::with_repository();
    let output = bench
        .command(&["backup", "command:env", "--", "env"])
        .env("RESTOW_KEY_FILE_NOTE", "hidden")
        .env("KEPT", "seen")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    bench.ok(&["restore", "latest", "--to", "out"]);
    let seen = fs::read_to_string(bench.path("out/env")).unwrap();
    assert!(seen.contains("KEPT=seen"), "{seen}");
    assert!(!seen.contains("RESTOW_") && !seen.contains("a passphrase"), "{seen}");
}

fn piped(bench: &Bench, args: &[&str]) -> Child {
    bench.command(args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn standard_input() {
    let bench = Bench::with_repository();
    let mut child = piped(&bench, &["backup", "stdin:dump"]);
    let mut stdin = child.stdin.take().unwrap();
    let bytes = noise(5 << 20, 9);
    stdin.write_all(&bytes[..3 << 20]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    stdin.write_all(&bytes[3 << 20..]).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    bench.ok(&["restore", "latest", "--to", "out"]);
    assert_eq!(fs::read(bench.path("out/dump")).unwrap(), bytes);

    // Nothing on it, and something that is no stream.
    let error = bench.fails(8, &["backup", "stdin:dump"]);
    assert!(error.contains("stdin:dump") && error.contains("--allow-empty"), "{error}");
    let folder = fs::File::open(bench.path("out")).unwrap();
    let output = bench.command(&["backup", "stdin:dump"]).stdin(folder).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot read stdin:dump"), "{}", stderr(&output));
    bench.fails(2, &["backup", "stdin:a", "stdin:b"]);
    bench.fails(2, &["backup", "stdin:"]);
    assert_eq!(snapshots(&bench), 1);
    bench.ok(&["backup", "stdin:dump", "--allow-empty"]);
}

#[test]
fn an_interrupt_while_standard_input_is_silent() {
    let bench = Bench::with_repository();
    let mut child = piped(&bench, &["backup", "stdin:dump"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"some").unwrap();
    // Its writer is on the list once the backup is under way.
    let active = bench.path("repository/active");
    wait_for("the writer", || fs::read_dir(&active).ok()?.next().map(drop));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    drop(stdin);
    no_leftovers(&bench);
}
