use anyhow::{Context as _, Result};
use clap::CommandFactory;
use serde_json::json;

use crate::args::{Args, ManArgs, Options};
use crate::error::Outcome;
use crate::output;

pub fn run(options: &Options, args: &ManArgs) -> Result<Outcome> {
    let folder = &args.to;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    clap_mangen::generate_to(Args::command(), folder)
        .with_context(|| format!("cannot write manual pages into {}", folder.display()))?;
    if options.json {
        output::json(&json!({ "folder": folder.display().to_string() }))?;
    } else if !options.quiet {
        println!("manual pages written into {}", folder.display());
    }
    Ok(Outcome::Done)
}
