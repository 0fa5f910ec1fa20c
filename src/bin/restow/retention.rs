//! Which rules count: those that were said, else those of restow.toml, else the default.

use anyhow::{Context as _, Result};
use jiff::Zoned;
use jiff::fmt::temporal::DateTimeParser;
use restow::{
    Error, Filter, RetentionGroup, RetentionOptions, RetentionPlan, RetentionPolicy,
    RetentionReport, local_now,
};
use serde_json::{Value, json};

use super::args::{BackupArgs, CleanupArgs};
use super::commands::Context;
use super::config::Config;
use super::jobs::Job;
use super::location::Access;
use super::{output, which};

/// What `restow cleanup` plans with.
pub fn of_arguments(
    context: &Context,
    args: &CleanupArgs,
    access: &Access,
    host: &str,
) -> Result<RetentionOptions> {
    let (policy, own) = match args.rules.policy() {
        Some(policy) => (policy, Vec::new()),
        None => (common(&context.config), own(context, access, host)?),
    };
    let source = args.source.as_deref().map(|text| which::source(context, text)).transpose()?;
    let filter = Filter::default().source(source).host(args.host.clone()).tags(args.tags.clone());
    let now = now(&context.config, args.timezone.as_deref())?;
    Ok(RetentionOptions::default().policy(policy).own(own).filter(filter).now(now))
}

/// What a backup plans with: for what has the same sources as the snapshot that it took.
pub fn of_job(context: &Context, job: &Job) -> Result<RetentionOptions> {
    let policy = match job.retention()? {
        Some(policy) => policy.clone(),
        None => common(&context.config),
    };
    let now = now(&context.config, None)?;
    Ok(RetentionOptions::default().policy(policy).now(now))
}

fn common(config: &Config) -> RetentionPolicy {
    config.retention.as_ref().map(|configured| configured.policy()).unwrap_or_default()
}

/// Now, in the zone that counts.
fn now(config: &Config, said: Option<&str>) -> Result<Zoned, Error> {
    let Some(zone) = said.or(config.timezone.as_deref()) else {
        return local_now()
            .map_err(|error| Error::Usage(format!("{error}: say --timezone, or set TZ")));
    };
    let unknown = |error: jiff::Error| {
        Error::Usage(format!(
            "unknown time zone {zone:?}: expected one like Europe/Berlin, UTC or +05:30: {error}"
        ))
    };
    let zone = DateTimeParser::new().parse_time_zone(zone).map_err(unknown)?;
    Ok(Zoned::now().with_time_zone(zone))
}

/// The sources of restow.toml that have rules of their own, as their snapshots here name them.
fn own(
    context: &Context,
    access: &Access,
    host: &str,
) -> Result<Vec<(RetentionGroup, RetentionPolicy)>> {
    let mut all = Vec::new();
    for (name, source) in &context.config.sources {
        let Some(retention) = &source.retention else { continue };
        let job = Job::of_source(&context.config, name, &BackupArgs::default())?;
        let exporters = job.exporters(context, access).with_context(|| {
            format!(
                "cannot tell which snapshots belong to source {name:?}, which has its own rules: give rules \
                 on the command line, or --source for other sources"
            )
        })?;
        let sources = exporters.iter().map(|exporter| {
            let described = exporter.describe();
            (described.kind, described.url)
        });
        all.push((RetentionGroup::new(host, sources), retention.policy()));
    }
    Ok(all)
}

pub fn to_json(plan: &RetentionPlan, report: Option<&RetentionReport>) -> Value {
    let hex = |ids: &[restow::SnapshotId]| ids.iter().map(|id| id.to_hex()).collect::<Vec<_>>();
    let snapshots: Vec<Value> = plan
        .verdicts
        .iter()
        .map(|verdict| {
            let it = &verdict.snapshot;
            let rules = verdict.rules().into_iter();
            json!({
                "id": it.id.to_hex(),
                "name": it.name,
                "time": output::rfc3339(it.time),
                "host": it.group.host,
                "sources": it.group.sources.iter().map(|(_, url)| url).collect::<Vec<_>>(),
                "kept": !verdict.is_dropped(),
                "rules": rules.map(|(rule, words)| json!({ "rule": rule, "reason": words })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let budgets: Vec<Value> =
        plan.budgets
            .iter()
            .map(|budget| {
                let of = budget.group.as_ref().map(|group| {
                    group.sources.iter().map(|(_, url)| url.as_str()).collect::<Vec<_>>()
                });
                json!({
                    "sources": of,
                    "max_bytes": budget.max,
                    "before_bytes": budget.before,
                    "after_bytes": budget.after,
                })
            })
            .collect();
    let none = RetentionReport::default();
    let done = report.unwrap_or(&none);
    json!({
        "dry_run": report.is_none(),
        "time": plan.now.timestamp().to_string(),
        "timezone": zone_name(plan),
        "snapshots": snapshots,
        "budgets": budgets,
        "unreadable": output::unreadable_json(&plan.unreadable),
        "deleted": hex(&done.deleted),
        "notes": done.notes,
        "gone": hex(&done.gone),
        "prune": Value::Null,
        "spared": hex(&done.spared),
    })
}

/// The zone's name, or its offset now where it has none.
pub fn zone_name(plan: &RetentionPlan) -> String {
    match plan.now.time_zone().iana_name() {
        Some(name) => name.to_owned(),
        None => plan.now.strftime("%:z").to_string(),
    }
}
