//! What is asked of a server.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::source::url::UNRESERVED;

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
        Self { header: AUTHORIZATION, value }
    }

    /// `Authorization: Basic …`, RFC 7617.
    pub fn basic(user: &str, password: &str) -> Self {
        let pair = Zeroizing::new(format!("{user}:{password}"));
        let mut value = Zeroizing::new(String::from("Basic "));
        BASE64.encode_append(pair.as_bytes(), &mut value);
        Self { header: AUTHORIZATION, value }
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
    utf8_percent_encode(name, UNRESERVED).to_string()
}

/// The text with every `%XX` decoded. `None` where a `%` begins no escape, or where the bytes are not UTF-8.
pub fn unescaped(text: &str) -> Option<String> {
    // The decoder would keep a `%` that begins no escape.
    let is_escape = |rest: &str| {
        rest.as_bytes().first_chunk::<2>().is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
    };
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    text.split('%').skip(1).all(is_escape).then(|| decoded.into_owned())
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
    fn basic_authorization_is_as_the_rfc_has_it() {
        for (user, password, coded) in [
            ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123£", "Basic dGVzdDoxMjPCow=="),
        ] {
            let (name, value) = Credential::basic(user, password).header().unwrap();
            assert_eq!((name, value.to_str().unwrap()), (AUTHORIZATION, coded));
        }
        assert!(!format!("{:?}", Credential::basic("a", "s3cret")).contains("czNjcmV0"));
    }

    #[test]
    fn names_are_one_segment() {
        assert_eq!(escaped("a b/c%?"), "a%20b%2Fc%25%3F");
        assert_eq!(escaped("notes-1.snapshot"), "notes-1.snapshot");
        assert_eq!(unescaped("a%20b%2fc").as_deref(), Some("a b/c"));
        assert_eq!([unescaped("%zz"), unescaped("%2"), unescaped("%ff")], [None, None, None]);
    }
}
