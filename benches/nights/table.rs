//! What is printed: a line a night, then what it comes to and whether that is within the bounds.

use super::repository::{Restored, Taken};
use super::series::Bounds;

const PEAK_MAX: u64 = 256 << 20;
const METADATA_GOAL: f64 = 120.0;

/// Night 0 is the first backup.
pub struct Night {
    pub number: u32,
    pub taken: Taken,
    /// Its speed as a part of that of a first backup of the same data (see the module `speed`).
    pub against_first: Option<f64>,
    /// Bytes of all objects new in the repository.
    pub growth: u64,
    pub patch: Option<u64>,
    pub restic: Option<u64>,
}

pub struct Table {
    peer: &'static str,
    nights: Vec<Night>,
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl Night {
    /// What the blocks of new chunks take.
    fn coded(&self) -> u64 {
        self.taken.statistics.plain_stored + self.taken.statistics.delta_stored
    }

    fn rate(&self) -> f64 {
        mb(self.taken.statistics.logical_bytes) / self.taken.seconds
    }

    fn times(&self, bytes: u64) -> Option<f64> {
        Some(bytes as f64 / self.patch? as f64)
    }
}

impl Table {
    pub fn new(peer: &'static str, has_restic: bool) -> Self {
        let restic = if has_restic { "    restic" } else { "" };
        println!(
            "  MB:       raw   new chunks    plain as  delta raw        as  metadata    growth  {peer:>8}  times      MB/s  of first{restic}"
        );
        Self { peer, nights: Vec::new() }
    }

    pub fn add(&mut self, night: Night) {
        let all = &night.taken.statistics;
        let or_none = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let restic = night.restic.map_or_else(String::new, |bytes| format!("{:>10.3}", mb(bytes)));
        println!(
            "  {:<5} {:>7.1} {:>12} {:>11.3} {:>10.3} {:>9.3} {:>9.3} {:>9.3}  {:>8}  {:>5}  {:>8.0}  {:>8}{restic}",
            night.number,
            mb(all.logical_bytes),
            all.new_chunks,
            mb(all.plain_stored),
            mb(all.delta_bytes),
            mb(all.delta_stored),
            mb(all.metadata_stored),
            mb(night.growth),
            or_none(night.patch.map(mb), 3),
            or_none(night.times(night.growth), 2),
            night.rate(),
            or_none(night.against_first, 2),
        );
        self.nights.push(night);
    }

    fn later(&self) -> &[Night] {
        &self.nights[1..]
    }

    /// The mean of what a night gives, and the highest with its night.
    fn mean_and_worst(&self, of: impl Fn(&Night) -> Option<f64>) -> Option<(f64, f64, u32)> {
        let values: Vec<_> =
            self.later().iter().filter_map(|night| Some((of(night)?, night.number))).collect();
        let worst = values.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
        let mean = values.iter().map(|value| value.0).sum::<f64>() / values.len() as f64;
        Some((mean, worst.0, worst.1))
    }

    /// Growth of all nights against the patches there are, an average night each.
    fn overall(&self) -> Option<f64> {
        let patches: Vec<_> = self.later().iter().filter_map(|night| night.patch).collect();
        let growth = self.later().iter().map(|night| night.growth).sum::<u64>() as f64;
        let patch = patches.iter().sum::<u64>() as f64 / patches.len().max(1) as f64;
        (patch > 0.0).then(|| growth / self.later().len() as f64 / patch)
    }
}

fn say(what: &str, bound: &str, is_met: bool) {
    println!("  {what}; {bound}: {}", if is_met { "met" } else { "missed" });
}

fn say_at_least(what: &str, value: f64, bound: Option<f64>) {
    match bound {
        Some(bound) => say(what, &format!("at least {bound}"), value >= bound),
        None => println!("  {what}"),
    }
}

pub fn verdict(table: &Table, restores: &[Restored; 2], bounds: &Bounds) {
    sizes(table, bounds);
    let later = table.later();
    let first = &table.nights[0];
    let share = |night: &Night| night.against_first.unwrap_or(night.rate() / first.rate());
    let shares: Vec<_> = later.iter().map(share).collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let slowest = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let what = format!(
        "backup: first {:.0} MB/s, a night {mean:.2} of that on average, the slowest {slowest:.2}",
        first.rate()
    );
    say_at_least(&what, slowest, bounds.backup_speed);
    let last = later.last().unwrap_or(first);
    let rate = |night: &Night, restored: &Restored| {
        mb(night.taken.statistics.logical_bytes) / restored.seconds
    };
    let rates = [rate(first, &restores[0]), rate(last, &restores[1])];
    let what = format!(
        "restore: night 0 {:.0} MB/s, night {} {:.0} MB/s, {:.2} of that",
        rates[0],
        last.number,
        rates[1],
        rates[1] / rates[0]
    );
    say_at_least(&what, rates[1] / rates[0], bounds.restore_speed);
    let backed_up = last.taken.peak;
    let peak = restores.iter().map(|restored| restored.peak).fold(backed_up, u64::max);
    let what = format!("peak RSS {} MiB after the backups, {} in all", backed_up >> 20, peak >> 20);
    say(&what, "under 256 MiB", peak < PEAK_MAX);
}

fn sizes(table: &Table, bounds: &Bounds) {
    if let Some((mean, worst, night)) = table.mean_and_worst(|night| night.times(night.growth)) {
        let overall = table.overall().unwrap_or(f64::INFINITY);
        let is_met = bounds.growth_mean.is_none_or(|most| mean.max(overall) <= most)
            && bounds.growth_worst.is_none_or(|most| worst <= most);
        let what = format!(
            "growth / {}: mean of the nights compared {mean:.2}, of all nights against their average {overall:.2}, worst {worst:.2} (night {night})",
            table.peer
        );
        let bound = match (bounds.growth_mean, bounds.growth_worst) {
            (Some(mean), Some(worst)) => {
                format!("at most {mean} on average and {worst} in any night")
            }
            (None, Some(worst)) => format!("at most {worst} in any night"),
            _ => String::new(),
        };
        say(&what, &bound, is_met);
    }
    if let Some(most) = bounds.coded_worst
        && let Some((mean, worst, night)) = table.mean_and_worst(|night| night.times(night.coded()))
    {
        let what = format!(
            "coded bytes of chunks / {}: mean {mean:.2}, worst {worst:.2} (night {night})",
            table.peer
        );
        say(&what, &format!("at most {most} in any night"), worst <= most);
    }
    let sum = |of: fn(&Night) -> u64| table.later().iter().map(of).sum::<u64>();
    let (growth, coded) = (sum(|night| night.growth), sum(Night::coded));
    let chunks = sum(|night| night.taken.statistics.new_chunks);
    let each = growth.saturating_sub(coded) as f64 / chunks.max(1) as f64;
    let what = format!("all but coded chunks: {each:.0} bytes a new chunk ({chunks} chunks)");
    say(&what, &format!("goal {METADATA_GOAL}"), each <= METADATA_GOAL);
}
