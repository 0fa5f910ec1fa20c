//! Which source a user means: one that restow.toml names, a path or URL as it is, or a pattern that says so.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;
use restow::{Error, Filter, SourceMatch};

use super::args::{BackupArgs, FilterArgs};
use super::commands::Context;
use super::jobs::Job;
use super::sources::{SourceSettings, SourceSpec};

/// A pattern follows it.
const GLOB: &str = "glob:";

impl FilterArgs {
    /// The snapshots that these flags let through.
    pub fn to_filter(&self, context: &Context) -> Result<Filter> {
        let source = self.source.as_deref().map(|text| source(context, text)).transpose()?;
        let filter = Filter::default()
            .source(source)
            .host(self.host.clone())
            .tags(self.tags.clone())
            .name(self.name.clone())
            .since(self.since)
            .before(self.before);
        Ok(filter)
    }
}

/// What `--source` says.
pub fn source(context: &Context, text: &str) -> Result<SourceMatch> {
    if let Some(pattern) = text.strip_prefix(GLOB) {
        return Ok(SourceMatch::glob(pattern).map_err(Error::from)?);
    }
    if context.config.sources.contains_key(text) {
        let job = Job::of_source(&context.config, text, &BackupArgs::default())?;
        let parts = job.parts.iter();
        let urls = parts.flat_map(|part| urls(&part.spec, &part.settings)).collect();
        return Ok(SourceMatch::Exactly(urls));
    }
    // A path on another machine looks like nothing here: the text may be all there is to go by.
    let mut named = BTreeSet::from([text.to_owned(), text.trim_end_matches('/').to_owned()]);
    if let Ok(spec) = SourceSpec::parse(OsStr::new(text), &[]) {
        named.extend(urls(&spec, &SourceSettings::default()));
    }
    Ok(SourceMatch::Exactly(named.into_iter().collect()))
}

/// What manifests call a source: as its exporter says, else where it was when it was there.
fn urls(spec: &SourceSpec, settings: &SourceSettings) -> Vec<String> {
    if let Ok(exporter) = spec.resolve(settings) {
        return vec![exporter.describe().url];
    }
    let of_path = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        Some(path.to_str()?.trim_end_matches('/').to_owned())
    };
    match spec {
        SourceSpec::Path(path) | SourceSpec::Sqlite(path) | SourceSpec::QdrantFile(path) => {
            of_path(path).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
