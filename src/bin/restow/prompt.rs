//! Questions at the terminal. An interrupted one leaves the terminal as it was.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;

use anyhow::{Context as _, Result, bail};
use restow::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::commands::Context;
use super::signals::Signals;

/// A signal that comes between look and wait is seen after this long.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Nobody types more.
pub const LINE_MAX: usize = 64 * 1024;

/// Asks for a line; `hidden` ones are not echoed.
pub fn ask(signals: &Signals, question: &str, hidden: bool) -> Result<String> {
    let mut terminal = File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .context("no terminal to ask for an answer")?;
    // From here on a signal must not end the process before the echo is back.
    let _gently = signals.gently();
    let _echo = hidden
        .then(|| Echo::off(&terminal))
        .transpose()
        .context("cannot turn off the echo of the terminal")?;
    write!(terminal, "{question}")
        .and_then(|()| terminal.flush())
        .context("cannot write to the terminal")?;
    let mut line = Vec::new();
    loop {
        if signals.cancel().is_cancelled() {
            bail!(Error::Interrupted);
        }
        let ready = poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(&LOOK_AGAIN));
        match ready {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => bail!(anyhow::Error::new(error).context("cannot wait for an answer")),
        }
        let mut byte = [0];
        let count = terminal.read(&mut byte).context("cannot read the answer")?;
        match byte {
            _ if count == 0 => break,
            [b'\n'] => break,
            _ if line.len() == LINE_MAX => bail!(Error::Usage("the answer is too long".into())),
            _ => line.extend_from_slice(&byte),
        }
    }
    String::from_utf8(line).map_err(|_| Error::Usage("the answer is not UTF-8".into()).into())
}

/// Wants a typed yes. Where nobody can be asked, or output is for programs, it must have been said before.
pub fn confirm(context: &Context, said: bool, what: &str) -> Result<()> {
    if said {
        return Ok(());
    }
    if context.options.json || !std::io::stdin().is_terminal() {
        bail!(Error::Usage(format!("no terminal to confirm: {what}; give --yes")));
    }
    match ask(&context.signals, &format!("Type yes to {what}: "), false)?.trim() {
        "yes" => Ok(()),
        _ => bail!("not confirmed: nothing was changed"),
    }
}

/// The terminal's echo, off until dropped.
struct Echo {
    terminal: File,
    before: Termios,
}

impl Echo {
    fn off(terminal: &File) -> Result<Self> {
        let before = tcgetattr(terminal.as_fd())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The end of the line still shows.
        silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        let echo = Self { terminal: terminal.try_clone()?, before };
        tcsetattr(terminal.as_fd(), OptionalActions::Now, &silent)?;
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal.as_fd(), OptionalActions::Now, &self.before);
    }
}
