//! The same data through whole programs: restow as installed, restic, borg, and `tar | zstd`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Shell lines; `$S` is the source folder, `$W` a folder of its own.
struct Peer {
    name: &'static str,
    program: &'static str,
    init: &'static str,
    backup: &'static str,
    /// Into `$W/out`, wherever below it the files end up.
    restore: &'static str,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "restow",
        program: "sh",
        init: "$RESTOW init",
        backup: "$RESTOW backup --force $S",
        restore: "$RESTOW restore latest --to $W/out",
    },
    Peer {
        name: "restic",
        program: "restic",
        init: "restic init",
        backup: "restic backup --force $S",
        restore: "restic restore latest --target $W/out",
    },
    Peer {
        name: "borg",
        program: "borg",
        init: "borg init --encryption repokey-blake2",
        backup: "borg create --compression zstd,3 --files-cache disabled ::{utcnow} $S",
        restore: "mkdir $W/out && cd $W/out && borg extract ::$(borg list --short --last 1)",
    },
    Peer {
        name: "tar | zstd -3",
        program: "zstd",
        init: "mkdir $W/repository",
        backup: "tar -C $S -c . | zstd -q -3 -T0 -f -o $W/repository/archive",
        restore: "mkdir $W/out && zstd -q -d -c $W/repository/archive | tar -x -C $W/out",
    },
];

const ROUNDS: usize = 3;

/// Prints a table: seconds and bytes stored.
pub fn compare(folder: &Path, source: &Path) {
    let there: Vec<&Peer> = PEERS.iter().filter(|peer| peer.is_there()).collect();
    let mut best = vec![([f64::INFINITY; 3], 0.0); there.len()];
    // In turns: the machine may be faster at one time than at another.
    for _ in 0..ROUNDS {
        for (peer, (best, stored)) in there.iter().zip(&mut best) {
            let place = folder.join("peer");
            std::fs::create_dir(&place).unwrap();
            let run = |line: &str| run(&place, source, line);
            run(peer.init);
            let seconds = [peer.backup, peer.backup, peer.restore].map(run);
            super::assert_same(source, &root_of(&place.join("out"), source));
            *best = [0, 1, 2].map(|at| best[at].min(seconds[at]));
            *stored = super::bytes_below(&place.join("repository")) as f64 / 1e6;
            std::fs::remove_dir_all(&place).unwrap();
        }
    }
    println!("  whole programs, best of {ROUNDS} in turns: first backup, again, restore, stored");
    for (peer, ([first, again, restore], stored)) in there.iter().zip(best) {
        println!(
            "  {:<18} {first:>6.2} s {again:>6.2} s {restore:>6.2} s {stored:>6.1} MB",
            peer.name
        );
    }
}

impl Peer {
    /// Whether it is installed. Tells if not.
    fn is_there(&self) -> bool {
        let asked = Command::new("sh")
            .args(["-c", &format!("command -v {}", self.program)])
            .stdout(Stdio::null())
            .status();
        let is_there = asked.is_ok_and(|status| status.success());
        if !is_there {
            println!("  {:<18} is not installed", self.name);
        }
        is_there
    }
}

fn run(place: &Path, source: &Path, line: &str) -> f64 {
    let started = Instant::now();
    let output = Command::new("sh")
        .args(["-ec", line])
        .env("S", source)
        .env("W", place)
        .env("RESTOW", env!("CARGO_BIN_EXE_restow"))
        .envs([("RESTOW_PASSPHRASE", "bench"), ("RESTIC_PASSWORD", "bench")])
        .envs([("BORG_PASSPHRASE", "bench"), ("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")])
        .env("RESTOW_REPOSITORY", place.join("repository"))
        .env("RESTIC_REPOSITORY", place.join("repository"))
        .env("BORG_REPO", place.join("repository"))
        .env("RESTOW_CACHE", place.join("cache"))
        .env("RESTIC_CACHE_DIR", place.join("cache"))
        .env("BORG_BASE_DIR", place.join("cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    seconds
}

/// Some restore below the source's whole path.
fn root_of(out: &Path, source: &Path) -> PathBuf {
    let nested = out.join(source.strip_prefix("/").unwrap());
    if nested.exists() { nested } else { out.to_owned() }
}
