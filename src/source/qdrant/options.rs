//! How a Qdrant server is talked to.

use std::time::Duration;

use crate::source::http::{ClientOptions, Credential};

/// How a server is talked to.
#[derive(Debug, Clone)]
pub struct QdrantOptions {
    pub credential: Option<Credential>,
    pub http: ClientOptions,
    /// How long the server may take to make a snapshot, or to take one in.
    pub patience: Duration,
    /// How long to wait for a server that does not answer yet.
    pub wait_ready: Option<Duration>,
}

impl Default for QdrantOptions {
    fn default() -> Self {
        let patience = Duration::from_secs(3600);
        Self { credential: None, http: ClientOptions::default(), patience, wait_ready: None }
    }
}
