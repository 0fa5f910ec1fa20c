//! Moments as people say them.

use jiff::civil::DateTime;
use jiff::{Timestamp, Zoned};
use restow::{Age, Time, local_now};

/// A date or a time here, a time anywhere, or how long ago.
pub fn parse(text: &str) -> Result<Time, String> {
    let moment = match text.trim().parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => at(text, &local_now().map_err(|error| error.to_string())?)?,
    };
    let nanos = u32::try_from(moment.subsec_nanosecond()).unwrap_or(0);
    Ok(Time { seconds: moment.as_second(), nanos })
}

fn at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(local) = text.parse::<DateTime>() {
        let here = local.to_zoned(now.time_zone().clone());
        return here.map(|here| here.timestamp()).map_err(|error| error.to_string());
    }
    // "7d" is meant; "7d ago" and "-7d" would be said twice.
    let ago = text.strip_suffix(" ago").unwrap_or(text).trim_start_matches('-').parse::<Age>();
    let wrong =
        |error| format!("{error}; or a time: 2026-11-21, 2026-11-21T18:30, 2026-11-21T18:30:00Z");
    ago.map(|ago| ago.before(now)).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_time_with_its_zone_is_that_time_anywhere() {
        for said in ["2026-11-20T18:30:00Z", " 2026-11-20T23:30:00+05:00"] {
            assert_eq!(parse(said).unwrap(), Time { seconds: 1_795_199_400, nanos: 0 }, "{said}");
        }
    }

    #[test]
    fn dates_times_and_spans() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::fixed(jiff::tz::offset(1)));
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let now = now.to_zoned(berlin);
        for (said, meant) in [
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20T18:30", "2026-11-20T17:30:00Z"),
            ("2026-11-20 18:30:15", "2026-11-20T17:30:15Z"),
            ("12h", "2026-11-21T00:00:00Z"),
            ("7d", "2026-11-14T12:00:00Z"),
            ("2 weeks ago", "2026-11-07T12:00:00Z"),
            ("-1h", "2026-11-21T11:00:00Z"),
        ] {
            assert_eq!(at(said, &now).unwrap().to_string(), meant, "{said}");
        }
        for wrong in ["", "yesterday-ish", "7", "2026-13-01", "6m", "6m ago", "-6m"] {
            assert!(at(wrong, &now).is_err(), "{wrong}");
        }
    }
}
