//! Waiting: a clock that tests can turn, pauses between tries, and limits of bytes a second.

mod backoff;
mod clock;
mod throttle;

pub use backoff::Backoff;
pub use clock::{Clock, SystemClock, sleep};
pub use throttle::Throttle;
