//! Answers with their headers, and requests that say more of themselves.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING,
};

use super::call::{Call, Credential, Repeat};
use super::client::Client;
use super::failure::{HttpError, Trouble};

impl Call {
    /// May be repeated: what is put twice is there once.
    pub fn put(url: String) -> Self {
        Self::new(Method::PUT, url, Repeat::Always)
    }

    /// May be repeated: what is set twice is set.
    pub fn patch(url: String) -> Self {
        Self::new(Method::PATCH, url, Repeat::Always)
    }

    /// With a body that is not JSON.
    #[must_use]
    pub fn bytes(mut self, body: Bytes, content_type: &'static str) -> Self {
        self.body = Some(body);
        self.content_type = content_type;
        self
    }

    #[must_use]
    pub fn accept(self, content_type: &'static str) -> Self {
        self.header(ACCEPT, HeaderValue::from_static(content_type))
    }

    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// For this call only, instead of the client's.
    pub fn known_by(self, credential: &Credential) -> Result<Self, HttpError> {
        let Some((name, value)) = credential.header() else {
            let what = "the key has characters that no header can hold";
            return Err(HttpError::new(self.shown(), Trouble::Unexpected(what.into())));
        };
        Ok(self.header(name, value))
    }
}

/// A good answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Answer {
    /// `None` also where it is no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the server said where the body ends. One that ends with its connection may have been cut short.
    pub fn is_framed(&self) -> bool {
        self.body.is_empty()
            || [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|it| self.headers.contains_key(it))
    }
}

impl Client {
    /// Asks, and reads the whole answer of at most `most` bytes.
    pub fn exchange(&self, call: &Call, most: usize) -> Result<Answer, HttpError> {
        let url = call.shown();
        self.persist(call.repeat, || {
            let sent = call.body.as_ref().map_or(0, Bytes::len);
            self.slow_down(self.uploads.as_deref(), url, sent)?;
            let response = self.send(call, None)?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            if headers.contains_key(CONTENT_ENCODING) {
                let what = "is sent encoded, though nobody asked for that";
                return Err(HttpError::new(url, Trouble::Unexpected(what.into())));
            }
            let body = self.whole(url, response, most)?;
            self.slow_down(self.downloads.as_deref(), url, body.len())?;
            Ok(Answer { status, headers, body })
        })
    }
}
