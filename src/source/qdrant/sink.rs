//! Where a collection's bytes go: one upload, for which they are put in order.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::api::{Api, envelope};
use super::failure::refused;
use super::import::Done;
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::source::http::Upload;
use crate::source::{Sink, SourceError};

/// Bytes that wait for others before them. A restore writes 64 MiB in any order, then the next: more means that
/// some never come.
const HELD_MAX: usize = 80 * MIB;

/// What is to become of an entry.
pub(super) struct Target {
    pub collection: String,
    pub len: u64,
    pub priority: &'static str,
    /// As the server gave it, when it made the snapshot: it checks what arrives.
    pub sha256: Option<String>,
    pub aliases: Vec<String>,
}

pub(super) struct QdrantSink {
    api: Api,
    target: Target,
    /// What the uploaded file is called at the server, until it is deleted there.
    file: String,
    boundary: String,
    order: Mutex<Order>,
    done: Done,
}

#[derive(Default)]
struct Order {
    /// The upload under way, from the first byte on.
    upload: Option<Upload>,
    next: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    held: usize,
    has_begun: bool,
}

impl QdrantSink {
    pub fn new(api: Api, target: Target, done: Done) -> Result<Self, SourceError> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(|error| {
            refused(ErrorKind::Failed, &target.collection, format!("no random bytes: {error}"))
        })?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // A name of its own: nobody else's snapshot is replaced by it, or deleted with it.
        let file = format!("restow-{}.snapshot", hex.get(..16).unwrap_or_default());
        let boundary = format!("restow-{hex}");
        Ok(Self { api, target, file, boundary, order: Mutex::default(), done })
    }

    fn url(&self) -> String {
        self.api.collection_url(&self.target.collection)
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, order: &mut Order) -> Result<(), SourceError> {
        let head = format!(
            "--{0}\r\nContent-Disposition: form-data; name=\"snapshot\"; filename=\"{1}\"\r\nContent-Type: \
             application/octet-stream\r\n\r\n",
            self.boundary, self.file
        );
        let tail = self.tail();
        let len = (head.len() + tail.len()) as u64 + self.target.len;
        let mut query = format!("wait=true&priority={}", self.target.priority);
        if let Some(sha256) = &self.target.sha256 {
            query.push_str("&checksum=");
            query.push_str(&crate::source::http::escaped(sha256));
        }
        let content_type = format!("multipart/form-data; boundary={}", self.boundary);
        let upload = self.api.upload(&self.target.collection, &query, len, &content_type);
        order.has_begun = true;
        order.upload = Some(upload.map_err(|error| self.api.plain(error))?);
        self.send(order, head.into_bytes())
    }

    fn tail(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }

    fn send(&self, order: &mut Order, piece: Vec<u8>) -> Result<(), SourceError> {
        let Some(upload) = &mut order.upload else {
            // Its failure was told to whoever met it first.
            return Err(refused(ErrorKind::Failed, &self.url(), "the upload has failed"));
        };
        upload.write(piece).map_err(|error| {
            order.upload = None;
            self.api.plain(error)
        })
    }

    /// Sends what is next, as far as it is there.
    fn flush(&self, order: &mut Order) -> Result<(), SourceError> {
        while let Some(piece) = order.waiting.remove(&order.next) {
            if !order.has_begun {
                self.begin(order)?;
            }
            order.held = order.held.saturating_sub(piece.len());
            order.next += piece.len() as u64;
            self.send(order, piece)?;
        }
        if order.held > HELD_MAX {
            order.upload = None;
            let message = format!("the bytes from {} on do not come: not restored", order.next);
            return Err(refused(ErrorKind::Damage, &self.url(), message));
        }
        Ok(())
    }

    /// The file that was uploaded stays in the server's folder, whether it was of use or not.
    fn delete_file(&self) {
        let (collection, file) = (&self.target.collection, &self.file);
        if let Err(error) = self.api.undisturbed().delete_snapshot(collection, file) {
            tracing::warn!("the uploaded {file} of {collection} stays on the server: {error}");
        }
    }
}

impl Sink for QdrantSink {
    fn existing_len(&self) -> u64 {
        0
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<bool, SourceError> {
        Ok(false)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SourceError> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.target.len) {
            let message = "bytes beyond the length the snapshot gives";
            return Err(refused(ErrorKind::Damage, &self.url(), message));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let mut order = self.lock();
        order.held += bytes.len();
        order.waiting.insert(offset, bytes.to_vec());
        self.flush(&mut order)
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        let upload = {
            let mut order = self.lock();
            if order.next != self.target.len || !order.has_begun {
                let message =
                    format!("only {} of {} bytes came: not restored", order.next, self.target.len);
                return Err(refused(ErrorKind::Damage, &self.url(), message));
            }
            self.send(&mut order, self.tail().into_bytes())?;
            order.upload.take()
        };
        let failed = || refused(ErrorKind::Failed, &self.url(), "the upload has failed");
        let upload = upload.ok_or_else(failed)?;
        let answer = upload.finish().map_err(|error| self.api.plain(error))?;
        if envelope(&self.url(), &answer)? != serde_json::Value::Bool(true) {
            let message =
                "the server did not take the snapshot in, and does not say why: see its log";
            return Err(refused(ErrorKind::Unreachable, &self.url(), message));
        }
        let restored = (self.target.collection.clone(), self.target.aliases.clone());
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(restored);
        Ok(())
    }

    fn finish_damaged(self: Box<Self>) -> Result<(), SourceError> {
        let message = "not restored: lacks what the repository has lost";
        Err(refused(ErrorKind::Damage, &self.url(), message))
    }
}

impl Drop for QdrantSink {
    fn drop(&mut self) {
        let has_begun = {
            let mut order = self.lock();
            // Broken off first, where it is still under way.
            order.upload = None;
            order.has_begun
        };
        if has_begun {
            self.delete_file();
        }
    }
}
