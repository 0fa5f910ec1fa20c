//! HTTP for sources that are servers: blocking calls over a private runtime, with time-outs, retries that
//! back off, and downloads that go on where they broke off.
//!
//! No redirect is followed: an API key must not travel to a host that nobody named.

mod call;
mod client;
mod download;
mod failure;
mod retry;
mod throttle;
mod upload;

pub use call::{Call, Credential, Repeat, escaped};
pub use client::{Client, ClientOptions};
pub use download::Download;
pub use failure::{HttpError, Trouble};
pub use upload::{Unanswered, Upload};
