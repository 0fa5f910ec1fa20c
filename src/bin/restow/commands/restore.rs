use std::io::IsTerminal;

use anyhow::{Context as _, Result, bail};
use restow::source::SourceError;
use restow::{
    Error as OpError, Event, Losses, LostStretch, Observer, RestorePlan, RestoreReport, Selection,
    Selector,
};
use serde_json::json;

use super::Context;
use super::gaps::Missing;
use super::restore_jobs::{RestoreJob, Restoring, To, jobs, left_out};
use crate::args::RestoreArgs;
use crate::error::Outcome;
use crate::progress::Progress;
use crate::{location, output, prompt};

pub fn run(context: &Context, args: &RestoreArgs) -> Result<Outcome> {
    let selection = Selection::only(&args.only).context("--only")?;
    let to = To::of(args)?;
    let manager = location::open(context)?;
    let (selector, filter) = (Selector::new(&args.id), args.filter.to_filter(context)?);
    let snapshot = manager.find(&selector, &filter)?;
    let view = manager.view(&snapshot)?;
    let selection = selection.literal_first(&view)?;
    let of_latest = (selector == Selector::Latest).then_some(&filter);
    let missing = Missing::of(&manager, &view, &selection, of_latest)?;
    let jobs = jobs(&view, &selection, &to, args)?;
    let restoring = Restoring { context, args, view: &view, selection: &selection };
    let mut planned = jobs
        .iter()
        .map(|job| restoring.plan(job, args.overwrite))
        .collect::<Result<Vec<_>, OpError>>()?;
    let plans: Vec<_> = planned.iter_mut().map(|(_, plan)| std::mem::take(plan)).collect();
    if args.dry_run {
        return show_plan(context, &jobs, &plans, &missing);
    }
    confirm(context, &jobs, &plans, args)?;

    let _gently = context.signals.gently();
    let progress = Progress::new(&context.options);
    let bytes = plans.iter().map(|plan| plan.bytes).sum();
    let items = plans.iter().map(RestorePlan::entries).sum();
    let observer = WithTotal { progress: &progress, bytes, items };
    let mut total = RestoreReport::default();
    total.notes.extend(left_out(&view, &jobs));
    for ((job, plan), (writer, _)) in jobs.iter().zip(&plans).zip(planned) {
        let done = restoring.restore(job, plan, writer, &observer, &mut total);
        if let Err(error) = done {
            progress.clear();
            // What was done before it should be known all the same.
            output::problems("damaged", &total.damaged, total.damaged_count);
            output::problems("problem", &total.problems, total.problem_count);
            total.notes.iter().for_each(|note| eprintln!("{note}"));
            return Err(error.into());
        }
    }
    progress.clear();
    finish(context, &snapshot.id.to_hex(), &jobs, &total, &missing)
}

/// The totals are known from the plan: they follow the start of the phase. What goes wrong is listed at the
/// end.
struct WithTotal<'p> {
    progress: &'p Progress,
    bytes: u64,
    items: u64,
}

impl Observer for WithTotal<'_> {
    fn on(&self, event: Event<'_>) {
        if matches!(event, Event::Problem { .. }) {
            return;
        }
        let starts = event == Event::Started(restow::Phase::Restore);
        self.progress.on(event);
        if starts {
            self.progress.on(Event::Total { bytes: Some(self.bytes), items: Some(self.items) });
        }
    }
}

/// Asks only when something would be replaced. Without a terminal there is nobody to ask.
fn confirm(
    context: &Context,
    jobs: &[RestoreJob],
    plans: &[RestorePlan],
    args: &RestoreArgs,
) -> Result<()> {
    let replaced: u64 = plans.iter().map(|plan| plan.replaced).sum();
    if replaced == 0 || args.overwrite {
        return Ok(());
    }
    let mut shown = 0;
    for (job, plan) in jobs.iter().zip(plans) {
        for (path, what) in plan.replacements.iter().take(20) {
            eprintln!("would replace {}/{}: {what}", job.place(), path.display());
            shown += 1;
        }
    }
    if replaced > shown {
        eprintln!("and {} more, which --dry-run names", replaced - shown);
    }
    let refused = |message: String| {
        let path = jobs.iter().map(RestoreJob::place).collect::<Vec<_>>();
        let kind = restow::ErrorKind::Exists;
        OpError::from(SourceError::Refused { kind, path: path.join(", "), message })
    };
    if context.options.json || !std::io::stdin().is_terminal() {
        bail!(refused(format!("{replaced} things would be replaced: --overwrite allows it")));
    }
    let question = format!("Type yes to replace {replaced} things: ");
    if prompt::ask(&context.signals, &question, false)?.trim() != "yes" {
        bail!(refused("not confirmed, nothing was changed".into()));
    }
    Ok(())
}

