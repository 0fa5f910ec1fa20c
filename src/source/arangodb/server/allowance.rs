//! Bytes that several threads may hold in memory, all together.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::source::SourceError;

pub(super) struct Allowance {
    most: usize,
    state: Mutex<AllowanceState>,
    freed: Condvar,
}

#[derive(Default)]
struct AllowanceState {
    used: usize,
    is_closed: bool,
}

/// What of an allowance is taken, until this is dropped.
pub(super) struct Share {
    of: Arc<Allowance>,
    bytes: usize,
}

impl Allowance {
    pub fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits until there is room. Who wants all of it waits until nobody else has any.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Result<Share, SourceError> {
        let bytes = bytes.min(self.most);
        let is_full =
            |state: &mut AllowanceState| !state.is_closed && state.used + bytes > self.most;
        let state = self.freed.wait_while(self.lock(), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return Err(SourceError::Interrupted);
        }
        state.used += bytes;
        Ok(Share { of: Arc::clone(self), bytes })
    }

    /// Nobody waits any more.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, AllowanceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Gives back what turned out not to be needed. One that needs more keeps all that it has.
    pub fn shrink(&mut self, bytes: usize) {
        let spare = self.bytes.saturating_sub(bytes);
        self.of.lock().used -= spare;
        self.bytes -= spare;
        self.of.freed.notify_all();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken() {
        let allowance = Arc::new(Allowance::new(10));
        let mut first = allowance.take(6).unwrap();
        first.shrink(4);
        let second = allowance.take(6).unwrap();
        std::thread::scope(|scope| {
            let all = scope.spawn(|| allowance.take(1000).map(|share| share.bytes));
            drop(first);
            assert!(!all.is_finished(), "somebody has 6 yet");
            drop(second);
            assert_eq!(all.join().unwrap().unwrap(), 10);
        });
        let held = allowance.take(10).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| allowance.take(1).is_err());
            allowance.close();
            assert!(waiting.join().unwrap());
        });
        drop(held);
    }
}
