//! What becomes of collections and views that are to be restored, and in which order. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::api::SYSTEM;
use super::inventory::{ANALYZERS, GRAPHS, USERS};
use crate::source::arangodb::CollectionKind;

/// A collection of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub name: String,
    pub kind: CollectionKind,
    /// The collection whose shards its own follow.
    pub follows: Option<String>,
}

/// What is at the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Existing {
    /// Documents of each.
    pub collections: BTreeMap<String, u64>,
    pub views: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    /// Names in the snapshot and at the server. All, under their names, where none is chosen.
    pub chosen: Vec<(String, String)>,
    pub include_system: bool,
    pub include_users: bool,
    /// What is there stays as it is.
    pub if_missing: bool,
    /// What an existing collection's name gets when it is kept under another.
    pub keep_as: Option<String>,
}

/// What is done with one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Replace,
    /// What is there is renamed first.
    Rename(String),
    /// Documents are put among those that are there, in place of those with the same key: what a server keeps
    /// for itself is never dropped.
    Merge,
    /// What is there stays, and nothing is put into it.
    Keep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub from: String,
    pub to: String,
    pub kind: CollectionKind,
    pub action: Action,
    /// Documents that are there now.
    pub existing: Option<u64>,
    /// Under its name at the server; `None` where that one is not there.
    pub follows: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// In the order in which collections are made.
    pub steps: Vec<Step>,
    /// Whether views are restored too.
    pub with_views: bool,
    pub notes: Vec<String>,
}

impl Step {
    /// Whether it takes the place of what is there.
    pub fn replaces(&self) -> bool {
        matches!(self.action, Action::Replace | Action::Rename(_))
    }

    pub fn is_system(&self) -> bool {
        self.to.starts_with('_')
    }
}

/// Names that were chosen and are not in the snapshot are the caller's to tell.
pub(super) fn decide(wanted: &[Wanted], existing: &Existing, policy: &Policy) -> Decided {
    let mut decided = Decided { with_views: policy.chosen.is_empty(), ..Decided::default() };
    let mut left_out = Vec::new();
    let mut chosen = Vec::new();
    for one in wanted {
        match policy.target(&one.name) {
            Some(to) => chosen.push((one, to)),
            None if policy.chosen.is_empty() => left_out.push(one.name.as_str()),
            None if policy.is_chosen(&one.name) => decided.notes.push(format!(
                "left out: {}, since users are restored into {SYSTEM} and with --include-users only",
                one.name
            )),
            None => {}
        }
    }
    if !left_out.is_empty() {
        decided.notes.push(format!("left out: {}", left_out.join(", ")));
    }
    let renamed: BTreeMap<&str, &str> =
        chosen.iter().map(|(one, to)| (one.name.as_str(), to.as_str())).collect();
    for (one, to) in &chosen {
        let follows = one.follows.as_deref().and_then(|like| match renamed.get(like) {
            Some(to) => Some((*to).to_owned()),
            None => existing.collections.contains_key(like).then(|| like.to_owned()),
        });
        if let (Some(like), None) = (&one.follows, &follows) {
            decided.notes.push(format!("{to} does not follow {like}, which is not there"));
        }
        if *to != one.name {
            decided.notes.push(renaming(one, to));
        }
        let there = existing.collections.get(to).copied();
        let action = match (there, &policy.keep_as) {
            _ if to.starts_with('_') && one.name == *to => Action::Merge,
            (None, _) => Action::Create,
            (Some(_), _) if policy.if_missing => Action::Keep,
            (Some(_), None) => Action::Replace,
            (Some(_), Some(ending)) => Action::Rename(format!("{to}{ending}")),
        };
        let (from, kind) = (one.name.clone(), one.kind);
        decided.steps.push(Step { from, to: to.clone(), kind, action, existing: there, follows });
    }
    decided.steps.sort_by_key(|step| {
        let is_edge = step.kind == CollectionKind::Edge;
        (step.follows.is_some(), is_edge, !step.is_system(), step.to.clone())
    });
    decided
}

fn renaming(one: &Wanted, to: &str) -> String {
    let name = &one.name;
    match one.kind {
        CollectionKind::Document => format!(
            "{name} is restored as {to}: edges keep pointing to {name}/…, in `_from` and `_to`, and graphs to {name}"
        ),
        CollectionKind::Edge => {
            format!(
                "{name} is restored as {to}: graphs keep naming {name}, and its edges point where they did"
            )
        }
    }
}

