//! Keeps to bytes a second.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::policy::{Policy, Request};
use crate::progress::Cancel;
use crate::storage::StorageError;
use crate::timing::{self, Clock, SystemClock, Throttle};

/// Limits the bytes of objects that are put and got, each direction all together.
///
/// A put waits for all its bytes before it begins, a get after it: between two waits an object goes at full speed.
pub struct Limit {
    upload: Option<Throttle>,
    download: Option<Throttle>,
    cancel: Cancel,
    clock: Arc<dyn Clock>,
}

impl Limit {
    /// Bytes a second; `None` is no limit.
    pub fn new(upload: Option<NonZeroU64>, download: Option<NonZeroU64>, cancel: Cancel) -> Self {
        Self::with_clock(upload, download, cancel, Arc::new(SystemClock))
    }

    /// Makes limits with a clock of one's own.
    pub fn with_clock(
        upload: Option<NonZeroU64>,
        download: Option<NonZeroU64>,
        cancel: Cancel,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (upload, download) = (upload.map(Throttle::new), download.map(Throttle::new));
        Self { upload, download, cancel, clock }
    }

    fn wait(&self, throttle: Option<&Throttle>, bytes: usize) -> Result<(), StorageError> {
        let Some(throttle) = throttle.filter(|_| bytes > 0) else { return Ok(()) };
        let pause = throttle.reserve(bytes, self.clock.now());
        match timing::sleep(&*self.clock, &self.cancel, pause) {
            true => Ok(()),
            false => Err(StorageError::Interrupted),
        }
    }
}

impl Policy for Limit {
    fn before(&self, request: &Request<'_>) -> Result<(), StorageError> {
        self.wait(self.upload.as_ref(), request.sent)
    }

    fn after(
        &self,
        _: &Request<'_>,
        received: Result<usize, &StorageError>,
    ) -> Result<(), StorageError> {
        self.wait(self.download.as_ref(), received.unwrap_or(0))
    }
}
