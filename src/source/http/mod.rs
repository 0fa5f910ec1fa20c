//! HTTP for sources that are servers: blocking calls over a private runtime, with time-outs, retries that
//! back off, and downloads that go on where they broke off.
//!
//! No redirect is followed: an API key must not travel to a host that nobody named.

mod address;
mod call;
mod client;
mod download;
mod exchange;
mod failure;
mod options;
mod retry;
mod upload;

pub use address::{host_and_port, without_secrets};
pub use call::{Call, Credential, Repeat, escaped, unescaped};
pub use client::{Client, ClientOptions};
pub use download::Download;
pub use exchange::Answer;
pub use failure::{HttpError, Trouble};
pub use options::{Rate, ServerOptions, Variables};
pub use upload::{Unanswered, Upload};
