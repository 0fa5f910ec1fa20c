//! Paths as a manifest names them.

/// The path itself, which starts with `/`; one that is not UTF-8 as a `file:` URL, which never does.
pub(super) fn of_path(path: &[u8]) -> String {
    if let Ok(text) = str::from_utf8(path) {
        return text.to_owned();
    }
    of_file(path)
}

/// A path as a `file:` URL, whatever it is.
pub(super) fn of_file(path: &[u8]) -> String {
    let mut url = "file://".to_owned();
    for byte in path {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(*byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}
