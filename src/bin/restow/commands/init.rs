use anyhow::Result;
use restow::repo::{CreateOptions, Identity, create};
use restow::storage::Local;
use serde_json::json;

use super::Context;
use crate::args::InitArgs;
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &InitArgs) -> Result<Outcome> {
    let access = location::Access::of(context, None)?;
    let place = &access.place;
    let mut options = CreateOptions {
        compression: args.compression,
        delta_depth: args.delta_depth,
        pack_target: args.pack_size * 1024 * 1024,
        key_label: args.label.clone(),
        ..CreateOptions::default()
    };
    if let Some([min, avg, max]) = args.chunk_sizes {
        (options.chunk_min, options.chunk_avg, options.chunk_max) = (min, avg, max);
    }
    let secret = access.secret(context, true)?;
    let _gently = context.signals.gently();
    let storage = Local::create(place)?;
    let id = create(&storage, &secret, &options, &Identity::of_this_process())?;
    if context.options.json {
        output::json(&json!({ "repository": id.to_hex(), "place": place.display().to_string() }))?;
    } else if !context.options.quiet {
        println!("made repository {} at {}", id.short(), place.display());
        println!("Keep the passphrase or key file: without it nothing can be restored.");
    }
    Ok(Outcome::Done)
}
