//! This machine's time zone.

use std::path::Path;

use jiff::Zoned;
use jiff::tz::TimeZone;

/// Now, in the zone that `TZ` names, else `/etc/localtime`. Where there is neither it is UTC, as for any program.
///
/// # Errors
/// Where the zone cannot be looked up: days that begin at another hour would not be those that somebody means.
pub fn local_now() -> Result<Zoned, UnknownZone> {
    let said = std::env::var_os("TZ").filter(|said| !said.is_empty());
    let zone = match &said {
        None if !Path::new("/etc/localtime").exists() => TimeZone::UTC,
        _ => TimeZone::try_system().map_err(|source| {
            let from =
                said.map_or("/etc/localtime".into(), |said| format!("TZ={}", said.display()));
            UnknownZone { from, source }
        })?,
    };
    Ok(Zoned::now().with_time_zone(zone))
}

/// A time zone that cannot be looked up.
#[derive(Debug, thiserror::Error)]
#[error("the time zone of this machine cannot be looked up ({from})")]
pub struct UnknownZone {
    from: String,
    source: jiff::Error,
}
