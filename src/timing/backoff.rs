//! Pauses between tries.

use std::time::Duration;

/// A server that wants to be left alone for longer is not waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Pauses that double with each try, half of each by chance, so that many clients that failed together do not
/// come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause before the first repetition.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Backoff {
    /// The pause before repetition `attempt` (from 0). `retry_after` is the least that the server asks for.
    /// `None`: the server asks for more than five minutes.
    pub fn pause(&self, attempt: u32, retry_after: Option<Duration>) -> Option<Duration> {
        self.pause_by_chance(attempt, retry_after, chance())
    }

    /// `chance` is from 0 to 1.
    fn pause_by_chance(
        &self,
        attempt: u32,
        retry_after: Option<Duration>,
        chance: f64,
    ) -> Option<Duration> {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(attempt)).min(self.max);
        let pause = doubled.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        match retry_after {
            Some(after) if after > RETRY_AFTER_MAX => None,
            Some(after) => Some(pause.max(after)),
            None => Some(pause),
        }
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_a_limit() {
        let backoff = Backoff { first: SECOND, max: 8 * SECOND };
        let pause = |attempt, told, chance| backoff.pause_by_chance(attempt, told, chance);
        assert_eq!(pause(0, None, 1.0), Some(SECOND));
        assert_eq!(pause(0, None, 0.0), Some(SECOND / 2));
        assert_eq!(pause(2, None, 1.0), Some(4 * SECOND));
        assert_eq!(pause(40, None, 1.0), Some(8 * SECOND));
        assert_eq!(pause(0, Some(5 * SECOND), 0.3), Some(5 * SECOND));
        assert_eq!(pause(0, Some(3600 * SECOND), 0.3), None);
    }
}
