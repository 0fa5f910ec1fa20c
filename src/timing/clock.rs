//! Time that passes, and waiting for it.

use std::time::{Duration, Instant};

use crate::progress::Cancel;

/// How often a wait looks whether it was cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_millis(100);

/// Tells the time and waits. A test's clock does both without waiting.
pub trait Clock: std::fmt::Debug + Send + Sync {
    fn now(&self) -> Instant;
    fn sleep(&self, pause: Duration);
}

/// The monotonic clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// Waits for `pause`. `false`: the wait was cancelled, at most 100 ms ago.
#[must_use]
pub fn sleep(clock: &dyn Clock, cancel: &Cancel, pause: Duration) -> bool {
    let started = clock.now();
    loop {
        if cancel.is_cancelled() {
            return false;
        }
        match pause.checked_sub(clock.now().saturating_duration_since(started)) {
            Some(left) if !left.is_zero() => clock.sleep(left.min(CANCEL_INTERVAL)),
            _ => return true,
        }
    }
}
