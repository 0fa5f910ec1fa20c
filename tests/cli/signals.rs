//! Ctrl-C, SIGTERM and SIGHUP, while something is being stored and while a passphrase is being asked for.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::binary::Bench;
use crate::support::model::noise;
use crate::support::tree::look;

const FILES: u64 = 10;
const EACH: u64 = 40 << 20;

fn files_below(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // A process at work renames and removes meanwhile.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => {
                    let path = entry.path();
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
                Err(_) => {}
            }
        }
    }
    found
}

/// A backup stopped by `signal` once a pack is stored, or at once if none is waited for.
fn stopped(bench: &Bench, signal: Signal, wait_for_pack: bool) -> (ExitStatus, Duration) {
    let mut child = bench.command(&["backup", "data"]).stderr(Stdio::null()).spawn().unwrap();
    let (started, packs) = (Instant::now(), bench.path("repository/packs"));
    let before = files_below(&packs).len();
    let active = bench.path("repository/active");
    let begun = || match wait_for_pack {
        true => files_below(&packs).iter().filter(|name| !name.contains("tmp")).count() > before,
        false => !files_below(&active).is_empty(),
    };
    while !begun() {
        assert!(started.elapsed() < Duration::from_secs(60), "it never began");
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = Instant::now();
    kill_process(Pid::from_child(&child), signal).unwrap();
    (child.wait().unwrap(), sent.elapsed())
}

#[test]
fn a_signal_ends_a_backup_cleanly_and_the_next_takes_up_what_was_stored() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let bench = Bench::with_repository();
        fs::create_dir(bench.path("data")).unwrap();
        for number in 0..FILES {
            fs::write(bench.path(&format!("data/f{number}")), noise(EACH as usize, number))
                .unwrap();
        }
        for wait_for_pack in [false, true] {
            let (status, took) = stopped(&bench, signal, wait_for_pack);
            assert_eq!(status.code(), Some(130), "{signal:?}");
            assert!(took < Duration::from_secs(10), "{took:?}");
            for folder in ["active", "beats", "snapshots", "tmp"] {
                let left = files_below(&bench.path("repository").join(folder));
                assert!(left.is_empty(), "{folder}: {left:?}");
            }
            let all = files_below(&bench.repository());
            assert!(!all.iter().any(|name| name.contains("tmp")), "{all:?}");
        }
        assert!(
            !files_below(&bench.path("repository/index")).is_empty(),
            "what was put is indexed"
        );
        let done = bench.json(&["backup", "data"]);
        let new = done["manifest"]["statistics"]["new_bytes"].as_u64().unwrap();
        assert!(new < FILES * EACH, "{new} new: nothing was taken up");
        bench.ok(&["restore", "latest", "--to", "out"]);
        assert_eq!(look(&bench.path("out")), look(&bench.path("data")));
        assert!(bench.ok(&["check"]).contains("no damage found"));
    }
}

/// `nohup` says so by having the signal ignored.
#[test]
fn a_backup_that_is_to_outlive_the_terminal_does() {
    let bench = Bench::with_repository();
    let hang_up = "kill -HUP $PPID; echo kept";
    let restow = bench.command(&["backup", "command:out", "--", "sh", "-c", hang_up]);
    let args = restow.get_args().collect::<Vec<_>>();
    let mut nohup = bench.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(nohup.get_program()).args(args);
    for (name, value) in nohup.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let folder = nohup.current_dir(bench.path("")).get_current_dir().unwrap();
    shell.current_dir(folder).stdin(Stdio::null());
    assert_eq!(shell.status().unwrap().code(), Some(0));
    assert_eq!(bench.run(&["cat", "latest", "out"]).stdout, b"kept\n");
    // Without it, the same ends the backup.
    assert_eq!(
        bench.run(&["backup", "command:out", "--", "sh", "-c", hang_up]).status.code(),
        Some(130)
    );
}

/// A shell at a terminal of its own: `script` makes one.
struct Terminal {
    child: Child,
    said: Vec<u8>,
}

impl Terminal {
    fn new(bench: &Bench, shell: &str) -> Self {
        let restow = bench.command(&[]);
        let mut command = Command::new("script");
        command.args(["-qefc", shell, "/dev/null"]).env_clear();
        for (name, value) in restow.get_envs() {
            command.env(name, value.unwrap());
        }
        command.env_remove("RESTOW_PASSPHRASE").env("SHELL", "/bin/sh").env("TERM", "dumb");
        command.env("RESTOW", env!("CARGO_BIN_EXE_restow")).current_dir(bench.path(""));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), said: Vec::new() }
    }

    fn wait_for(&mut self, text: &str) {
        let mut byte = [0];
        while !String::from_utf8_lossy(&self.said).contains(text) {
            let count = self.child.stdout.as_mut().unwrap().read(&mut byte).unwrap();
            assert!(count > 0, "{text:?} never came: {}", String::from_utf8_lossy(&self.said));
            self.said.extend_from_slice(&byte);
        }
    }

    fn type_in(&mut self, text: &str) {
        // The prompt shows before the terminal has finished its switch to silence.
        std::thread::sleep(Duration::from_millis(300));
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn end(mut self) -> String {
        self.wait_for("THE END");
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
        String::from_utf8_lossy(&self.said).into_owned()
    }
}

