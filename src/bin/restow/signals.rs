//! Ctrl-C, SIGTERM and SIGHUP. While there is nothing to clean up, one ends restow at once; while there is, the first
//! asks the work to stop and the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use restow::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

pub struct Signals {
    cancel: Cancel,
    at_once: Arc<AtomicBool>,
}

/// A lost terminal ends restow like a request to; but not under `nohup`, which has it ignored.
fn watched() -> impl Iterator<Item = i32> {
    let hangup = (!ignores_hangup()).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hangup)
}

fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set & (1 << (SIGHUP - 1)) != 0)
}

/// Signals are gentle while this lives.
pub struct Gently<'s>(&'s Signals, bool);

impl Signals {
    pub fn watch() -> std::io::Result<Self> {
        let signals = Self { cancel: Cancel::new(), at_once: Arc::new(AtomicBool::new(true)) };
        for signal in watched() {
            // In this order: a gentle signal finds `at_once` unset and sets it for the next.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&signals.at_once))?;
            flag::register(signal, signals.cancel.flag())?;
            flag::register(signal, Arc::clone(&signals.at_once))?;
        }
        Ok(signals)
    }

    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// There is something to clean up now.
    pub fn gently(&self) -> Gently<'_> {
        Gently(self, self.at_once.swap(false, Ordering::SeqCst))
    }
}

impl Drop for Gently<'_> {
    fn drop(&mut self) {
        // A signal that came meanwhile has set it already.
        self.0.at_once.fetch_or(self.1, Ordering::SeqCst);
    }
}
