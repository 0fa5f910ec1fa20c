use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs};
use crate::error::Outcome;

pub fn run(args: &CompletionsArgs) -> Result<Outcome> {
    clap_complete::generate(args.shell, &mut Args::command(), "restow", &mut std::io::stdout());
    Ok(Outcome::Done)
}
