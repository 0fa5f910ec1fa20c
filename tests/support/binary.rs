//! The binary, run as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use restow::Secret;
use restow::repo::{Identity, OpenOptions, Repository, WriteSession, create_with_key};
use restow::storage::{Local, Storage};
use serde_json::Value;

use super::{default_chunks, master_key};

/// A temporary folder with a repository, a cache and room for sources and targets.
pub struct Bench {
    folder: tempfile::TempDir,
    /// Whether repository and passphrase stand in the environment.
    environment: bool,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: true }
    }

    /// With this `restow.toml` where a user has it, and nothing in the environment.
    pub fn configured(text: &str) -> Self {
        let bench = Self { environment: false, ..Self::new() };
        let folder = bench.path(".config/restow");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("restow.toml"), text).unwrap();
        bench
    }

    /// With a repository already made, as `restow init` makes it but for its keys: chunks are cut alike in every run,
    /// and the passphrase costs no time.
    pub fn with_repository() -> Self {
        let bench = Self::new();
        let storage = Local::create(bench.repository()).unwrap();
        let secret = Secret::Passphrase("a passphrase".into());
        let identity = Identity::of_this_process();
        create_with_key(&storage, &secret, &default_chunks(), &identity, master_key()).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    /// The command, with this bench's environment and nothing of the tester's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_restow"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .stdin(std::process::Stdio::null());
        if self.environment {
            command.env("RESTOW_REPOSITORY", self.repository());
            command.env("RESTOW_PASSPHRASE", "a passphrase");
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Must succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Must end with this exit code; its standard error.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        stderr(&output)
    }

    /// Must succeed; its JSON document.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// The repository, through the library.
    pub fn open(&self, who: Identity) -> Repository {
        let storage: Arc<dyn Storage> = Arc::new(Local::open(self.repository()).unwrap());
        let secret = Secret::Passphrase("a passphrase".into());
        Repository::open(storage, &secret, who, OpenOptions::default()).unwrap()
    }

    /// What a killed backup leaves: its announcement. Its process is gone.
    pub fn leave_a_dead_writer(&self) {
        let mut child = Command::new("true").spawn().unwrap();
        let process = child.id();
        child.wait().unwrap();
        let gone = self.open(Identity { process, process_start: 1, ..Identity::of_this_process() });
        std::mem::forget(WriteSession::begin(&gone, false).unwrap());
    }

    /// Backs up and gives the snapshot's id.
    pub fn back_up(&self, args: &[&str]) -> String {
        let args: Vec<&str> = ["backup"].into_iter().chain(args.iter().copied()).collect();
        self.json(&args)["id"].as_str().unwrap().to_owned()
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
