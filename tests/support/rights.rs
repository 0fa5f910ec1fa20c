//! What an ordinary user may do, shown on a machine where the tests are run by root, too.

use std::os::unix::fs::{chown, lchown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::binary::Bench;

pub const NOBODY: u32 = 65_534;

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `test` as a user without rights. Linux gives every thread its own.
pub fn as_nobody(test: impl FnOnce() + Send + 'static) {
    if !is_root() {
        return test();
    }
    let run = move || {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
        assert!(!is_root());
        test();
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs restow as a user without rights, to whom everything in the bench's folder is given before.
pub fn run_as_nobody(bench: &Bench, args: &[&str]) -> Output {
    let command = bench.command(args);
    if !is_root() {
        return { command }.output().unwrap();
    }
    // The program that was built may lie where nobody else may look.
    let program = bench.path("restow");
    std::fs::copy(command.get_program(), &program).unwrap();
    give_away(&bench.path(""));
    let mut ordinary = Command::new(program);
    ordinary.uid(NOBODY).gid(NOBODY).args(args).env_clear().current_dir(bench.path(""));
    ordinary.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ordinary.stdin(Stdio::null()).output().unwrap()
}

fn give_away(place: &Path) {
    if place.is_symlink() {
        return lchown(place, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    if place.is_dir() {
        std::fs::read_dir(place).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
    chown(place, Some(NOBODY), Some(NOBODY)).unwrap();
}
