//! Repeats operations that failed for now.

use std::sync::Arc;
use std::time::Duration;

use super::policy::{Policy, Tries};
use crate::progress::Cancel;
use crate::storage::{Cause, StorageError};
use crate::timing::{self, Backoff, Clock, SystemClock};

/// How patient one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Pauses between tries.
    pub backoff: Backoff,
    /// An operation is given up when its next try would begin later than this after its first failure.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    /// Pauses of half a second to half a minute, a quarter of an hour in all.
    fn default() -> Self {
        let backoff = Backoff { first: Duration::from_millis(500), max: Duration::from_secs(30) };
        Self { backoff, budget: Duration::from_secs(15 * 60) }
    }
}

/// Repeats whole operations, which all are idempotent, after errors that are
/// [transient](StorageError::is_transient). A wait ends within 100 ms when it is cancelled.
pub struct Retry {
    policy: RetryPolicy,
    cancel: Cancel,
    clock: Arc<dyn Clock>,
}

impl Retry {
    /// Makes the policy; `cancel` ends a pause.
    pub fn new(policy: RetryPolicy, cancel: Cancel) -> Self {
        Self::with_clock(policy, cancel, Arc::new(SystemClock))
    }

    /// Makes the policy with a clock of one's own.
    pub fn with_clock(policy: RetryPolicy, cancel: Cancel, clock: Arc<dyn Clock>) -> Self {
        Self { policy, cancel, clock }
    }
}

impl Policy for Retry {
    fn repeats(&self, error: &StorageError) -> bool {
        error.is_transient()
    }

    fn pause(&self, tries: &mut Tries, error: StorageError) -> Result<(), StorageError> {
        let retry_after = match error.cause() {
            Some(Cause::Throttled { after }) => after,
            _ => None,
        };
        let now = self.clock.now();
        let first_failure = *tries.first_failure.get_or_insert(now);
        let spent = now.saturating_duration_since(first_failure);
        let pause = self.policy.backoff.pause(tries.repeated, retry_after);
        let Some(pause) = pause.filter(|pause| spent + *pause <= self.policy.budget) else {
            return Err(error);
        };
        tries.repeated += 1;
        tracing::info!("{error}; trying again in {:.1} s", pause.as_secs_f64());
        match timing::sleep(&*self.clock, &self.cancel, pause) {
            true => Ok(()),
            false => Err(StorageError::Interrupted),
        }
    }
}
