//! The restow binary: arguments to operations to output. It uses the public library only.

#[macro_use]
mod print;

mod args;
mod commands;
mod error;
mod location;
mod output;
mod progress;
mod signals;
mod sources;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use self::commands::Context;
use self::error::{Outcome, exit_code};

fn main() -> ExitCode {
    let args = Args::parse();
    start_log(&args);
    let cancel = restow::progress::Cancel::new();
    if let Err(error) = signals::watch(&cancel) {
        tracing::warn!("signals are not watched: {error}");
    }
    let context = Context { options: args.options, cancel };
    let result = match args.command {
        Command::Init(args) => commands::init::run(&context, &args),
        Command::Backup(args) => commands::backup::run(&context, &args),
        Command::List(args) => commands::list::run(&context, &args),
        Command::Show(args) => commands::show::run(&context, &args),
        Command::Restore(args) => commands::restore::run(&context, &args),
        Command::Check(args) => commands::check::run(&context, &args),
        Command::Completions(args) => commands::completions::run(&args),
    };
    let code = match result {
        Ok(outcome) => outcome.code(),
        Err(error) => {
            let code = exit_code(&error);
            output::error(&error, code, context.options.json);
            code
        }
    };
    match output::end() {
        Err(error) if code == 0 => {
            output::error(&error, 1, context.options.json);
            ExitCode::FAILURE
        }
        _ => ExitCode::from(code),
    }
}

fn start_log(args: &Args) {
    let level = args.options.log_level.as_str();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(format!("restow={level}")))
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .try_init();
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Incomplete => 3,
            Self::Damaged => 4,
        }
    }
}
