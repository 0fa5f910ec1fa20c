//! Which collections of a snapshot are restored, and in which order. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::api::SYSTEM;
use super::inventory::{ANALYZERS, GRAPHS, USERS};
use crate::source::SourceError;
use crate::source::arangodb::CollectionKind;
use crate::source::tables::{
    ConflictPolicy, ExistingTable, Nouns, TableSelection, TableStep, WantedTable, decide,
};

pub(super) const NOUNS: Nouns = Nouns { table: "collection", row: "document" };

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
    pub collections: BTreeMap<String, ExistingTable>,
    pub views: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    pub selection: TableSelection,
    pub conflict: ConflictPolicy,
    pub include_system: bool,
    pub include_users: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// In the order in which collections are made.
    pub steps: Vec<TableStep>,
    /// The collection at the server that one of the snapshot follows, by the name of that one in the snapshot.
    pub follows: BTreeMap<String, String>,
    /// Whether views are restored too.
    pub with_views: bool,
    pub notes: Vec<String>,
}

/// Names that were chosen and are not in the snapshot are the caller's to tell.
pub(super) fn plan(
    wanted: &[Wanted],
    existing: &Existing,
    policy: &Policy,
    target: &str,
) -> Result<Decided, SourceError> {
    let names = wanted.iter().map(|one| one.name.as_str()).filter(|name| policy.may_take(name));
    let renames = policy.selection.resolve(names, |it| policy.is_default(it), NOUNS, target)?;
    let renames: BTreeMap<String, String> =
        renames.into_iter().map(|one| (one.from, one.to)).collect();
    let with_views = policy.selection.is_everything();
    let mut decided = Decided { with_views, ..Decided::default() };
    decided.notes.extend(left_out(wanted, &renames, policy));
    let mut tables = Vec::new();
    for one in wanted {
        let Some(to) = renames.get(&one.name) else { continue };
        let follows = one.follows.as_ref().and_then(|like| match renames.get(like) {
            Some(to) => Some(to),
            None => existing.collections.contains_key(like).then_some(like),
        });
        if let (Some(like), None) = (&one.follows, follows) {
            decided.notes.push(format!("{to} does not follow {like}, which is not there"));
        }
        if *to != one.name {
            decided.notes.push(renaming(one, to));
        }
        let is_edge = one.kind == CollectionKind::Edge;
        tables.push(WantedTable {
            from: one.name.clone(),
            to: to.clone(),
            // What others follow, then documents, then edges; the server's own first.
            rank: 4 * u32::from(follows.is_some())
                + 2 * u32::from(is_edge)
                + u32::from(!is_system(to)),
            merges: is_system(to) && one.name == *to,
        });
        decided.follows.extend(follows.map(|like| (one.name.clone(), like.clone())));
    }
    decided.steps = decide(&tables, &existing.collections, &policy.conflict);
    Ok(decided)
}

fn left_out(
    wanted: &[Wanted],
    renames: &BTreeMap<String, String>,
    policy: &Policy,
) -> Option<String> {
    if !policy.selection.is_everything() {
        let is_left = policy.selection.has_chosen(USERS) && !policy.include_users;
        return is_left.then(|| {
            format!(
                "left out: {USERS}, since users are restored into {SYSTEM} and with --include-users only"
            )
        });
    }
    let names = wanted.iter().map(|one| one.name.as_str());
    let left: Vec<_> = names.filter(|name| !renames.contains_key(*name)).collect();
    (!left.is_empty()).then(|| format!("left out: {}", left.join(", ")))
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

/// Whether it is one of the collections that a server keeps for itself.
pub(super) fn is_system(name: &str) -> bool {
    name.starts_with('_')
}

impl Policy {
    pub fn is_wanted(&self, name: &str) -> bool {
        self.may_take(name)
            && match self.selection.is_everything() {
                true => self.is_default(name),
                false => self.selection.has_chosen(name),
            }
    }

    /// Users are restored only if that was said.
    fn may_take(&self, name: &str) -> bool {
        name != USERS || self.include_users
    }

    fn is_default(&self, name: &str) -> bool {
        !is_system(name) || self.include_system || [USERS, GRAPHS, ANALYZERS].contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tables::{Rename, TableAction};

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
        let table = |rows| ExistingTable { rows: Some(rows), obstacle: None };
        let collections = [("_graphs".to_owned(), table(2)), ("b".to_owned(), table(5))].into();
        Existing { collections, ..Existing::default() }
    }

    fn chosen(pairs: &[(&str, &str)]) -> Policy {
        let renames = pairs.iter().map(|(from, to)| Rename::new(*from, *to)).collect();
        let selection = TableSelection::new(renames, None, "h").unwrap();
        Policy { selection, conflict: ConflictPolicy::Replace, ..Policy::default() }
    }

    fn decided(existing: &Existing, policy: &Policy) -> Decided {
        plan(&shop(), existing, policy, "h").unwrap()
    }

    fn actions(policy: &Policy) -> Vec<(String, TableAction)> {
        let decided = decided(&existing(), policy);
        decided.steps.into_iter().map(|step| (step.to, step.action)).collect()
    }

    #[test]
    fn the_order_and_what_becomes_of_each() {
        use TableAction::{Create, KeepAs, Merge, Replace};
        let of = |list: &[(&str, TableAction)]| {
            list.iter()
                .map(|(name, action)| ((*name).to_owned(), action.clone()))
                .collect::<Vec<_>>()
        };
        let plain = chosen(&[]);
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
        let conflict = ConflictPolicy::KeepAs("_backup_x".into());
        let kept = Policy { conflict, ..plain.clone() };
        assert_eq!(actions(&kept)[1].1, KeepAs("b_backup_x".into()));
        assert_eq!(decided(&existing(), &plain).notes, ["left out: _jobs, _users"]);
    }

    #[test]
    fn chosen_ones_and_new_names() {
        let found = decided(&existing(), &chosen(&[("b", "c"), ("aa", "aa")]));
        assert!(!found.with_views);
        let [first, second] = found.steps.as_slice() else { panic!("{found:?}") };
        assert_eq!((first.to.as_str(), &first.action), ("c", &TableAction::Create));
        assert_eq!((second.to.as_str(), found.follows["aa"].as_str()), ("aa", "c"));
        assert_eq!(found.notes.len(), 1);
        assert!(found.notes[0].contains("edges keep pointing to b/"), "{:?}", found.notes);

        let users = chosen(&[("_users", "_users")]);
        let found = decided(&existing(), &users);
        assert!(found.steps.is_empty(), "{found:?}");
        assert!(found.notes[0].contains("left out: _users"), "{:?}", found.notes);
        let users = Policy { include_users: true, ..users };
        assert_eq!(decided(&existing(), &users).steps.len(), 1);

        let missing = Policy { conflict: ConflictPolicy::Skip, ..chosen(&[]) };
        assert_eq!(actions(&missing)[1], ("b".to_owned(), TableAction::Skip));

        let found = decided(&Existing::default(), &chosen(&[("aa", "x")]));
        assert!(found.follows.is_empty());
        assert!(found.notes[0].contains("does not follow b"), "{:?}", found.notes);
    }
}
