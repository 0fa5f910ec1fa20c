//! What was shown before a restore is all that it may replace.

use std::collections::BTreeMap;

use super::Nouns;
use super::counts::has_grown;
use crate::fault::ErrorKind;
use crate::format::EntryPath;
use crate::source::{Fate, LoadStep, SourceError};

/// Names in one error.
const NAMED: usize = 20;

/// Things that may be replaced, with the number of rows that they had when they were shown.
#[derive(Debug, Default)]
pub(in crate::source) struct Consent(BTreeMap<EntryPath, Option<u64>>);

impl Consent {
    /// To everything that these steps replace.
    pub fn to(steps: &[LoadStep]) -> Self {
        let replaced = steps.iter().filter(|step| matches!(step.fate, Fate::Replaced(_)));
        Self(replaced.map(|step| (step.name.clone(), step.rows)).collect())
    }

    /// These steps replace nothing but what was shown. Fails before anything was done if something appeared since
    /// then, or has grown so much that the answer could have been another. `hint`: what the user can do.
    pub fn check(
        &self,
        steps: &[LoadStep],
        nouns: Nouns,
        target: &str,
        hint: &str,
    ) -> Result<(), SourceError> {
        let clash = |step: &LoadStep| {
            let Fate::Replaced(what) = &step.fate else { return None };
            let name = step.name.display();
            match (self.0.get(&step.name), step.rows) {
                (None, _) => Some(format!("{name} ({what})")),
                (Some(Some(shown)), Some(now)) if has_grown(*shown, now) => {
                    let then = nouns.rows(*shown);
                    Some(format!("{name} ({what}, which had {then} when it was shown)"))
                }
                (Some(_), _) => None,
            }
        };
        let clashes: Vec<_> = steps.iter().filter_map(clash).collect();
        if clashes.is_empty() {
            return Ok(());
        }
        let more = match clashes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = clashes.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        let message = format!("is there: {named}{more}; {hint}");
        Err(SourceError::refused(ErrorKind::Exists, target, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOUNS: Nouns = Nouns { table: "table", row: "row" };

    fn step(name: &str, rows: Option<u64>) -> LoadStep {
        let fate = Fate::Replaced(format!("table{}", NOUNS.with_rows(rows)));
        LoadStep { name: EntryPath::new(name).unwrap(), fate, rows, bytes: 0 }
    }

    fn check(shown: &[LoadStep], now: &[LoadStep]) -> Result<(), String> {
        let checked = Consent::to(shown).check(now, NOUNS, "db://h", "say so");
        checked.map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Exists);
            error.to_string()
        })
    }

    #[test]
    fn only_what_was_shown() {
        let shown = [step("a", Some(5)), step("b", None)];
        assert_eq!(check(&shown, &shown), Ok(()));
        assert_eq!(check(&shown, &[step("a", Some(7))]), Ok(()), "a table in use");
        assert_eq!(check(&shown, &[step("b", Some(9_000))]), Ok(()), "nobody knew its rows");
        let appeared = check(&shown, &[step("a", Some(5)), step("c", Some(1))]);
        assert_eq!(appeared.unwrap_err(), "db://h: is there: c (table with 1 row); say so");
        let filled = check(&[step("a", Some(0))], &[step("a", Some(1))]).unwrap_err();
        assert!(filled.contains("a (table with 1 row, which had 0 rows when it was"), "{filled}");
        assert!(check(&shown, &[step("a", Some(2_000))]).is_err());
        let new = LoadStep { fate: Fate::New, ..step("c", None) };
        assert_eq!(check(&[], &[new]), Ok(()));
    }

    #[test]
    fn a_long_list_is_cut() {
        let all: Vec<_> = (0..25).map(|at| step(&format!("t{at:02}"), None)).collect();
        let error = check(&[], &all).unwrap_err();
        assert!(error.ends_with("t19 (table) and 5 more; say so"), "{error}");
    }
}
