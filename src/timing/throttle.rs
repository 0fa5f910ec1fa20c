//! A limit of bytes a second.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shared by all that keep to one limit. What waited long may not make up for it: time unused is gone.
pub struct Throttle {
    per_second: NonZeroU64,
    /// When all bytes that were let through so far are within the limit.
    free: Mutex<Option<Instant>>,
}

impl Throttle {
    pub fn new(per_second: NonZeroU64) -> Self {
        Self { per_second, free: Mutex::default() }
    }

    /// How long to wait from `now` on, after `bytes` were taken in or before they are sent.
    pub fn reserve(&self, bytes: usize, now: Instant) -> Duration {
        let nanos = (bytes as u128 * 1_000_000_000) / u128::from(self.per_second.get());
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let until = free.map_or(now, |free| free.max(now)) + takes;
        *free = Some(until);
        until.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time_and_unused_time_is_gone() {
        let throttle = Throttle::new(NonZeroU64::new(1000).unwrap());
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(throttle.reserve(500, start), second / 2);
        assert_eq!(throttle.reserve(500, start), second);
        assert_eq!(throttle.reserve(500, start + second), second / 2);
        assert_eq!(throttle.reserve(100, start + 60 * second), second / 10);
        assert_eq!(throttle.reserve(0, start + 90 * second), Duration::ZERO);
    }
}
