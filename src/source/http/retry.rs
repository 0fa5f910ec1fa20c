//! What is worth another try, and when. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// A server that wants to be left alone for longer is not waited for.
const TOLD_MAX: Duration = Duration::from_secs(300);

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

/// How long to wait before try `attempt` (from 0): doubled each time up to `most`, half of it by chance, so
/// that many who failed together do not come back together. `None`: it would be too long.
pub(super) fn pause(
    attempt: u32,
    base: Duration,
    most: Duration,
    told: Option<Duration>,
    chance: f64,
) -> Option<Duration> {
    let doubled = base.saturating_mul(2u32.saturating_pow(attempt)).min(most);
    let ours = doubled.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
    match told {
        Some(told) if told > TOLD_MAX => None,
        Some(told) => Some(ours.max(told)),
        None => Some(ours),
    }
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
    fn pauses_double_up_to_a_limit() {
        let pause = |attempt, told, chance| pause(attempt, SECOND, 8 * SECOND, told, chance);
        assert_eq!(pause(0, None, 1.0), Some(SECOND));
        assert_eq!(pause(0, None, 0.0), Some(SECOND / 2));
        assert_eq!(pause(2, None, 1.0), Some(4 * SECOND));
        assert_eq!(pause(40, None, 1.0), Some(8 * SECOND));
        assert_eq!(pause(0, Some(5 * SECOND), 0.3), Some(5 * SECOND));
        assert_eq!(pause(0, Some(3600 * SECOND), 0.3), None);
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
