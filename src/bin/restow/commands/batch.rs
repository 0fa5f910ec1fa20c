//! `backup --all`: every named source, a snapshot each.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use restow::{Error, SnapshotManager};
use serde_json::json;

use super::Context;
use super::backup::{self, Taken};
use crate::args::BackupArgs;
use crate::error::{Outcome, exit_code};
use crate::jobs::Job;
use crate::location::Access;
use crate::output;

/// What became of one source.
struct Done<'n> {
    source: &'n str,
    result: Result<Taken>,
}

impl Done<'_> {
    fn code(&self) -> u8 {
        match &self.result {
            Ok(Taken { failed: Some(error), .. }) => exit_code(error),
            Ok(taken) => taken.outcome().code(),
            Err(error) => exit_code(error),
        }
    }
}

pub fn run(context: &Context, args: &BackupArgs) -> Result<Outcome> {
    let names: Vec<&str> = context.config.sources.keys().map(String::as_str).collect();
    if names.is_empty() {
        bail!(Error::Usage("--all: restow.toml has no [sources.NAME]".into()));
    }
    let mut opened = Opened::default();
    let mut all = Vec::new();
    for source in &names {
        let result = one(context, args, source, &mut opened);
        let done = Done { source, result };
        if !context.options.json {
            show(context, &done);
        }
        let code = done.code();
        all.push(done);
        let failed = !matches!(code, 0 | 3);
        if code == 130 || (failed && !args.keep_going) {
            break;
        }
    }
    finish(context, &all, names.len())
}

/// Repositories stay open from one source to the next: each asks for its passphrase once.
#[derive(Default)]
struct Opened(BTreeMap<String, SnapshotManager>);

impl Opened {
    fn get(&mut self, context: &Context, access: &Access) -> Result<&SnapshotManager> {
        use std::collections::btree_map::Entry;
        Ok(match self.0.entry(access.place.to_string()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(access.open(context)?),
        })
    }
}

fn one(context: &Context, args: &BackupArgs, source: &str, opened: &mut Opened) -> Result<Taken> {
    let job = Job::of_source(context, source, args)?;
    let access = Access::of(context, job.repository.as_deref())?;
    let exporters = job.exporters(context, &access)?;
    let manager = opened.get(context, &access)?;
    if !args.dry_run {
        access.sweep();
    }
    backup::take(context, manager, &job, &exporters)
}

fn show(context: &Context, done: &Done<'_>) {
    match &done.result {
        Ok(taken) => {
            if !context.options.quiet {
                println!("{}:", done.source);
                taken.print();
            }
            if let Some(error) = &taken.failed {
                eprintln!("restow: {}: {}", done.source, output::chain(error));
            }
        }
        Err(error) => eprintln!("restow: {}: {}", done.source, output::chain(error)),
    }
}

fn finish(context: &Context, all: &[Done<'_>], wanted: usize) -> Result<Outcome> {
    let worst = all.iter().map(Done::code).max_by_key(|code| severity(*code)).unwrap_or(0);
    let good = all.iter().filter(|done| done.code() == 0).count();
    let incomplete = all.iter().filter(|done| done.code() == 3).count();
    let failed = all.len() - good - incomplete;
    let skipped = wanted - all.len();
    if context.options.json {
        let results: Vec<_> = all.iter().map(to_json).collect();
        output::json(&json!({
            "results": results,
            "good": good,
            "incomplete": incomplete,
            "failed": failed,
            "not_tried": skipped,
        }))?;
    } else if !context.options.quiet || failed > 0 {
        let line =
            format!("{good} good, {incomplete} incomplete, {failed} failed, {skipped} not tried");
        if failed > 0 { eprintln!("restow: {line}") } else { println!("{line}") }
    }
    Ok(Outcome::Code(worst))
}

fn to_json(done: &Done<'_>) -> serde_json::Value {
    let failed = match &done.result {
        Ok(taken) => taken.failed.as_ref(),
        Err(error) => Some(error),
    };
    json!({
        "source": done.source,
        "exit_code": done.code(),
        "error": failed.map(output::chain),
        "backup": done.result.as_ref().ok().map(Taken::to_json),
    })
}

/// Incomplete is better than failed; among failures damage is worst, then those that no other attempt mends.
fn severity(code: u8) -> u8 {
    match code {
        0 => 0,
        3 => 1,
        8 => 2,
        7 => 3,
        2 => 4,
        5 => 5,
        6 => 6,
        1 => 7,
        9 => 8,
        4 => 9,
        _ => 10,
    }
}