fn show_plan(
    context: &Context,
    jobs: &[RestoreJob],
    plans: &[RestorePlan],
    missing: &Missing,
) -> Result<Outcome> {
    let is_damaged = plans.iter().any(|plan| plan.losses.entries > 0);
    let problems = plans.iter().map(|plan| plan.problem_count).sum::<u64>();
    let outcome = outcome(is_damaged, problems + missing.count());
    let describe = |(job, plan): (&RestoreJob, &RestorePlan)| {
        let replacements: Vec<_> = plan
            .replacements
            .iter()
            .map(|(path, what)| json!({ "path": path.display(), "now": what }))
            .collect();
        json!({
            "target": job.place(),
            "new": plan.new,
            "kept": plan.kept,
            "replaced": plan.replaced,
            "bytes": plan.bytes,
            "replacements": replacements,
            "lost_count": plan.losses.entries,
            "lost": lost_json(&plan.losses),
            "problem_count": plan.problem_count,
            "problems": plan.problems.iter().map(output::problem_json).collect::<Vec<_>>(),
            "notes": plan.notes,
        })
    };
    if context.options.json {
        let plans: Vec<_> = jobs.iter().zip(plans).map(describe).collect();
        let mut document = json!({ "dry_run": true, "plans": plans });
        missing.add_to(&mut document);
        output::json(&document)?;
        return Ok(outcome);
    }
    missing.show();
    for (job, plan) in jobs.iter().zip(plans) {
        show_losses(&plan.losses);
        output::problems("problem", &plan.problems, plan.problem_count);
        for (path, what) in &plan.replacements {
            println!("replace {}: {what}", output::lossy(path.as_bytes()));
        }
        println!(
            "{}: {} new, {} replaced, {} kept, {}",
            job.place(),
            plan.new,
            plan.replaced,
            plan.kept,
            output::bytes(plan.bytes)
        );
    }
    Ok(outcome)
}

fn finish(
    context: &Context,
    id: &str,
    jobs: &[RestoreJob],
    report: &RestoreReport,
    missing: &Missing,
) -> Result<Outcome> {
    if context.options.json {
        let mut document = json!({
            "id": id,
            "targets": jobs.iter().map(RestoreJob::place).collect::<Vec<_>>(),
            "entries": report.entries,
            "bytes": report.bytes,
            "kept_bytes": report.kept_bytes,
            "damaged_count": report.damaged_count,
            "damaged": report.damaged.iter().map(output::problem_json).collect::<Vec<_>>(),
            "lost_count": report.losses.entries,
            "lost": lost_json(&report.losses),
            "problem_count": report.problem_count,
            "problems": report.problems.iter().map(output::problem_json).collect::<Vec<_>>(),
            "notes": report.notes,
        });
        missing.add_to(&mut document);
        output::json(&document)?;
    } else {
        missing.show();
        show_losses(&report.losses);
        output::problems("damaged", &report.damaged, report.damaged_count);
        output::problems("problem", &report.problems, report.problem_count);
        if !context.options.quiet {
            println!(
                "restored {} entries, {} ({} were already right)",
                report.entries,
                output::bytes(report.bytes),
                output::bytes(report.kept_bytes)
            );
            for note in &report.notes {
                println!("  {note}");
            }
        }
    }
    Ok(outcome(report.is_damaged(), report.problem_count + missing.count()))
}

fn outcome(is_damaged: bool, problems: u64) -> Outcome {
    match (is_damaged, problems) {
        (true, _) => Outcome::Damaged,
        (false, 0) => Outcome::Done,
        (false, _) => Outcome::Incomplete,
    }
}

fn show_losses(losses: &Losses) {
    for lost in losses.stretches.iter().take(output::SHOWN) {
        let last = output::lossy(lost.last.as_bytes());
        eprintln!("lost: {} entries up to {last}: {}", lost.entries, lost.message);
    }
    if losses.stretches.len() > output::SHOWN {
        eprintln!("and more: {} entries are lost in all", losses.entries);
    }
}

fn lost_json(losses: &Losses) -> Vec<serde_json::Value> {
    let one = |lost: &LostStretch| {
        let last = output::lossy(lost.last.as_bytes());
        json!({ "entries": lost.entries, "last": last, "message": lost.message })
    };
    losses.stretches.iter().map(one).collect()
}
