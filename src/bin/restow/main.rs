//! The restow binary: arguments to operations to output. It uses the public library only.

// std's own panic where they cannot write: `print.rs`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod print;

mod args;
mod commands;
mod config;
mod error;
mod hints;
mod jobs;
mod location;
mod log;
mod moment;
mod output;
mod progress;
mod prompt;
mod retention;
mod servers;
mod signals;
mod sources;
mod which;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use restow::Error;

use self::args::{Args, Command};
use self::commands::Context;
use self::config::Config;
use self::error::{Outcome, exit_code};
use self::signals::Signals;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => return unparsed(&error),
    };
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
    end(code, json)
}

/// Output that was lost (a full disk) is an error of its own.
fn end(code: u8, json: bool) -> ExitCode {
    match output::end() {
        Err(error) if code == 0 => {
            output::error(&error, 1, json);
            ExitCode::FAILURE
        }
        _ => ExitCode::from(code),
    }
}

/// Help, the version, and arguments that make no sense.
fn unparsed(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if !error.use_stderr() {
        output::keep(error.print());
        return end(0, json);
    }
    if json {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
        output::error(&anyhow::Error::new(Error::Usage(message)), 2, json);
    } else {
        let _ = error.print();
    }
    ExitCode::from(2)
}

fn run(args: Args) -> Result<Outcome> {
    let options = args.options;
    // These need no configuration, and must work where it is broken.
    match &args.command {
        Command::Completions(args) => return commands::completions::run(&options, args),
        Command::Man(args) => return commands::man::run(&options, args),
        _ => {}
    }
    let config = Config::load(&options)?;
    let signals = Signals::watch().context("cannot watch for signals")?;
    let context = Context { options, config, signals };
    match args.command {
        Command::Init(args) => commands::init::run(&context, &args),
        Command::Backup(args) if args.all => commands::batch::run(&context, &args),
        Command::Backup(args) => commands::backup::run(&context, &args),
        Command::Import(args) => commands::import::run(&context, &args),
        Command::List(args) => commands::list::run(&context, &args),
        Command::Show(args) => commands::show::run(&context, &args),
        Command::Restore(args) => commands::restore::run(&context, &args),
        Command::Cat(args) => commands::cat::run(&context, &args),
        Command::Export(args) => commands::export::run(&context, &args),
        Command::Delete(args) => commands::delete::run(&context, &args),
        Command::Cleanup(args) => commands::cleanup::run(&context, &args),
        Command::Prune(args) => commands::prune::run(&context, &args),
        Command::Compact(args) => commands::prune::compact(&context, &args),
        Command::RebuildIndex(args) => commands::rebuild_index::run(&context, &args),
        Command::Tag(args) => commands::tag::run(&context, &args),
        Command::Stats(args) => commands::stats::run(&context, &args),
        Command::Check(args) => commands::check::run(&context, &args),
        Command::Key(args) => commands::key::run(&context, args.command),
        Command::Completions(_) | Command::Man(_) => Ok(Outcome::Done),
    }
}
