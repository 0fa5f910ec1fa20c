//! Waiting: a clock that tests can turn, pauses between tries, limits of bytes a second, this machine's zone.

mod backoff;
mod clock;
mod throttle;
mod zone;

pub use backoff::Backoff;
pub use clock::{Clock, SystemClock, sleep};
pub use throttle::Throttle;
pub use zone::{UnknownZone, local_now};
