//! Streams as kinds of sources: what a program prints, and standard input.

use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use super::stream::refused;
use super::{CommandExporter, CommandOptions, StdinExporter};
use crate::fault::ErrorKind;
use crate::source::kind::{
    OptionSet, OptionValues, Purpose, SourceContext, SourceKind, after_scheme, read_options,
};
use crate::source::{Exporter, SourceError};

/// A stream: what a program prints, or standard input.
struct Stream {
    schemes: &'static [&'static str],
    only_one: &'static str,
    runs_program: bool,
}

/// `command:NAME`, and a program.
pub fn command() -> impl SourceKind {
    Stream {
        schemes: &["command"],
        only_one: "one command: source a run, since one program stands after --",
        runs_program: true,
    }
}

/// `stdin:NAME`.
pub fn stdin() -> impl SourceKind {
    Stream {
        schemes: &["stdin"],
        only_one: "standard input can be read once only: one stdin: source a run",
        runs_program: false,
    }
}

/// How streams are read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With streams"))]
#[serde(default, rename_all = "kebab-case")]
struct StreamOptions {
    /// Accept empty output of a command and empty standard input
    #[cfg_attr(feature = "cli", arg(long))]
    allow_empty: bool,
}

impl Stream {
    /// What it is called.
    fn called<'t>(&self, text: &'t OsStr) -> Result<&'t str, SourceError> {
        after_scheme(text, self.schemes).to_str().ok_or_else(|| {
            refused(ErrorKind::Usage, &text.to_string_lossy(), "a stream's name must be UTF-8")
        })
    }
}

impl SourceKind for Stream {
    fn name(&self) -> &str {
        self.schemes.first().copied().unwrap_or_default()
    }

    fn recorded(&self) -> &[&str] {
        self.schemes
    }

    fn schemes(&self) -> &[&str] {
        self.schemes
    }

    fn check(&self, text: &OsStr) -> Result<(), SourceError> {
        self.called(text).map(|_| ())
    }

    fn options(&self, purpose: Purpose) -> OptionSet {
        match purpose {
            Purpose::Backup => OptionSet::of::<StreamOptions>(),
            Purpose::Restore => OptionSet::none(),
        }
    }

    fn only_one(&self) -> Option<&str> {
        Some(self.only_one)
    }

    fn runs_program(&self) -> bool {
        self.runs_program
    }

    fn exporter(
        &self,
        text: &OsStr,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        let StreamOptions { allow_empty } = read_options(options)?;
        let name = self.called(text)?;
        if !self.runs_program {
            return Ok(Box::new(StdinExporter::new(name, allow_empty)?));
        }
        let options = CommandOptions { allow_empty, pass_stderr: context.pass_stderr };
        Ok(Box::new(CommandExporter::new(name, &context.program, options)?))
    }
}
