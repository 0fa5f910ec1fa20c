//! Which source a user means: one that restow.toml names, a path or URL as it is, or a pattern that says so.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use anyhow::Result;
use restow::source::kind::OptionValues;
use restow::{Error, Filter, SourceMatch};

use super::args::{BackupArgs, FilterArgs};
use super::commands::Context;
use super::jobs::{Job, Part};

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
        let job = Job::of_source(context, text, &BackupArgs::default())?;
        let identities = job.identities(context)?.into_iter();
        return Ok(SourceMatch::Exactly(identities.map(|described| described.url).collect()));
    }
    // A path on another machine looks like nothing here: the text may be all there is to go by.
    let mut named = BTreeSet::from([text.to_owned(), text.trim_end_matches('/').to_owned()]);
    if let Ok(source) = context.kinds.source(OsStr::new(text)) {
        let part = Part { source, options: OptionValues::new(), program: Vec::new() };
        named.extend(part.identity(context).ok().map(|described| described.url));
    }
    Ok(SourceMatch::Exactly(named.into_iter().collect()))
}
