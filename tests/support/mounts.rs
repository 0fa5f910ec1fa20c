//! Commands in a mount namespace of their own: what they mount, nobody else sees.

use std::process::{Command, Stdio};

use super::binary::Bench;

/// Runs a line of `sh` in the bench's folder with the environment of restow there. The line's `$0` and `$@` are
/// restow with `args`.
pub fn unshared(bench: &Bench, line: &str, args: &[&str]) -> Command {
    let restow = bench.command(args);
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-euc", line]);
    unshare.arg(restow.get_program()).args(restow.get_args());
    unshare.env_clear().current_dir(restow.get_current_dir().unwrap());
    unshare.envs(restow.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshare.stdin(Stdio::null());
    unshare
}

/// Whether a file system can be mounted here.
pub fn may_mount() -> bool {
    let mounted = unshared(&Bench::new(), "mount -t tmpfs -o size=1m none .", &[]).output();
    mounted.is_ok_and(|output| output.status.success())
}