impl Policy {
    pub fn is_wanted(&self, name: &str) -> bool {
        self.target(name).is_some()
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.chosen.iter().any(|(from, _)| from == name)
    }

    /// What a collection is called at the server. `None`: it is not restored.
    fn target(&self, name: &str) -> Option<String> {
        if name == USERS && !self.include_users {
            return None;
        }
        if !self.chosen.is_empty() {
            return self.chosen.iter().find(|(from, _)| from == name).map(|(_, to)| to.clone());
        }
        let is_taken = match name {
            USERS | GRAPHS | ANALYZERS => true,
            name => !name.starts_with('_') || self.include_system,
        };
        is_taken.then(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, kind: CollectionKind) -> Wanted {
        Wanted { name: name.into(), kind, follows: None }
    }

    fn shop() -> Vec<Wanted> {
        use CollectionKind::{Document, Edge};
        vec![
            wanted("_graphs", Document),
            wanted("_jobs", Document),
            wanted("_users", Document),
            wanted("a", Edge),
            Wanted { follows: Some("b".into()), ..wanted("aa", Document) },
            wanted("b", Document),
        ]
    }

    fn existing() -> Existing {
        let collections = [("_graphs".to_owned(), 2), ("b".to_owned(), 5)].into();
        Existing { collections, ..Existing::default() }
    }

    fn actions(policy: &Policy) -> Vec<(String, Action)> {
        let decided = decide(&shop(), &existing(), policy);
        decided.steps.into_iter().map(|step| (step.to, step.action)).collect()
    }

    #[test]
    fn the_order_and_what_becomes_of_each() {
        use Action::{Create, Merge, Replace};
        let of = |list: &[(&str, Action)]| {
            list.iter()
                .map(|(name, action)| ((*name).to_owned(), action.clone()))
                .collect::<Vec<_>>()
        };
        let plain = Policy::default();
        let four = [("_graphs", Merge), ("b", Replace), ("a", Create), ("aa", Create)];
        assert_eq!(actions(&plain), of(&four));
        let all = Policy { include_system: true, include_users: true, ..plain.clone() };
        let six = [
            ("_graphs", Merge),
            ("_jobs", Merge),
            ("_users", Merge),
            ("b", Replace),
            ("a", Create),
            ("aa", Create),
        ];
        assert_eq!(actions(&all), of(&six));
        let kept = Policy { keep_as: Some("_backup_x".into()), ..plain };
        assert_eq!(actions(&kept)[1].1, Action::Rename("b_backup_x".into()));
        let notes = decide(&shop(), &existing(), &Policy::default()).notes;
        assert_eq!(notes, ["left out: _jobs, _users"]);
    }

    #[test]
    fn chosen_ones_and_new_names() {
        let chosen = vec![("b".to_owned(), "c".to_owned()), ("aa".to_owned(), "aa".to_owned())];
        let policy = Policy { chosen, ..Policy::default() };
        let decided = decide(&shop(), &existing(), &policy);
        assert!(!decided.with_views);
        let [first, second] = decided.steps.as_slice() else { panic!("{decided:?}") };
        assert_eq!((first.to.as_str(), &first.action), ("c", &Action::Create));
        assert_eq!(second.follows.as_deref(), Some("c"), "it follows the new name");
        assert_eq!(decided.notes.len(), 1);
        assert!(decided.notes[0].contains("edges keep pointing to b/"), "{:?}", decided.notes);

        let users =
            Policy { chosen: vec![("_users".into(), "_users".into())], ..Policy::default() };
        let decided = decide(&shop(), &existing(), &users);
        assert!(decided.steps.is_empty(), "{decided:?}");
        assert!(decided.notes[0].contains("left out: _users"), "{:?}", decided.notes);
        let users = Policy { include_users: true, ..users };
        assert_eq!(decide(&shop(), &existing(), &users).steps.len(), 1);

        let missing = Policy { if_missing: true, ..Policy::default() };
        assert_eq!(actions(&missing)[1], ("b".to_owned(), Action::Keep));

        let alone = Policy { chosen: vec![("aa".into(), "x".into())], ..Policy::default() };
        let nothing = Existing::default();
        let decided = decide(&shop(), &nothing, &alone);
        assert_eq!(decided.steps[0].follows, None);
        assert!(decided.notes[0].contains("does not follow b"), "{:?}", decided.notes);
    }
}
