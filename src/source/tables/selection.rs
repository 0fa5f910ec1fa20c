//! The tables of a snapshot that are restored, and their names at the target.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::Nouns;
use crate::fault::ErrorKind;
use crate::source::SourceError;

/// A table of a snapshot and its name at the target. As text: `NAME`, or `NAME:NEW`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rename {
    /// Name in the snapshot.
    pub from: String,
    /// Name at the target.
    pub to: String,
}

impl Rename {
    /// Makes a rename.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

impl FromStr for Rename {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (from, to) = text.split_once(':').unwrap_or((text, text));
        match from.is_empty() || to.is_empty() {
            false => Ok(Self::new(from, to)),
            true => Err(usage(&format!("{text:?}"), "say NAME or NAME:NEW".to_owned())),
        }
    }
}

/// Which tables are restored. Without a choice these are all that the kind restores by default.
#[derive(Debug, Clone, Default)]
pub(in crate::source) struct TableSelection {
    chosen: Vec<Rename>,
    /// The name of the one table that is restored.
    sole_name: Option<String>,
}

impl TableSelection {
    /// `target`: the URL of the server, for errors. No table is chosen twice, and no two get the same name.
    pub fn new(
        chosen: Vec<Rename>,
        sole_name: Option<String>,
        target: &str,
    ) -> Result<Self, SourceError> {
        let (mut from, mut to) = (BTreeSet::new(), BTreeSet::new());
        for one in &chosen {
            let name = format!("--collection {}:{}", one.from, one.to);
            if one.from.is_empty() || one.to.is_empty() {
                return Err(usage(target, format!("{name}: a name is empty")));
            }
            if !from.insert(&one.from) || !to.insert(&one.to) {
                return Err(usage(target, format!("{name}: that name was given before")));
            }
        }
        Ok(Self { chosen, sole_name })
    }

    /// Whether no table was chosen by its name.
    pub fn is_everything(&self) -> bool {
        self.chosen.is_empty()
    }

    pub fn has_chosen(&self, name: &str) -> bool {
        self.chosen.iter().any(|one| one.from == name)
    }

    /// Every chosen name is among `available`.
    pub fn check_available(
        &self,
        available: &BTreeSet<&str>,
        nouns: Nouns,
        target: &str,
    ) -> Result<(), SourceError> {
        let names = self.chosen.iter().map(|one| one.from.as_str());
        let missing: Vec<_> = names.filter(|name| !available.contains(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let there: Vec<_> = available.iter().copied().collect();
        let (noun, missing, there) = (nouns.table, missing.join(", "), there.join(", "));
        Err(usage(target, format!("the snapshot has no {noun} {missing}; it has {there}")))
    }

    /// The chosen tables among `available`, in the order of those, with their new names. If none was chosen: those
    /// that `is_default` accepts. Names that were chosen are never widened to others.
    pub fn resolve<'n>(
        &self,
        available: impl IntoIterator<Item = &'n str>,
        is_default: impl Fn(&str) -> bool,
        nouns: Nouns,
        target: &str,
    ) -> Result<Vec<Rename>, SourceError> {
        let one = |name: &str| match self.chosen.is_empty() {
            true => is_default(name).then(|| Rename::new(name, name)),
            false => self.chosen.iter().find(|one| one.from == name).cloned(),
        };
        let mut renames: Vec<_> = available.into_iter().filter_map(one).collect();
        match (&self.sole_name, renames.as_mut_slice()) {
            (None, _) => Ok(renames),
            (Some(new), [only]) => {
                only.to.clone_from(new);
                Ok(renames)
            }
            (Some(new), _) => {
                let message =
                    format!("only one {} can be restored as {new}: choose it", nouns.table);
                Err(usage(target, message))
            }
        }
    }
}

fn usage(path: &str, message: String) -> SourceError {
    SourceError::refused(ErrorKind::Usage, path, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOUNS: Nouns = Nouns { table: "table", row: "row" };

    fn selection(texts: &[&str]) -> Result<TableSelection, SourceError> {
        let chosen = texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        TableSelection::new(chosen, None, "db://host")
    }

    fn resolved(selection: &TableSelection) -> Result<Vec<String>, SourceError> {
        let all =
            selection.resolve(["a", "b", "_c"], |it| !it.starts_with('_'), NOUNS, "db://host");
        Ok(all?.into_iter().map(|one| format!("{}:{}", one.from, one.to)).collect())
    }

    #[test]
    fn texts() {
        assert_eq!("a".parse::<Rename>().unwrap(), Rename::new("a", "a"));
        assert_eq!("a:b:c".parse::<Rename>().unwrap(), Rename::new("a", "b:c"));
        for bad in ["", ":", "a:", ":a"] {
            let error = bad.parse::<Rename>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("NAME or NAME:NEW"), "{error}");
        }
    }

    #[test]
    fn a_choice_is_never_widened() {
        let of = |texts: &[&str]| resolved(&selection(texts).unwrap()).unwrap();
        assert_eq!(of(&[]), ["a:a", "b:b"]);
        assert_eq!(of(&["_c", "b:x"]), ["b:x", "_c:_c"]);
        assert_eq!(of(&["nope"]), [""; 0]);
        let error = selection(&["nope", "a"]).unwrap();
        let error = error.check_available(&["a", "b"].into(), NOUNS, "db://host").unwrap_err();
        assert_eq!(error.to_string(), "db://host: the snapshot has no table nope; it has a, b");
    }

    #[test]
    fn names_that_collide() {
        for twice in [["a", "a:b"], ["a:x", "b:x"]] {
            let error = selection(&twice).unwrap_err().to_string();
            assert!(error.ends_with("that name was given before"), "{error}");
        }
    }

    #[test]
    fn one_new_name_is_for_one_table() {
        let of = |texts: &[&str]| {
            let chosen = selection(texts).unwrap();
            resolved(&TableSelection { sole_name: Some("new".into()), ..chosen })
        };
        assert_eq!(of(&["b"]).unwrap(), ["b:new"]);
        for several in [&[][..], &["a", "b"], &["nope"]] {
            assert!(of(several).unwrap_err().to_string().contains("restored as new: choose it"));
        }
    }
}
