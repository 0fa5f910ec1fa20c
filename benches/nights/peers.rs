//! What other programs make of the same night: whole-file patches, and restic's repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::folder::{bytes_below, copy_files};

/// A patch of a night's files on those of the night before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// File by file.
    Xdelta,
    /// Of an uncompressed archive of everything.
    XdeltaOfTar,
    ZstdPatch,
}

fn is_installed(program: &str) -> bool {
    let line = format!("command -v {program}");
    let status = Command::new("sh").args(["-c", &line]).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn tar(source: &Path, folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let steady = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    let mut command = Command::new("tar");
    run(command.args(steady).arg("-C").arg(source).arg("-cf").arg(folder.join("tar")).arg("."));
}

impl Peer {
    pub fn program(self) -> &'static str {
        if self == Self::ZstdPatch { "zstd" } else { "xdelta3" }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Xdelta => "xdelta3 -e -9 -B <size of the old file>, file by file",
            Self::XdeltaOfTar => {
                "xdelta3 -e -9 -B <size of the old archive>, of an uncompressed tar"
            }
            Self::ZstdPatch => "zstd -3 --long=28 --patch-from",
        }
    }

    pub fn is_there(self) -> bool {
        is_installed(self.program())
    }

    /// Before a night: puts aside what there is.
    pub fn keep(self, source: &Path, home: &Path) {
        let old = home.join("old");
        match self {
            Self::XdeltaOfTar => tar(source, &old),
            Self::Xdelta | Self::ZstdPatch => copy_files(source, &old),
        }
    }

    /// After it: bytes of the patches. What was put aside goes.
    pub fn patch(self, source: &Path, home: &Path) -> u64 {
        let (old, archive) = (home.join("old"), home.join("new"));
        let new = match self {
            Self::XdeltaOfTar => {
                tar(source, &archive);
                archive.as_path()
            }
            Self::Xdelta | Self::ZstdPatch => source,
        };
        let mut bytes = 0;
        for file in std::fs::read_dir(&old).unwrap().map(Result::unwrap) {
            let (old, new, out) = (file.path(), new.join(file.file_name()), home.join("patch"));
            run(&mut self.command(&old, &new, &out));
            bytes += out.metadata().unwrap().len();
            std::fs::remove_file(out).unwrap();
        }
        std::fs::remove_dir_all(old).unwrap();
        if archive.exists() {
            std::fs::remove_dir_all(archive).unwrap();
        }
        bytes
    }

    fn command(self, old: &Path, new: &Path, out: &Path) -> Command {
        let mut command = Command::new(self.program());
        if self == Self::ZstdPatch {
            let from = format!("--patch-from={}", old.display());
            command.args(["-q", "-3", "--long=28", &from]).arg(new).arg("-o").arg(out);
        } else {
            // It takes no smaller window than half a mebibyte.
            let window = old.metadata().unwrap().len().max(1 << 19).to_string();
            command.args(["-e", "-9", "-B", &window, "-s"]).args([old, new, out]);
        }
        command
    }
}

/// A repository of restic's, as long as it is compared.
pub struct Restic {
    place: PathBuf,
}

impl Restic {
    pub fn start(home: &Path) -> Option<Self> {
        if !is_installed("restic") {
            println!("  restic is not installed: left out");
            return None;
        }
        let restic = Self { place: home.join("restic") };
        restic.run(&["init"]);
        Some(restic)
    }

    fn run(&self, args: &[&str]) {
        let mut command = Command::new("restic");
        let command = command.args(args).env("RESTIC_PASSWORD", "bench");
        let command = command.env("RESTIC_REPOSITORY", self.place.join("repository"));
        run(command.env("RESTIC_CACHE_DIR", self.place.join("cache")));
    }

    /// How much the repository grows by a backup.
    pub fn growth(&self, source: &Path) -> u64 {
        let repository = self.place.join("repository");
        let before = bytes_below(&repository);
        self.run(&["backup", &source.to_string_lossy()]);
        bytes_below(&repository) - before
    }
}

impl Drop for Restic {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.place).unwrap();
    }
}
