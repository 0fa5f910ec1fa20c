//! Which answers are worth another try, and when. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// Whether an answer with this status may be another one next time.
pub(super) fn is_passing(status: u16) -> bool {
    match status {
        408 | 429 => true,
        // Not implemented, version not supported, disk full: the same again.
        501 | 505 | 507 => false,
        _ => (500..600).contains(&status),
    }
}

/// Whether the server says that it did not even begin. A proxy's 503 may come after the server began: the server's
/// own says so in JSON.
pub(super) fn is_undone(status: u16, said: &str) -> bool {
    status == 429 || (status == 503 && said.trim_start().starts_with('{'))
}

/// A `Retry-After`: seconds, or a date.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_passes() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_passing(status), "{status}");
        }
        for status in [200, 304, 400, 401, 403, 404, 409, 501, 507] {
            assert!(!is_passing(status), "{status}");
        }
    }

    #[test]
    fn what_was_surely_not_begun() {
        assert!(is_undone(429, "") && is_undone(503, " {\"status\":{}}"));
        assert!(!is_undone(503, "upstream connect error") && !is_undone(500, "{}"));
    }

    #[test]
    fn retry_after_in_both_its_forms() {
        let now: Timestamp = "2026-11-21T20:00:00Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(7 * SECOND));
        assert_eq!(retry_after("Sat, 21 Nov 2026 20:00:09 GMT", now), Some(9 * SECOND));
        assert_eq!(retry_after("Sat, 21 Nov 2026 19:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
