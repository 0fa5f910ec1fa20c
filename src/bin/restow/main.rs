//! The restow binary: arguments to operations to output. It uses the public library only.

mod args;
mod commands;
mod config;
mod error;
mod jobs;
mod location;
mod log;
mod output;
mod progress;
mod prompt;
mod signals;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

use self::args::{Args, Command};
use self::commands::Context;
use self::config::Config;
use self::error::{Outcome, exit_code};
use self::signals::Signals;

fn main() -> ExitCode {
    let args = Args::parse();
    log::start(&args.options);
    let json = args.options.json;
    let code = match run(args) {
        Ok(outcome) => outcome.code(),
        Err(error) => {
            let code = exit_code(&error);
            output::error(&error, code, json);
            code
        }
    };
    // A pipe that was closed early is its reader's business.
    let _ = std::io::stdout().flush();
    ExitCode::from(code)
}

fn run(args: Args) -> Result<Outcome> {
    let options = args.options;
    // These need no configuration, and must work where it is broken.
    match &args.command {
        Command::Completions(args) => return commands::completions::run(args),
        Command::Man(args) => return commands::man::run(&options, args),
        _ => {}
    }
    let config = Config::load(&options)?;
    let signals = Signals::watch().context("cannot watch for signals")?;
    let context = Context { options, config, signals };
    match args.command {
        Command::Init(args) => commands::init::run(&context, &args),
        Command::Backup(args) => commands::backup::run(&context, &args),
        Command::List(args) => commands::list::run(&context, &args),
        Command::Show(args) => commands::show::run(&context, &args),
        Command::Restore(args) => commands::restore::run(&context, &args),
        Command::Check(args) => commands::check::run(&context, &args),
        Command::Completions(_) | Command::Man(_) => Ok(Outcome::Done),
    }
}
