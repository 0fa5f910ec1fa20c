//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use restow::progress::{Event, Observer, Phase};

use super::args::Options;
use super::output::{bytes, duration, lossy};

/// What is shown while an operation runs.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Plain lines instead of a bar.
    plain: Option<Plain>,
    show_problems: bool,
    items: AtomicU64,
    total_items: AtomicU64,
}

struct Plain {
    started: Instant,
    bytes: AtomicU64,
    total: AtomicU64,
    last: Mutex<Instant>,
}

/// Between two plain lines.
const EVERY: Duration = Duration::from_secs(10);

impl Progress {
    pub fn new(options: &Options) -> Self {
        let silent = options.quiet || options.json;
        let terminal = std::io::stderr().is_terminal();
        let bar = (!silent && terminal)
            .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8)));
        let plain = (!silent && !terminal).then(|| Plain {
            started: Instant::now(),
            bytes: AtomicU64::new(0),
            total: AtomicU64::new(0),
            last: Mutex::new(Instant::now()),
        });
        Self {
            bar,
            plain,
            show_problems: !options.json,
            items: AtomicU64::new(0),
            total_items: AtomicU64::new(0),
        }
    }

    /// Whether somebody watches, so that a look ahead for totals is worth its cost.
    pub fn wants_totals(&self) -> bool {
        self.bar.is_some()
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn started(&self, phase: Phase) {
        let name = match phase {
            Phase::LoadIndex => "index",
            Phase::Backup => "backup",
            Phase::Commit => "commit",
            Phase::Restore => "restore",
            Phase::RestoreMetadata => "attributes",
            Phase::CheckNames => "names",
            Phase::CheckSnapshots => "snapshots",
            Phase::CheckData => "data",
        };
        self.items.store(0, Ordering::Relaxed);
        self.total_items.store(0, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.unset_length();
            bar.set_prefix(name);
            bar.set_style(style(false));
        }
    }

    fn total(&self, total_bytes: Option<u64>, items: Option<u64>) {
        self.total_items.store(items.unwrap_or(0), Ordering::Relaxed);
        if let (Some(bar), Some(total)) = (&self.bar, total_bytes) {
            bar.set_style(style(true));
            bar.set_length(total);
        }
        if let (Some(plain), Some(total)) = (&self.plain, total_bytes) {
            plain.total.store(total, Ordering::Relaxed);
        }
    }

    fn item(&self, count: u64) {
        let done = self.items.fetch_add(count, Ordering::Relaxed) + count;
        if let Some(bar) = &self.bar {
            let total = self.total_items.load(Ordering::Relaxed);
            bar.set_message(match total {
                0 => format!("{done} entries"),
                total => format!("{done}/{total} entries"),
            });
        }
    }
}

fn style(with_end: bool) -> ProgressStyle {
    let template = match with_end {
        true => {
            "{prefix:>10} [{bar:24}] {percent:>3}% {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta} · {msg}"
        }
        false => "{prefix:>10} {spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed} · {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Plain {
    fn advance(&self, count: u64) {
        let done = self.bytes.fetch_add(count, Ordering::Relaxed) + count;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < EVERY {
            return;
        }
        *last = Instant::now();
        let elapsed = self.started.elapsed();
        let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
        let total = self.total.load(Ordering::Relaxed);
        let end = if total > done {
            let left = Duration::from_secs_f64((total - done) as f64 / rate.max(1.0));
            format!(" of {}, about {} left", bytes(total), duration(left))
        } else {
            String::new()
        };
        eprintln!("{}{end}, {}/s", bytes(done), bytes(rate as u64));
    }
}

impl Observer for Progress {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Started(phase) => self.started(phase),
            Event::Total { bytes, items } => self.total(bytes, items),
            Event::Bytes(count) => {
                if let Some(bar) = &self.bar {
                    bar.inc(count);
                }
                if let Some(plain) = &self.plain {
                    plain.advance(count);
                }
            }
            Event::Items(count) => self.item(count),
            Event::Current(_) | Event::Finished(_) => {}
            Event::Problem { path, message } if self.show_problems => {
                let line = format!("problem: {}: {message}", lossy(path));
                match &self.bar {
                    Some(bar) => bar.suspend(|| eprintln!("{line}")),
                    None => eprintln!("{line}"),
                }
            }
            Event::Problem { .. } => {}
        }
    }
}
