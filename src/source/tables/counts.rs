//! Numbers of rows: what a server counts, what came, and what a difference between them means. Pure.

use super::Nouns;

/// So many rows do not come and go between two questions.
const MANY: u64 = 1000;

/// A table of a server at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::source) struct Counted {
    pub count: u64,
    /// Another one after each write. `None`: the server does not tell.
    pub revision: Option<String>,
}

/// What to make of the rows that came in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Verdict {
    Equal,
    /// Writes may be the reason, and nobody can tell more.
    Differs {
        is_odd: bool,
    },
    /// They are not all that were there.
    Lost,
}

/// `before`: before the state was held, `now`: after it was read. The state is from in between.
pub(in crate::source) fn judge(before: Option<&Counted>, came: u64, now: &Counted) -> Verdict {
    if came == now.count {
        return Verdict::Equal;
    }
    let was = before.map_or(0, |before| before.count);
    let is_untouched = before.is_some_and(|before| {
        let is_same = before.revision == now.revision;
        before.count == now.count
            && (is_same || before.revision.is_none() || now.revision.is_none())
    });
    if is_untouched || (came == 0 && was > MANY && now.count > MANY) {
        return Verdict::Lost;
    }
    let is_odd = has_outgrown(came, now.count) || (came == 0 && was > 0);
    Verdict::Differs { is_odd }
}

/// Whether ordinary use of a table does not explain its growth from one question to the next.
pub(super) fn has_grown(was: u64, now: u64) -> bool {
    has_outgrown(was, now) || (was == 0 && now > 0)
}

fn has_outgrown(was: u64, now: u64) -> bool {
    now > was.saturating_mul(2).saturating_add(MANY)
}

/// The number of rows that a snapshot tells of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Recorded {
    Unknown,
    /// The rows that were stored were counted.
    Exactly(u64),
    /// The server counted them at another moment. `is_whole`: the server takes in all rows or none, so fewer rows
    /// than that are no loss.
    About {
        rows: u64,
        is_whole: bool,
    },
}

/// The numbers of rows of a table that was restored.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) struct RowCounts {
    pub recorded: Recorded,
    /// `None`: the server unpacked them, so nobody counted.
    pub written: Option<u64>,
    /// By the server, afterwards. `None`: it does not tell, or has no such table.
    pub counted: Option<u64>,
    /// The table may have had rows before.
    pub is_merged: bool,
}

