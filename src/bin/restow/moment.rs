//! Moments as people say them.

use jiff::civil::DateTime;
use jiff::{Span, Timestamp, Zoned};
use restow::Time;

/// A date or a time here, a time anywhere, or how long ago.
pub fn parse(text: &str) -> Result<Time, String> {
    let now = Zoned::now();
    let moment =
        at(text, &now).ok_or("say 2026-11-21, 2026-11-21T18:30, 2026-11-21T18:30:00Z, or 7d")?;
    let nanos = u32::try_from(moment.subsec_nanosecond()).unwrap_or(0);
    Ok(Time { seconds: moment.as_second(), nanos })
}

fn at(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return Some(local.to_zoned(now.time_zone().clone()).ok()?.timestamp());
    }
    // "7d" is meant; "7d ago" and "-7d" would be said twice.
    let span: Span = text.strip_suffix(" ago").unwrap_or(text).parse().ok()?;
    let ago = if span.is_negative() { span } else { -span };
    Some(now.checked_add(ago).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn dates_times_and_spans() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::fixed(jiff::tz::offset(1)));
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let now = now.to_zoned(berlin);
        for (said, meant) in [
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20T18:30", "2026-11-20T17:30:00Z"),
            ("2026-11-20 18:30:15", "2026-11-20T17:30:15Z"),
            ("2026-11-20T18:30:00Z", "2026-11-20T18:30:00Z"),
            ("2026-11-20T18:30:00+05:00", "2026-11-20T13:30:00Z"),
            ("12h", "2026-11-21T00:00:00Z"),
            ("7d", "2026-11-14T12:00:00Z"),
            ("2 weeks ago", "2026-11-07T12:00:00Z"),
            ("-1h", "2026-11-21T11:00:00Z"),
        ] {
            assert_eq!(at(said, &now).unwrap().to_string(), meant, "{said}");
        }
        for wrong in ["", "yesterday-ish", "7", "2026-13-01"] {
            assert!(at(wrong, &now).is_none(), "{wrong}");
        }
    }
}
