use anyhow::{Context as _, Result};
use restow::source::SourceKinds;
use serde_json::json;

use crate::args::{self, ManArgs, Options};
use crate::error::Outcome;
use crate::output;

pub fn run(options: &Options, wanted: &ManArgs) -> Result<Outcome> {
    let folder = &wanted.to;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    clap_mangen::generate_to(args::command(&SourceKinds::default()), folder)
        .with_context(|| format!("cannot write manual pages into {}", folder.display()))?;
    if options.json {
        output::json(&json!({ "folder": folder.display().to_string() }))?;
    } else if !options.quiet {
        println!("manual pages written into {}", folder.display());
    }
    Ok(Outcome::Done)
}
