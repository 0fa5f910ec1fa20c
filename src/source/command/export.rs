//! A command's standard output as a source.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::child::Running;
use super::stream::{Producer, StreamName, StreamSession, refused};
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::{Description, Exporter, Session, SourceError};

/// How a command is run.
#[derive(Debug, Clone, Default)]
pub struct CommandOptions {
    /// Accept a command that succeeds without a byte of output.
    pub allow_empty: bool,
    /// Pass its standard error on to ours as it comes. Its last lines are in the error either way.
    pub pass_stderr: bool,
}

/// Runs a program, without a shell, and reads what it prints.
pub struct CommandExporter {
    name: StreamName,
    program: PathBuf,
    args: Vec<OsString>,
    options: CommandOptions,
}

impl CommandExporter {
    /// `argv` is the program and its arguments. Whether the program is there is told here.
    pub fn new(
        name: &str,
        argv: &[OsString],
        options: CommandOptions,
    ) -> Result<Self, SourceError> {
        let name = StreamName::new("command", name, options.allow_empty)?;
        let Some((program, args)) = argv.split_first() else {
            let message = "no command: give it after --, as in command:NAME -- program arguments";
            return Err(refused(ErrorKind::Usage, &name.url, message));
        };
        let Some(program) = find(program) else {
            let program = program.to_string_lossy();
            let message = format!("there is no program {program:?} that can be run here");
            return Err(refused(ErrorKind::Unreachable, &name.url, message));
        };
        Ok(Self { name, program, args: args.to_vec(), options })
    }
}

/// Where the program lies: as the shell would look for it.
fn find(program: &OsStr) -> Option<PathBuf> {
    let can_run = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let path = PathBuf::from(program);
    if path.components().count() != 1 || program.as_encoded_bytes().contains(&b'/') {
        return can_run(&path).then_some(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| can_run(path))
}

impl Exporter for CommandExporter {
    fn describe(&self) -> Description {
        self.name.describe("command")
    }

    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let (program, args) = (self.program.clone(), self.args.clone());
        let (url, cancel) = (self.name.url.clone(), cancel.clone());
        let pass_stderr = self.options.pass_stderr;
        // Not before its turn: a dump that waits for its reader would hold its transaction open.
        let start = move || {
            let running = Running::start(&program, &args, url, cancel, pass_stderr)?;
            Ok(Box::new(running) as Box<dyn Producer>)
        };
        Ok(Box::new(StreamSession::new(self.name.clone(), Box::new(start))))
    }
}
