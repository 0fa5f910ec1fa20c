//! What a server counts, before a state of it is held and after that was read, and what a difference means. Pure.

/// So many documents do not come and go between two questions.
const MANY: u64 = 1000;

/// A collection at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub count: u64,
    /// Another one after each write. `None`: the server does not tell.
    pub revision: Option<String>,
}

/// What to make of the documents that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Equal,
    /// Writes may be the reason, and nobody can tell more.
    Differs {
        is_odd: bool,
    },
    /// They are not all that were there.
    Lost,
}

/// `before`: before the state was held, `now`: after it was read. The state is from in between.
pub(super) fn judge(before: Option<&Counted>, came: u64, now: &Counted) -> Verdict {
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
    let is_odd = now.count > came.saturating_mul(2).saturating_add(MANY) || (came == 0 && was > 0);
    Verdict::Differs { is_odd }
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
}
