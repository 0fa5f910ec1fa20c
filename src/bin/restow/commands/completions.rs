use anyhow::Result;
use clap::CommandFactory;
use serde_json::json;

use crate::args::{Args, CompletionsArgs, Options};
use crate::error::Outcome;
use crate::output;

pub fn run(options: &Options, args: &CompletionsArgs) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "restow", &mut script);
    let script = String::from_utf8_lossy(&script);
    if options.json {
        output::json(&json!({ "shell": args.shell.to_string(), "script": script }))?;
    } else {
        println!("{}", script.trim_end());
    }
    Ok(Outcome::Done)
}
