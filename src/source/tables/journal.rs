//! What a restore has done so far, for the error that ends it.

use crate::source::SourceError;

/// What was done with a table, as far as a user has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Deed {
    Replaced,
    /// Dropped, and not filled again.
    Dropped,
    /// What was there has this name now.
    KeptAs(String),
    /// A table under this temporary name is complete, or of no use, and could not be deleted.
    LeftAs(String),
}

impl Deed {
    const HEADINGS: [&str; 4] = [
        "replaced by then",
        "dropped and not filled again",
        "kept under another name",
        "left behind",
    ];

    fn heading(&self) -> &'static str {
        let [replaced, dropped, kept, left] = Self::HEADINGS;
        match self {
            Self::Replaced => replaced,
            Self::Dropped => dropped,
            Self::KeptAs(_) => kept,
            Self::LeftAs(_) => left,
        }
    }

    fn told(&self, table: &str) -> String {
        match self {
            Self::KeptAs(new) | Self::LeftAs(new) => format!("{table} as {new}"),
            Self::Replaced | Self::Dropped => table.to_owned(),
        }
    }
}

/// Deeds in the order in which they were done, with the names of the tables.
#[derive(Debug, Default)]
pub(in crate::source) struct Journal(Vec<(String, Deed)>);

impl Journal {
    pub fn record(&mut self, table: &str, deed: Deed) {
        self.0.push((table.to_owned(), deed));
    }

    /// Takes back what does not hold any more.
    pub fn retract(&mut self, table: &str, deed: &Deed) {
        self.0.retain(|(name, done)| name != table || done != deed);
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// An error that ends the restore, with everything that nobody would be told otherwise.
    pub fn explain(&self, error: SourceError) -> SourceError {
        let part = |heading: &&str| {
            let under = self.0.iter().filter(|(_, deed)| deed.heading() == *heading);
            let tables: Vec<_> = under.map(|(table, deed)| deed.told(table)).collect();
            (!tables.is_empty()).then(|| format!("{heading}: {}", tables.join(", ")))
        };
        let parts: Vec<_> = Deed::HEADINGS.iter().filter_map(part).collect();
        match parts.is_empty() {
            true => error,
            false => error.with_context(&parts.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::ErrorKind;

    #[test]
    fn an_interrupted_restore_says_what_it_did() {
        let mut journal = Journal::default();
        let untold = journal.explain(SourceError::Interrupted);
        assert!(matches!(untold, SourceError::Interrupted));
        journal.record("d/a", Deed::Replaced);
        journal.record("d/b", Deed::Dropped);
        journal.retract("d/b", &Deed::Dropped);
        journal.record("d/b", Deed::Replaced);
        journal.record("d/a", Deed::KeptAs("a_backup".into()));
        let told = journal.explain(SourceError::Interrupted);
        assert_eq!(told.kind(), ErrorKind::Interrupted);
        assert_eq!(
            told.to_string(),
            "the restore: interrupted; replaced by then: d/a, d/b; kept under another name: d/a as a_backup"
        );
    }
}
