//! The request that hands a snapshot to the server: a form with one file, written piece by piece.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::api::Api;
use super::failure::refused;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::http::{HttpError, Unanswered, Upload, escaped};

/// What goes where, and what the server makes of it.
pub(super) struct Delivery<'d> {
    pub collection: &'d str,
    /// Into this shard of a collection that is there; else the server makes the collection.
    pub shard: Option<u64>,
    pub len: u64,
    pub priority: &'static str,
    /// As the server gave it when it made the snapshot: it checks what arrives.
    pub sha256: Option<&'d str>,
}

/// A name for the uploaded file that nobody else's has: nobody's snapshot is replaced by it, or deleted with it.
pub(super) fn file_name() -> Result<String, SourceError> {
    Ok(format!("restow-{}.snapshot", random_hex()?))
}

fn random_hex() -> Result<String, SourceError> {
    let mut bytes = [0u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| {
        refused(ErrorKind::Failed, "upload", format!("no random bytes: {error}"))
    })?;
    Ok(HEXLOWER.encode(&bytes))
}

/// A form under way. Dropped before [`finish`](Self::finish) it reaches the server as a broken request, of which it
/// takes nothing in.
pub(super) struct Form {
    upload: Upload,
    tail: String,
}

impl Form {
    pub fn begin(api: &Api, delivery: &Delivery, file: &str) -> Result<Self, FormError> {
        let boundary = format!("restow-{}", random_hex().map_err(FormError::Ours)?);
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"snapshot\"; \
             filename=\"{file}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let len = (head.len() + tail.len()) as u64 + delivery.len;
        let mut query = format!("wait=true&priority={}", delivery.priority);
        if let Some(sha256) = delivery.sha256 {
            query.push_str("&checksum=");
            query.push_str(&escaped(sha256));
        }
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let mut upload = match delivery.shard {
            None => api.upload(delivery.collection, &query, len, &content_type),
            Some(shard) => api.upload_shard(delivery.collection, shard, &query, len, &content_type),
        }?;
        upload.write(head.into_bytes())?;
        Ok(Self { upload, tail })
    }

    /// Hears out a server that may refuse it before any byte of the snapshot was sent.
    pub fn listen(&mut self, patience: Duration) -> Result<(), HttpError> {
        self.upload.listen(patience)
    }

    pub fn write(&mut self, piece: Vec<u8>) -> Result<(), HttpError> {
        self.upload.write(piece)
    }

    /// The server has everything from here on, and acts on it.
    pub fn finish(mut self) -> Result<Vec<u8>, Unanswered> {
        let was_sent_whole = false;
        self.upload
            .write(self.tail.into_bytes())
            .map_err(|error| Unanswered { error, was_sent_whole })?;
        self.upload.finish()
    }
}

pub(super) enum FormError {
    Http(HttpError),
    Ours(SourceError),
}

impl From<HttpError> for FormError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}
