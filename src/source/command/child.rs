//! A child process in a group of its own: read, waited for, and never left behind.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, test_kill_process_group,
    waitid,
};

use super::stream::{Producer, read_patiently, refused};
use super::tail::Tail;
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::SourceError;

/// Between the request to stop and the end without asking.
const GRACE: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(10);

pub(super) struct Running {
    child: Child,
    group: Pid,
    /// Closed first when it is stopped: a child that waits for its reader is to find it gone.
    stdout: Option<ChildStdout>,
    tail: Tail,
    url: String,
    program: String,
    cancel: Cancel,
    /// Ended well, and reaped.
    is_done: bool,
}

enum State {
    Runs,
    /// Stopped by the system: a group in the background may not use the terminal.
    WantsTerminal,
    Succeeded,
    Failed,
}

impl Running {
    pub fn start(
        program: &Path,
        args: &[OsString],
        url: String,
        cancel: Cancel,
        pass_stderr: bool,
    ) -> Result<Self, SourceError> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What is told to restow, the passphrase above all, is not for its children.
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"RESTOW_") {
                command.env_remove(variable);
            }
        }
        let shown = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let spawned = command.process_group(0).spawn();
        let mut child = spawned.map_err(|error| {
            refused(ErrorKind::Unreachable, &url, format!("cannot run {shown}: {error}"))
        })?;
        let group = Pid::from_child(&child);
        let stdout = child.stdout.take();
        let Some(stderr) = child.stderr.take() else {
            return Err(refused(ErrorKind::Failed, &url, "its standard error is not to be had"));
        };
        let tail = Tail::follow(stderr, pass_stderr);
        Ok(Self { child, group, stdout, tail, url, program: shown, cancel, is_done: false })
    }

    /// Once ended it stays a zombie, so its group keeps its number.
    fn state(&self) -> io::Result<State> {
        let options = WaitIdOptions::EXITED
            | WaitIdOptions::STOPPED
            | WaitIdOptions::NOHANG
            | WaitIdOptions::NOWAIT;
        let Some(status) = waitid(WaitId::Pid(self.group), options)? else {
            return Ok(State::Runs);
        };
        let wants_terminal = [Signal::TTIN, Signal::TTOU].map(|signal| Some(signal.as_raw()));
        Ok(match status.stopping_signal() {
            None if status.exit_status() == Some(0) => State::Succeeded,
            None => State::Failed,
            stopped if wants_terminal.contains(&stopped) => State::WantsTerminal,
            // Whoever stopped it may let it go on.
            Some(_) => State::Runs,
        })
    }

    fn wait(&mut self) -> Result<ExitStatus, SourceError> {
        let failed =
            |url: &str, source| SourceError::Io { action: "wait for", path: url.into(), source };
        loop {
            match self.state().map_err(|error| failed(&self.url, error))? {
                State::Succeeded => {
                    let status = self.child.wait().map_err(|error| failed(&self.url, error))?;
                    self.is_done = true;
                    return Ok(status);
                }
                // With all it started.
                State::Failed => return self.stop().map_err(|error| failed(&self.url, error)),
                State::WantsTerminal => return Err(self.wants_terminal()),
                State::Runs if self.cancel.is_cancelled() => return Err(SourceError::Interrupted),
                State::Runs => std::thread::sleep(GLANCE),
            }
        }
    }

    fn wants_terminal(&self) -> SourceError {
        let message = format!(
            "{} asks something on the terminal, which it cannot have here: give it passwords in a \
             file or a variable of its own",
            self.program
        );
        refused(ErrorKind::Unreachable, &self.url, message)
    }

    /// To the group, and to the child, which may have left it. Errors mean that nobody is there any more, or
    /// nobody that would have to listen to us.
    fn signal(&mut self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
        // Its number is its own until it is reaped.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(self.group, signal);
        }
    }

    /// Asks the whole group to end, gives it time, ends it, and reaps the child.
    fn stop(&mut self) -> io::Result<ExitStatus> {
        self.is_done = true;
        drop(self.stdout.take());
        self.signal(Signal::TERM);
        // One that is stopped hears of it only once it goes on.
        self.signal(Signal::CONT);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            // Those that run as another user may not be signalled, but are there.
            let is_empty = test_kill_process_group(self.group) == Err(Errno::SRCH);
            if let Some(status) = self.child.try_wait()?
                && is_empty
            {
                return Ok(status);
            }
            std::thread::sleep(GLANCE);
        }
        self.signal(Signal::KILL);
        let killed = Instant::now();
        while killed.elapsed() < GRACE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(GLANCE);
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "it does not end, though it was told to"))
    }
}

impl Producer for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(stdout) = &self.stdout else { return Ok(0) };
            if let Some(count) = read_patiently(stdout, buffer, &self.cancel)? {
                return Ok(count);
            }
            // Something it started may hold the pipe open; after a failure nobody waits for that.
            match self.state()? {
                State::Failed => return Ok(0),
                State::WantsTerminal => return Err(io::Error::other(self.wants_terminal())),
                State::Runs | State::Succeeded => {}
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<(String, String)>, SourceError> {
        let status = self.wait()?;
        if status.success() {
            return Ok(vec![("program".to_owned(), self.program.clone())]);
        }
        let mut message = format!("{} failed: {status}", self.program);
        let said = self.tail.last_words();
        if !said.is_empty() {
            message = format!("{message}; it said: {said}");
        }
        Err(refused(ErrorKind::Unreachable, &self.url, message))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_done {
            // Whoever drops it has an error of their own to report.
            let _ = self.stop();
        }
    }
}
