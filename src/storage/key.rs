//! Object keys: relative, slash-separated, of a small alphabet, so that no storage can misread one.

use std::fmt;

/// A name that cannot be an object's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an object key: {0:?} (components of a-z, 0-9, '-', '_' and '.', none starting with '.')"
)]
pub struct BadKey(pub String);

/// The key of an object, or of a folder of objects.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Checks and takes a key.
    pub fn new(text: impl Into<String>) -> Result<Self, BadKey> {
        let text = text.into();
        let good_byte = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let good_component =
            |c: &str| !c.is_empty() && !c.starts_with('.') && c.bytes().all(good_byte);
        if text.len() <= 255 && text.split('/').all(good_component) {
            Ok(Self(text))
        } else {
            Err(BadKey(text))
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether this key is `prefix` or lies below it.
    pub fn is_under(&self, prefix: &Key) -> bool {
        self.0
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_inside_the_repository() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", ".tmp", "A", "a b", "a\\b", "a/.b"] {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
        let key = Key::new("packs/0f/0f00").unwrap();
        assert!(key.is_under(&Key::new("packs").unwrap()));
        assert!(!key.is_under(&Key::new("pack").unwrap()));
        assert_eq!(key.name(), "0f00");
    }
}
