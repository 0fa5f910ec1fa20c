//! `[retention]`: the same words as on the command line of `restow cleanup`.

use std::num::NonZeroU32;

use restow::{Age, Period, Reach, RetentionPolicy};
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RetentionConfig {
    keep_last: Option<NonZeroU32>,
    keep_within: Option<Parsed<Age>>,
    keep_hourly: Option<Parsed<Reach>>,
    keep_daily: Option<Parsed<Reach>>,
    keep_weekly: Option<Parsed<Reach>>,
    keep_monthly: Option<Parsed<Reach>>,
    keep_yearly: Option<Parsed<Reach>>,
    keep_tag: Vec<String>,
    older_than: Option<Parsed<Age>>,
    max_size: Option<Parsed<Size>>,
}

impl RetentionConfig {
    pub fn policy(&self) -> RetentionPolicy {
        let periods = [
            (Period::Hour, &self.keep_hourly),
            (Period::Day, &self.keep_daily),
            (Period::Week, &self.keep_weekly),
            (Period::Month, &self.keep_monthly),
            (Period::Year, &self.keep_yearly),
        ];
        let age = |said: &Option<Parsed<Age>>| said.as_ref().map(|said| said.0);
        RetentionPolicy {
            last: self.keep_last.map(NonZeroU32::get),
            within: age(&self.keep_within),
            periods: periods
                .into_iter()
                .filter_map(|(period, reach)| Some((period, reach.as_ref()?.0)))
                .collect(),
            tags: self.keep_tag.clone(),
            older_than: age(&self.older_than),
            max_size: self.max_size.as_ref().map(|said| said.0.0),
        }
    }
}

/// What is written as a text, or where it may be one as a number.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Said", bound = "T: std::str::FromStr<Err = String>")]
struct Parsed<T>(T);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or a text as on the command line")]
enum Said {
    Number(u64),
    Text(String),
}

impl<T: std::str::FromStr<Err = String>> TryFrom<Said> for Parsed<T> {
    type Error = String;

    fn try_from(said: Said) -> Result<Self, String> {
        let text = match said {
            Said::Number(number) => number.to_string(),
            Said::Text(text) => text,
        };
        text.parse().map(Self)
    }
}

#[derive(Debug, Clone, Copy)]
struct Size(u64);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::args::size(text).map(Self)
    }
}
