use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs};
use crate::error::Outcome;

pub fn run(args: &CompletionsArgs) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "restow", &mut script);
    println!("{}", String::from_utf8(script)?.trim_end());
    Ok(Outcome::Done)
}
