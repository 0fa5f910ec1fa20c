//! What a restore has done to what was there, for whoever reads why it stopped.

use crate::source::SourceError;

/// By the names of collections with their databases.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub replaced: Vec<String>,
    /// Dropped, and not filled again.
    pub emptied: Vec<String>,
    /// With what it is called now.
    pub kept: Vec<(String, String)>,
    /// Complete, or not needed, under a name of restow's.
    pub temporary: Vec<(String, String)>,
}

impl Left {
    pub fn append(&mut self, mut other: Self) {
        self.replaced.append(&mut other.replaced);
        self.emptied.append(&mut other.emptied);
        self.kept.append(&mut other.kept);
        self.temporary.append(&mut other.temporary);
    }

    /// An error that ends everything, with what nobody would be told otherwise.
    pub fn told(&self, error: SourceError) -> SourceError {
        let pairs = |pairs: &[(String, String)]| {
            let one = |(name, new): &(String, String)| format!("{name} as {new}");
            pairs.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let parts = [
            ("replaced by then", self.replaced.join(", ")),
            ("dropped and not filled again", self.emptied.join(", ")),
            ("kept under another name", pairs(&self.kept)),
            ("left behind", pairs(&self.temporary)),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|(_, names)| !names.is_empty()).collect();
        if parts.is_empty() {
            return error;
        }
        let parts: Vec<_> = parts.iter().map(|(what, names)| format!("{what}: {names}")).collect();
        let parts = parts.join("; ");
        match error {
            SourceError::Refused { kind, path, message } => {
                SourceError::Refused { kind, path, message: format!("{message}; {parts}") }
            }
            other => SourceError::Refused {
                kind: other.kind(),
                path: "the restore".to_owned(),
                message: format!("{other}; {parts}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::ErrorKind;

    #[test]
    fn an_interrupted_restore_says_what_it_did() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let left = Left {
            replaced: vec!["d/a".into(), "d/b".into()],
            kept: vec![pair("d/a", "a_backup")],
            ..Left::default()
        };
        let told = left.told(SourceError::Interrupted);
        assert_eq!(told.kind(), ErrorKind::Interrupted);
        let told = told.to_string();
        assert!(
            told.contains("replaced by then: d/a, d/b; kept under another name: d/a as a_backup"),
            "{told}"
        );
        assert!(matches!(Left::default().told(SourceError::Interrupted), SourceError::Interrupted));
    }
}
