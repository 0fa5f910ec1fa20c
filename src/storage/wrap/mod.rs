//! Wrappers over any storage: repeat what failed for now, keep to a rate, count. Only what is asked for is
//! wrapped; a local folder needs none of them.

mod batch;
mod count;
mod limit;
mod policy;
mod retry;
mod wrapped;

pub use count::{Counts, Requests};
pub use limit::Limit;
pub use policy::{Policy, Request, Tries};
pub use retry::{Retry, RetryPolicy};
pub use wrapped::Wrapped;
