//! Ctrl-C and SIGTERM. While there is nothing to clean up, one ends restow at once; while there is, the first
//! asks the work to stop and the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use restow::progress::Cancel;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

pub struct Signals {
    cancel: Cancel,
    at_once: Arc<AtomicBool>,
}

/// Signals are gentle while this lives.
pub struct Gently<'s>(&'s Signals, bool);

impl Signals {
    pub fn watch() -> std::io::Result<Self> {
        let signals = Self { cancel: Cancel::new(), at_once: Arc::new(AtomicBool::new(true)) };
        for signal in [SIGINT, SIGTERM] {
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
