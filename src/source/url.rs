//! URLs of sources as a manifest records them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What RFC 3986 lets stand unescaped everywhere in a URL; all other bytes are escaped.
pub(super) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const FILE_PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The path itself, which starts with `/`, where it is UTF-8; else a `file:` URL.
pub(super) fn of_path(path: &[u8]) -> String {
    str::from_utf8(path).map_or_else(|_| of_file(path), str::to_owned)
}

/// The path as a `file:` URL.
pub(super) fn of_file(path: &[u8]) -> String {
    format!("file://{}", escaped_path(path))
}

pub(super) fn escaped_path(path: &[u8]) -> impl std::fmt::Display {
    percent_encode(path, FILE_PATH)
}

/// A file's name as a label: two names that are not UTF-8 never become the same text.
pub(super) fn label(name: &[u8]) -> String {
    str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned)
}
