//! Calls with documents as they were written, byte by byte.

use reqwest::Method;

use super::call::{Call, Repeat};

impl Call {
    pub fn put(url: String, repeat: Repeat) -> Self {
        Self { method: Method::PUT, ..Self::post(url, repeat) }
    }

    /// A JSON document whose numbers must not be read and written anew.
    #[must_use]
    pub fn json_text(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }
}
