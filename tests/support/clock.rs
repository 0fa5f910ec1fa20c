//! A clock that only moves when somebody waits.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use restow::timing::Clock;

#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    waited: Mutex<Duration>,
}

impl ManualClock {
    pub fn new() -> Self {
        Self { start: Instant::now(), waited: Mutex::default() }
    }

    /// How long everybody waited together.
    pub fn waited(&self) -> Duration {
        *self.waited.lock().unwrap()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + self.waited()
    }

    fn sleep(&self, pause: Duration) {
        *self.waited.lock().unwrap() += pause;
    }
}