const LOOK: &str = "echo code=$?; stty -a | tr ';' ' '; echo THE' 'END";

#[test]
fn an_interrupted_passphrase_prompt_gives_the_echo_back() {
    let bench = Bench::with_repository();
    let shell = format!("trap : INT; \"$RESTOW\" list; {LOOK}");
    let mut terminal = Terminal::new(&bench, &shell);
    terminal.wait_for("Passphrase: ");
    terminal.type_in("half a sec");
    terminal.type_in("\u{3}");
    let said = terminal.end();
    assert!(said.contains("code=130"), "{said}");
    assert!(said.contains(" echo ") && !said.contains("-echo "), "{said}");
    assert!(!said.contains("half a sec"), "what was typed is not shown: {said}");
}

#[test]
fn a_passphrase_typed_at_a_terminal() {
    let bench = Bench::with_repository();
    let shell = format!("\"$RESTOW\" list --json; {LOOK}");
    let mut terminal = Terminal::new(&bench, &shell);
    terminal.wait_for("Passphrase: ");
    terminal.type_in("a passphrase\n");
    let said = terminal.end();
    assert!(said.contains("\"snapshots\": []") && said.contains("code=0"), "{said}");
    assert!(!said.contains("a passphrase") && said.contains(" echo "), "{said}");
}

#[test]
fn a_deletion_asks_at_a_terminal_and_wants_a_typed_yes() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a"), "a").unwrap();
    bench.back_up(&["a"]);
    for (answer, code, left) in [("y\n", 1, 1), ("\u{3}", 130, 1), ("yes\n", 0, 0)] {
        let shell = format!(
            "trap : INT; \"$RESTOW\" delete latest --passphrase-command 'echo a passphrase'; {LOOK}"
        );
        let mut terminal = Terminal::new(&bench, &shell);
        terminal.wait_for("Type yes to delete 1 snapshots: ");
        terminal.type_in(answer);
        let said = terminal.end();
        assert!(said.contains(&format!("code={code}")), "{answer:?}: {said}");
        assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), left);
    }
}

#[test]
fn a_cleanup_asks_at_a_terminal_and_wants_a_typed_yes() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a"), "a").unwrap();
    bench.back_up(&["a"]);
    bench.back_up(&["a"]);
    for (answer, code, left) in [("y\n", 1, 2), ("\u{3}", 130, 2), ("yes\n", 0, 1)] {
        let shell = format!(
            "trap : INT; \"$RESTOW\" cleanup --keep-last 1 --passphrase-command 'echo a passphrase'; {LOOK}"
        );
        let mut terminal = Terminal::new(&bench, &shell);
        terminal.wait_for("Type yes to delete 1 snapshots: ");
        terminal.type_in(answer);
        let said = terminal.end();
        assert!(said.contains(&format!("code={code}")), "{answer:?}: {said}");
        assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), left);
    }
}

#[test]
fn a_new_passphrase_is_typed_twice() {
    let bench = Bench::with_repository();
    for (second, code) in [("something else\n", 2), ("the new one\n", 0)] {
        let shell =
            format!("\"$RESTOW\" key passwd --passphrase-command 'echo a passphrase'; {LOOK}");
        let mut terminal = Terminal::new(&bench, &shell);
        terminal.wait_for("New passphrase: ");
        terminal.type_in("the new one\n");
        terminal.wait_for("Again: ");
        terminal.type_in(second);
        let said = terminal.end();
        assert!(said.contains(&format!("code={code}")) && !said.contains("the new one"), "{said}");
    }
    bench.ok(&["list", "--passphrase-command", "echo the new one"]);
}

#[test]
fn a_restore_asks_at_a_terminal_and_wants_a_typed_yes() {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/a"), "old").unwrap();
    bench.back_up(&["site"]);
    fs::write(bench.path("site/a"), "newer").unwrap();
    for (answer, code, after) in [("y\n", 7, "newer"), ("\u{3}", 130, "newer"), ("yes\n", 0, "old")]
    {
        let shell = format!(
            "trap : INT; \"$RESTOW\" restore latest --passphrase-command 'echo a passphrase'; {LOOK}"
        );
        let mut terminal = Terminal::new(&bench, &shell);
        terminal.wait_for("Type yes to replace 1 things: ");
        terminal.type_in(answer);
        let said = terminal.end();
        assert!(said.contains(&format!("code={code}")), "{answer:?}: {said}");
        assert_eq!(fs::read_to_string(bench.path("site/a")).unwrap(), after);
    }
}
