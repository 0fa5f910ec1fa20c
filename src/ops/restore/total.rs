//! Several restores, or several parts of one, as one. Lists stay as bounded as each of them is.

use crate::format::Problem;
use crate::limits::PROBLEMS_MAX;

use super::{Losses, NAMED_MAX, RestorePlan, RestoreReport};

impl RestorePlan {
    /// Adds what another part of the restore would do.
    pub fn add(&mut self, other: Self) {
        let Self {
            new,
            kept,
            replaced,
            bytes,
            replacements,
            losses,
            problems,
            problem_count,
            notes,
        } = other;
        self.new += new;
        self.kept += kept;
        self.replaced += replaced;
        self.bytes += bytes;
        let room = NAMED_MAX.saturating_sub(self.replacements.len());
        self.replacements.extend(replacements.into_iter().take(room));
        self.losses.add(losses);
        extend(&mut self.problems, problems);
        self.problem_count += problem_count;
        self.notes.extend(notes);
    }
}

impl RestoreReport {
    /// Adds what another part of the restore did.
    pub fn add(&mut self, other: Self) {
        let Self {
            entries,
            bytes,
            kept_bytes,
            damaged,
            damaged_count,
            losses,
            problems,
            problem_count,
            notes,
        } = other;
        self.entries += entries;
        self.bytes += bytes;
        self.kept_bytes += kept_bytes;
        extend(&mut self.damaged, damaged);
        self.damaged_count += damaged_count;
        self.losses.add(losses);
        extend(&mut self.problems, problems);
        self.problem_count += problem_count;
        self.notes.extend(notes);
    }
}

impl Losses {
    fn add(&mut self, mut other: Self) {
        // Two sources may share the node that is lost.
        if let (Some(last), Some(first)) = (self.stretches.last(), other.stretches.first())
            && last == first
        {
            other.entries -= first.entries;
            other.stretches.remove(0);
        }
        self.entries += other.entries;
        self.stretches.extend(other.stretches);
    }
}

fn extend(list: &mut Vec<Problem>, more: Vec<Problem>) {
    let room = PROBLEMS_MAX.saturating_sub(list.len());
    list.extend(more.into_iter().take(room));
}
