//! What stays and what goes.

use std::str::FromStr;
use std::time::Duration;

use restow::{Age, Period, Reach, RetentionPolicy};

const WHICH: &str = "Which snapshots";
const RULES: &str = "Rules (any of them replaces those of restow.toml)";

#[derive(Debug, clap::Args)]
pub struct CleanupArgs {
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Only snapshots of this source: a path, a URL, a name in restow.toml, or glob:PATTERN for several
    #[arg(long, help_heading = WHICH, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only snapshots taken on this host
    #[arg(long, help_heading = WHICH, value_name = "HOST")]
    pub host: Option<String>,
    /// Only snapshots with this tag (repeatable: with all of the tags)
    #[arg(long = "tag", help_heading = WHICH, value_name = "TAG")]
    pub tags: Vec<String>,
    /// Count days, weeks, months and years in this time zone: Europe/Berlin, UTC, +05:30 [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Prune afterwards: free the space that no snapshot needs any more
    #[arg(long)]
    pub prune: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Show which rule keeps or drops each snapshot; delete nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct PruneArgs {
    /// Show what would be freed, copied and deleted; change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Declare a backup or prune dead after this long without a sign of life, which each gives every ten minutes; a
    /// backup that still lives then loses its snapshot
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1200..), value_name = "SECONDS")]
    pub expire_after: u64,
    /// Free everything if the repository has no snapshot; without this flag, prune then refuses
    #[arg(long)]
    pub empty: bool,
}

#[derive(Debug, clap::Args)]
pub struct CompactArgs {
    /// Compact packs that are older than this: 36h, 7d, 2w
    #[arg(long, default_value = "7d", value_name = "AGE")]
    pub older_than: Elapsed,
    /// Compress at this zstd level; 19 takes about a hundred times as long as 3
    #[arg(long, default_value_t = 19, value_parser = clap::value_parser!(i32).range(1..=22), value_name = "LEVEL")]
    pub compression: i32,
    /// Show what would be freed, copied and compacted; change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct RebuildIndexArgs {
    /// Read the trailers of all packs and replace all index objects, also readable ones. Also list packs that are
    /// condemned
    #[arg(long)]
    pub all: bool,
    /// Show what would be listed, replaced and removed; change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// An age by the clock: weeks of seven days of 24 hours.
#[derive(Debug, Clone, Copy)]
pub struct Elapsed(pub Duration);

impl FromStr for Elapsed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A pack may be compacted as soon as it is stored: the one stretch of time that may be empty.
        let elapsed = match text.trim().parse::<jiff::Span>() {
            Ok(span) if span.is_zero() => Some(Duration::ZERO),
            Ok(span) if span.is_positive() => text.parse::<Age>()?.by_the_clock(),
            _ => None,
        };
        elapsed
            .map(Self)
            .ok_or_else(|| "expected an age in hours, days or weeks, like 36h, 7d or 2w".to_owned())
    }
}

/// Rules, for every source and host by itself.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RuleArgs {
    /// Keep the last COUNT snapshots
    #[arg(long, help_heading = RULES, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_last: Option<u32>,
    /// Keep snapshots taken within this time before the newest: 36h, 30d, 3mo
    #[arg(long, help_heading = RULES, value_name = "AGE")]
    pub keep_within: Option<Age>,
    /// Keep the newest snapshot of each hour: of the last COUNT hours that have one, or as far back as AGE (48 or 2d)
    #[arg(long, help_heading = RULES, value_name = "COUNT|AGE")]
    pub keep_hourly: Option<Reach>,
    /// Keep the newest snapshot of each day
    #[arg(long, help_heading = RULES, value_name = "COUNT|AGE")]
    pub keep_daily: Option<Reach>,
    /// Keep the newest snapshot of each week, from Monday on
    #[arg(long, help_heading = RULES, value_name = "COUNT|AGE")]
    pub keep_weekly: Option<Reach>,
    /// Keep the newest snapshot of each month
    #[arg(long, help_heading = RULES, value_name = "COUNT|AGE")]
    pub keep_monthly: Option<Reach>,
    /// Keep the newest snapshot of each year
    #[arg(long, help_heading = RULES, value_name = "COUNT|AGE")]
    pub keep_yearly: Option<Reach>,
    /// Keep snapshots with this tag (repeatable: with any of the tags)
    #[arg(long, help_heading = RULES, value_name = "TAG")]
    pub keep_tag: Vec<String>,
    /// Drop only snapshots older than this
    #[arg(long, help_heading = RULES, value_name = "AGE")]
    pub older_than: Option<Age>,
    /// Drop the oldest snapshots until the rest fits into this size, and no more: 500M, 20G, 1T
    #[arg(long, help_heading = RULES, value_name = "BYTES", value_parser = size)]
    pub max_size: Option<u64>,
}

impl RuleArgs {
    /// `None` where no rule was said.
    pub fn policy(&self) -> Option<RetentionPolicy> {
        let policy = RetentionPolicy {
            last: self.keep_last,
            within: self.keep_within,
            periods: [
                (Period::Hour, self.keep_hourly),
                (Period::Day, self.keep_daily),
                (Period::Week, self.keep_weekly),
                (Period::Month, self.keep_monthly),
                (Period::Year, self.keep_yearly),
            ]
            .into_iter()
            .filter_map(|(period, reach)| Some((period, reach?)))
            .collect(),
            tags: self.keep_tag.clone(),
            older_than: self.older_than,
            max_size: self.max_size,
        };
        (!policy.is_nothing()).then_some(policy)
    }
}

/// Bytes: a number, with k, M, G or T for powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text.strip_prefix(digits) {
        Some("") => 0,
        Some("k" | "K") => 10,
        Some("M") => 20,
        Some("G") => 30,
        Some("T") => 40,
        _ => 64,
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| {
        let factor = 1u64.checked_shl(shift)?;
        number.checked_mul(factor)
    });
    bytes.ok_or_else(|| "expected a size like 500M, 20G or 1T".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [("1500", 1500), ("0", 0), ("2k", 2048), ("3M", 3 << 20), ("2T", 2 << 40)];
        for (said, bytes) in cases {
            assert_eq!(size(said), Ok(bytes), "{said}");
        }
        for bad in ["", "-1", "1.5M", "M", "1X", "1GiB", "99999999999999999999", "99999999T"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
