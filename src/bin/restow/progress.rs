//! Progress on standard error: a bar on a terminal, a line now and then elsewhere, or JSON lines.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use restow::{Event, Observer, Phase};
use serde_json::json;

use super::args::{Options, ProgressStyle};
use super::output::{bytes, duration, lossy};

/// What is shown while an operation runs.
pub struct Progress {
    shown: Shown,
    show_problems: bool,
    started: Instant,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    items: AtomicU64,
    total_items: AtomicU64,
    /// When the last line was printed, and the phase.
    last: Mutex<(Instant, &'static str)>,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    /// Plain lines instead of a bar.
    Plain,
    Json,
}

/// Between two plain lines.
const EVERY: Duration = Duration::from_secs(10);
/// Between two JSON lines.
const EVERY_JSON: Duration = Duration::from_secs(1);

impl Progress {
    pub fn new(options: &Options) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let style = match options.progress {
            ProgressStyle::Auto if options.quiet || options.json => ProgressStyle::None,
            ProgressStyle::Auto if terminal => ProgressStyle::Bar,
            ProgressStyle::Auto => ProgressStyle::Lines,
            said => said,
        };
        let shown = match style {
            ProgressStyle::Auto | ProgressStyle::None => Shown::Nothing,
            ProgressStyle::Bar => {
                let target = ProgressDrawTarget::stderr_with_hz(8);
                Shown::Bar(ProgressBar::with_draw_target(None, target))
            }
            ProgressStyle::Lines => Shown::Plain,
            ProgressStyle::Json => Shown::Json,
        };
        let now = Instant::now();
        let zero = || AtomicU64::new(0);
        Self {
            shown,
            show_problems: !options.json,
            started: now,
            bytes: zero(),
            total_bytes: zero(),
            items: zero(),
            total_items: zero(),
            last: Mutex::new((now, "")),
        }
    }

    /// Whether somebody watches, so that a look ahead for totals is worth its cost.
    pub fn wants_totals(&self) -> bool {
        matches!(self.shown, Shown::Bar(_) | Shown::Json)
    }

    pub fn clear(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn started(&self, phase: Phase) {
        let name = name(phase);
        self.items.store(0, Ordering::Relaxed);
        self.total_items.store(0, Ordering::Relaxed);
        match &self.shown {
            Shown::Bar(bar) => {
                bar.reset();
                bar.unset_length();
                bar.set_prefix(name);
                bar.set_style(style(false));
            }
            Shown::Json => {
                self.bytes.store(0, Ordering::Relaxed);
                self.total_bytes.store(0, Ordering::Relaxed);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), name);
                eprintln!("{}", json!({ "event": "started", "phase": name }));
            }
            Shown::Plain | Shown::Nothing => {}
        }
    }

    fn finished(&self, phase: Phase) {
        if let Shown::Json = &self.shown {
            eprintln!("{}", self.numbers("finished", name(phase)));
        }
    }

    fn total(&self, total_bytes: Option<u64>, items: Option<u64>) {
        self.total_items.store(items.unwrap_or(0), Ordering::Relaxed);
        let Some(total) = total_bytes else { return };
        self.total_bytes.store(total, Ordering::Relaxed);
        if let Shown::Bar(bar) = &self.shown {
            bar.set_style(style(true));
            bar.set_length(total);
        }
    }

    fn advanced(&self, count: u64) {
        let done = self.bytes.fetch_add(count, Ordering::Relaxed) + count;
        match &self.shown {
            Shown::Bar(bar) => bar.inc(count),
            Shown::Plain if self.is_due(EVERY).is_some() => self.line(done),
            Shown::Json => {
                if let Some(phase) = self.is_due(EVERY_JSON) {
                    eprintln!("{}", self.numbers("progress", phase));
                }
            }
            Shown::Plain | Shown::Nothing => {}
        }
    }

    /// The phase, when it is time for a line.
    fn is_due(&self, every: Duration) -> Option<&'static str> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.elapsed() < every {
            return None;
        }
        last.0 = Instant::now();
        Some(last.1)
    }

    fn line(&self, done: u64) {
        let rate = done as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let total = self.total_bytes.load(Ordering::Relaxed);
        let end = if total > done {
            let left = Duration::from_secs_f64((total - done) as f64 / rate.max(1.0));
            format!(" of {}, about {} left", bytes(total), duration(left))
        } else {
            String::new()
        };
        eprintln!("{}{end}, {}/s", bytes(done), bytes(rate as u64));
    }

    fn numbers(&self, event: &str, phase: &str) -> serde_json::Value {
        let known = |total: &AtomicU64| Some(total.load(Ordering::Relaxed)).filter(|n| *n > 0);
        json!({
            "event": event,
            "phase": phase,
            "bytes": self.bytes.load(Ordering::Relaxed),
            "total_bytes": known(&self.total_bytes),
            "items": self.items.load(Ordering::Relaxed),
            "total_items": known(&self.total_items),
        })
    }

    fn item(&self, count: u64) {
        let done = self.items.fetch_add(count, Ordering::Relaxed) + count;
        if let Shown::Bar(bar) = &self.shown {
            let total = self.total_items.load(Ordering::Relaxed);
            bar.set_message(match total {
                0 => format!("{done} entries"),
                total => format!("{done}/{total} entries"),
            });
        }
    }

    fn problem(&self, path: &[u8], message: &str) {
        if let Shown::Json = &self.shown {
            let line = json!({ "event": "problem", "path": lossy(path), "message": message });
            eprintln!("{line}");
            return;
        }
        if !self.show_problems {
            return;
        }
        let line = format!("problem: {}: {message}", lossy(path));
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| eprintln!("{line}")),
            _ => eprintln!("{line}"),
        }
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::LoadIndex => "index",
        Phase::Backup => "backup",
        Phase::Commit => "commit",
        Phase::Restore => "restore",
        Phase::RestoreMetadata => "attributes",
        Phase::CheckNames => "names",
        Phase::CheckSnapshots => "snapshots",
        Phase::CheckData => "data",
        Phase::Mark => "mark",
        Phase::Copy => "copy",
        Phase::Delete => "delete",
        Phase::ReadTrailers => "trailers",
    }
}

fn style(with_end: bool) -> BarStyle {
    let template = match with_end {
        true => {
            "{prefix:>10} [{bar:24}] {percent:>3}% {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta} · {msg}"
        }
        false => "{prefix:>10} {spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed} · {msg}",
    };
    BarStyle::with_template(template).unwrap_or_else(|_| BarStyle::default_bar())
}

impl Observer for Progress {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Started(phase) => self.started(phase),
            Event::Finished(phase) => self.finished(phase),
            Event::Total { bytes, items } => self.total(bytes, items),
            Event::Bytes(count) => self.advanced(count),
            Event::Items(count) => self.item(count),
            Event::Current(_) => {}
            Event::Problem { path, message } => self.problem(path, message),
        }
    }
}
