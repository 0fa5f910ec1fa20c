use anyhow::Result;
use restow::source::SourceKinds;
use serde_json::json;

use crate::args::{self, CompletionsArgs, Options};
use crate::error::Outcome;
use crate::output;

pub fn run(options: &Options, wanted: &CompletionsArgs) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(
        wanted.shell,
        &mut args::command(&SourceKinds::default()),
        "restow",
        &mut script,
    );
    let script = String::from_utf8_lossy(&script);
    if options.json {
        output::json(&json!({ "shell": wanted.shell.to_string(), "script": script }))?;
    } else {
        println!("{}", script.trim_end());
    }
    Ok(Outcome::Done)
}
