//! A download that goes on where its connection broke.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE,
};

use super::call::{Call, Repeat};
use super::client::Client;
use super::failure::{HttpError, Trouble};

/// The bytes of one answer, in order, each once.
pub struct Download {
    client: Client,
    call: Call,
    url: String,
    response: Option<reqwest::Response>,
    /// Came, but was not read yet.
    piece: Bytes,
    /// What the server calls this state of the bytes. Without it a broken download cannot go on.
    etag: Option<HeaderValue>,
    len: Option<u64>,
    /// Bytes that came.
    at: u64,
    /// Breaks since the last byte came.
    breaks: u32,
}

impl Download {
    /// Asks until the answer begins.
    pub fn begin(client: &Client, call: Call) -> Result<Self, HttpError> {
        // The bytes as they are, and their true length.
        let call = call.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = client.persist(Repeat::Always, || client.send(&call, None))?;
        let url = call.shown().to_owned();
        if response.headers().contains_key("content-encoding") {
            let what = "is sent encoded though it was asked for as it is".to_owned();
            return Err(HttpError::new(url, Trouble::Unexpected(what)));
        }
        let etag = response.headers().get(ETAG).filter(|etag| is_strong(etag)).cloned();
        let len = response.content_length();
        Ok(Self {
            client: client.clone(),
            call,
            url,
            response: Some(response),
            piece: Bytes::new(),
            etag,
            len,
            at: 0,
            breaks: 0,
        })
    }

    /// What the server said the length is.
    pub fn expected_len(&self) -> Option<u64> {
        self.len
    }

    /// The next bytes; 0 at the end, which is the true one where the length is known.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, HttpError> {
        while self.piece.is_empty() && !buffer.is_empty() {
            match self.next_piece() {
                Ok(Some(piece)) => {
                    self.at += piece.len() as u64;
                    self.breaks = 0;
                    self.piece = piece;
                }
                Ok(None) => return Ok(0),
                Err(error) => self.resume(error)?,
            }
        }
        let count = buffer.len().min(self.piece.len());
        let piece = self.piece.split_to(count);
        if let Some(room) = buffer.get_mut(..count) {
            room.copy_from_slice(&piece);
        }
        Ok(count)
    }

    fn next_piece(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Some(response) = &mut self.response else {
            let broken = Trouble::Broken("it is not open".into());
            return Err(HttpError::new(&self.url, broken));
        };
        let patience = self.client.options.read_timeout;
        loop {
            let piece = self.client.wait(&self.url, patience, response.chunk())?;
            match piece.map_err(|error| HttpError::of(&self.url, error))? {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    self.client.slow_down(
                        self.client.downloads.as_deref(),
                        &self.url,
                        piece.len(),
                    )?;
                    return Ok(Some(piece));
                }
                None => break,
            }
        }
        match self.len {
            Some(len) if self.at < len => {
                let what = format!("it ended at byte {} of {len}", self.at);
                Err(HttpError::new(&self.url, Trouble::Broken(what)))
            }
            _ => Ok(None),
        }
    }

    /// Asks for the rest, of the same state of the bytes.
    fn resume(&mut self, mut error: HttpError) -> Result<(), HttpError> {
        self.response = None;
        let rest = match (self.at, &self.etag, self.len) {
            (0, ..) => self.call.clone(),
            (at, Some(etag), Some(_)) => {
                let range = HeaderValue::from_str(&format!("bytes={at}-"));
                let range = range.map_err(|wrong| self.unexpected(wrong.to_string()))?;
                self.call.clone().header(RANGE, range).header(IF_RANGE, etag.clone())
            }
            _ => return Err(error),
        };
        loop {
            if !error.may_pass(Repeat::Always) || self.breaks >= self.client.options.retries {
                return Err(error);
            }
            self.client.pause(self.breaks, error)?;
            self.breaks += 1;
            match self.client.send(&rest, None) {
                Ok(response) => {
                    self.check_rest(&response)?;
                    self.response = Some(response);
                    return Ok(());
                }
                Err(again) => error = again,
            }
        }
    }

    fn check_rest(&self, response: &reqwest::Response) -> Result<(), HttpError> {
        let (headers, at, len) = (response.headers(), self.at, self.len.unwrap_or_default());
        let is_other = match &self.etag {
            // Without one it is of no known state.
            Some(etag) => headers.get(ETAG) != Some(etag),
            None => false,
        };
        let is_rest = response.status() == StatusCode::PARTIAL_CONTENT;
        if is_other || is_rest != (at > 0) || (at == 0 && response.content_length() != self.len) {
            let what = format!("was replaced while it was read: its rest from byte {at} on");
            return Err(self.unexpected(format!("{what} is not to be had")));
        }
        let wanted = format!("bytes {at}-{}/{len}", len.saturating_sub(1));
        let got = text(headers, &CONTENT_RANGE).unwrap_or("no range");
        if is_rest && got != wanted {
            return Err(self.unexpected(format!("asked for {wanted}, the server sends {got}")));
        }
        Ok(())
    }

    fn unexpected(&self, what: String) -> HttpError {
        HttpError::new(&self.url, Trouble::Unexpected(what))
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A weak one says that the bytes are as good, not that they are the same.
fn is_strong(etag: &HeaderValue) -> bool {
    etag.as_bytes().starts_with(b"\"")
}