impl RowCounts {
    /// What is worth saying of a table that is complete. The error says in words what is missing.
    pub fn check(self, nouns: Nouns) -> Result<Option<String>, String> {
        let rows = |count: u64| format!("{count} {}s", nouns.row);
        if let (Recorded::Exactly(recorded), Some(written)) = (self.recorded, self.written)
            && recorded != written
        {
            return Err(format!(
                "{} were backed up, and {written} are in the snapshot",
                rows(recorded)
            ));
        }
        match (self.written, self.counted) {
            (Some(_), None) => return Err("is not there any more".to_owned()),
            (Some(written), Some(counted))
                if counted != written && !(self.is_merged && counted > written) =>
            {
                return Err(format!(
                    "{} were sent, and the server counts {counted}: restore it again, and see the server's log",
                    rows(written)
                ));
            }
            _ => {}
        }
        match (self.recorded, self.counted) {
            (_, None) | (Recorded::Exactly(_), _) => Ok(None),
            (Recorded::Unknown, Some(_)) if self.written.is_some() => Ok(None),
            (Recorded::Unknown, Some(now)) => Ok(Some(rows(now))),
            (Recorded::About { rows: before @ 1.., .. }, Some(0)) => {
                Err(format!("has no {}s, the backup had {before}: see the server's log", nouns.row))
            }
            (Recorded::About { rows: before, .. }, Some(now)) if before == now => {
                Ok(Some(format!("{}, as when it was backed up", rows(now))))
            }
            (Recorded::About { rows: before, is_whole: false }, Some(now)) if now < before => {
                Err(format!("has {}, the backup had {before}: parts did not come in", rows(now)))
            }
            (Recorded::About { rows: before, .. }, Some(now)) => {
                Ok(Some(format!("{}; {before} when its backup began", rows(now))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(count: u64, revision: &str) -> Counted {
        let revision = (!revision.is_empty()).then(|| revision.to_owned());
        Counted { count, revision }
    }

    const ORDINARY: Verdict = Verdict::Differs { is_odd: false };
    const ODD: Verdict = Verdict::Differs { is_odd: true };

    #[test]
    fn nobody_wrote_and_documents_are_missing() {
        assert_eq!(judge(Some(&at(50, "7")), 49, &at(50, "7")), Verdict::Lost);
        assert_eq!(judge(Some(&at(50, "7")), 0, &at(50, "7")), Verdict::Lost);
        assert_eq!(judge(Some(&at(50, "7")), 51, &at(50, "7")), Verdict::Lost);
        assert_eq!(judge(Some(&at(50, "7")), 50, &at(50, "7")), Verdict::Equal);
        // Where a server tells no revision its count is all there is.
        for (before, now) in [("", ""), ("7", ""), ("", "7")] {
            assert_eq!(judge(Some(&at(50, before)), 49, &at(50, now)), Verdict::Lost);
        }
    }

    /// As many come as go: the same count before and after says nothing of the moment in between.
    #[test]
    fn a_count_that_stays_while_documents_are_written() {
        assert_eq!(judge(Some(&at(50, "7")), 51, &at(50, "9")), ORDINARY);
        assert_eq!(judge(Some(&at(50, "7")), 49, &at(50, "9")), ORDINARY);
        // A queue that had nothing in it just then.
        assert_eq!(judge(Some(&at(3, "7")), 0, &at(3, "9")), ODD);
        assert_eq!(judge(Some(&at(3, "7")), 0, &at(5, "9")), ODD);
    }

    #[test]
    fn what_is_odd_and_what_cannot_be() {
        assert_eq!(judge(Some(&at(5000, "7")), 0, &at(5001, "9")), Verdict::Lost);
        assert_eq!(judge(None, 0, &at(500, "9")), ORDINARY);
        assert_eq!(judge(None, 0, &at(5000, "9")), ODD);
        assert_eq!(judge(Some(&at(10, "7")), 10, &at(5000, "9")), ODD);
        assert_eq!(judge(Some(&at(10, "7")), 10, &at(12, "9")), ORDINARY);
    }

    #[test]
    fn growth_that_use_explains() {
        for (was, now) in [(0, 0), (5, 4), (5, 900), (2_000, 5_000)] {
            assert!(!has_grown(was, now), "{was} {now}");
        }
        for (was, now) in [(0, 1), (5, 1_011), (2_000, 5_001)] {
            assert!(has_grown(was, now), "{was} {now}");
        }
    }

    #[test]
    fn what_was_restored_is_weighed() {
        let nouns = Nouns { table: "collection", row: "point" };
        let of = |recorded, written, counted| {
            RowCounts { recorded, written, counted, is_merged: false }.check(nouns)
        };
        let (exact, unknown) = (Recorded::Exactly(7), Recorded::Unknown);
        assert_eq!(of(exact, Some(7), Some(7)), Ok(None));
        let error = |result: Result<Option<String>, String>| result.unwrap_err();
        assert!(error(of(exact, Some(6), Some(6))).contains("7 points were backed up, and 6 are"));
        assert!(error(of(exact, Some(7), Some(8))).contains("7 points were sent, and the server"));
        assert!(error(of(unknown, Some(7), None)).contains("is not there any more"));
        assert_eq!(of(unknown, None, Some(3)).unwrap().unwrap(), "3 points");
        assert_eq!(of(unknown, None, None), Ok(None));
        let merged =
            RowCounts { recorded: exact, written: Some(7), counted: Some(9), is_merged: true };
        assert_eq!(merged.check(nouns), Ok(None));
        assert!(RowCounts { counted: Some(6), ..merged }.check(nouns).is_err());
        let about = |rows, is_whole, now| of(Recorded::About { rows, is_whole }, None, Some(now));
        assert_eq!(about(9, true, 9).unwrap().unwrap(), "9 points, as when it was backed up");
        assert_eq!(about(9, true, 8).unwrap().unwrap(), "8 points; 9 when its backup began");
        assert!(error(about(9, false, 8)).contains("parts did not come in"));
        assert!(error(about(9, true, 0)).contains("has no points, the backup had 9"));
    }
}
