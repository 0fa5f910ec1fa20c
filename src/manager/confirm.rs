//! What a caller must say before anything is replaced.

use crate::ops::{OpError, RestorePlan};

/// Whether a restore may replace what is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Whatever would be replaced is an error, and nothing is written.
    Refuse,
    /// What a plan said would be replaced.
    Confirmed(Confirmed),
}

/// The replacements of a plan that somebody saw. A restore that would by now replace more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    replaced: u64,
}

impl Confirmed {
    /// Takes what a plan would replace as confirmed.
    pub fn of(plan: &RestorePlan) -> Self {
        Self { replaced: plan.replaced }
    }
}

impl Overwrite {
    pub(super) fn allows_any(self) -> bool {
        matches!(self, Self::Confirmed(_))
    }

    pub(super) fn check(self, plan: &RestorePlan) -> Result<(), OpError> {
        let confirmed = match self {
            Self::Refuse => 0,
            Self::Confirmed(Confirmed { replaced }) => replaced,
        };
        if plan.replaced <= confirmed {
            return Ok(());
        }
        let (path, was) = plan.replacements.first().cloned().unwrap_or_default();
        let count = plan.replaced;
        let what = format!("({was}) would be replaced: {count} entries, {confirmed} confirmed");
        Err(OpError::TargetExists { place: path.display(), what })
    }
}
