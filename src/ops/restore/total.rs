//! Several restores as one.

use super::{Losses, RestorePlan, RestoreReport};

impl RestorePlan {
    pub fn add(&mut self, other: Self) {
        let Self { new, kept, replaced, bytes, replacements, losses, problems, problem_count } =
            other;
        self.new += new;
        self.kept += kept;
        self.replaced += replaced;
        self.bytes += bytes;
        self.replacements.extend(replacements);
        self.losses.add(losses);
        self.problems.extend(problems);
        self.problem_count += problem_count;
    }
}

impl RestoreReport {
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
        } = other;
        self.entries += entries;
        self.bytes += bytes;
        self.kept_bytes += kept_bytes;
        self.damaged.extend(damaged);
        self.damaged_count += damaged_count;
        self.losses.add(losses);
        self.problems.extend(problems);
        self.problem_count += problem_count;
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
