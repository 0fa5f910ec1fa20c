use anyhow::Result;
use restow::storage::StorageOptions;
use restow::{CreateOptions, SnapshotManager};
use serde_json::json;

use super::Context;
use crate::args::InitArgs;
use crate::error::Outcome;
use crate::location;

pub fn run(context: &Context, args: &InitArgs) -> Result<Outcome> {
    let access = location::Access::of(context, None)?;
    let place = &access.place;
    let mut options = CreateOptions::default()
        .compression(args.compression)
        .delta_depth(args.delta_depth)
        .pack_target(args.pack_size * 1024 * 1024)
        .key_label(args.label.clone());
    if let Some([min, avg, max]) = args.chunk_sizes {
        (options.chunk_min, options.chunk_avg, options.chunk_max) = (min, avg, max);
    }
    let secret = access.secret(context, true)?;
    let _gently = context.signals.gently();
    let storage = place.create(&StorageOptions::default())?;
    let id = SnapshotManager::init(&*storage, &secret, &options)?;
    let document = || json!({ "repository": id.to_hex(), "place": place.to_string() });
    let text = || println!("created repository {} at {place}", id.short());
    context.report(Outcome::Done, document, text)
}
