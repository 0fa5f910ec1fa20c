//! What is asked of a server.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// Whether a call may be made again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Twice comes to the same as once.
    Always,
    /// Only where the server surely did nothing: it was not reached, or said so.
    Undone,
    /// Only where it was not reached, or refused at the door (429): whoever says 503 may have handed it on first.
    Unreached,
}

/// One request, as often as it takes.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Bytes>,
    pub(super) content_type: &'static str,
    /// How long the answer may take, where that is not the client's usual time.
    pub(super) patience: Option<Duration>,
    pub(super) repeat: Repeat,
}

impl Call {
    pub fn get(url: String) -> Self {
        Self::new(Method::GET, url, Repeat::Always)
    }

    pub fn delete(url: String) -> Self {
        Self::new(Method::DELETE, url, Repeat::Always)
    }

    pub fn post(url: String, repeat: Repeat) -> Self {
        Self::new(Method::POST, url, repeat)
    }

    pub(super) fn new(method: Method, url: String, repeat: Repeat) -> Self {
        let content_type = "application/json";
        Self { method, url, headers: Vec::new(), body: None, content_type, patience: None, repeat }
    }

    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(body.to_string().into());
        self
    }

    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    #[must_use]
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The URL as errors show it.
    pub fn shown(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }
}

/// What a server knows its caller by. Never shown.
#[derive(Clone)]
pub struct Credential {
    header: HeaderName,
    value: Zeroizing<String>,
}

impl Credential {
    /// `api-key: KEY`
    pub fn api_key(key: &str) -> Self {
        let header = HeaderName::from_static("api-key");
        Self { header, value: Zeroizing::new(key.to_owned()) }
    }

    /// `Authorization: Bearer TOKEN`
    pub fn bearer(token: &str) -> Self {
        let value = Zeroizing::new(format!("Bearer {token}"));
        Self { header: reqwest::header::AUTHORIZATION, value }
    }

    pub(super) fn new(header: HeaderName, value: Zeroizing<String>) -> Self {
        Self { header, value }
    }

    /// `None` where it holds what no header can.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let mut value = HeaderValue::from_str(&self.value).ok()?;
        value.set_sensitive(true);
        Some((self.header.clone(), value))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}: …)", self.header)
    }
}

/// A name as one segment of a URL's path.
pub fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Without its `%XX`. `None` where that is no UTF-8 or no escape.
pub fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_does_not_show() {
        let key = Credential::api_key("s3cret");
        assert!(!format!("{key:?}").contains("s3cret"));
        assert!(!format!("{:?}", key.header()).contains("s3cret"));
        assert!(Credential::api_key("two\nlines").header().is_none());
    }

    #[test]
    fn names_are_one_segment() {
        assert_eq!(escaped("a b/c%?"), "a%20b%2Fc%25%3F");
        assert_eq!(escaped("notes-1.snapshot"), "notes-1.snapshot");
        assert_eq!(unescaped("a%20b%2fc").as_deref(), Some("a b/c"));
        assert_eq!([unescaped("%zz"), unescaped("%2"), unescaped("%ff")], [None, None, None]);
    }
}
