use proptest::prelude::*;

use super::*;
use crate::source::tables::{Nouns, Rename, TableSelection};

const NOUNS: Nouns = Nouns { table: "table", row: "row" };

fn wanted(to: &str) -> WantedTable {
    WantedTable { from: to.into(), to: to.into(), rank: 0, merges: false }
}

fn existing(list: &[(&str, Option<&str>)]) -> BTreeMap<String, ExistingTable> {
    let table = |obstacle: Option<&str>| ExistingTable {
        rows: Some(7),
        obstacle: obstacle.map(str::to_owned),
    };
    list.iter().map(|(name, obstacle)| ((*name).to_owned(), table(*obstacle))).collect()
}

#[test]
fn every_case() {
    use ConflictPolicy as P;
    use TableAction as A;
    let keep = P::KeepAs("_old".into());
    let all = [P::Refuse, P::Skip, P::Replace, keep.clone()];
    let one = |table: WantedTable, there: &[(&str, Option<&str>)], policy: &ConflictPolicy| {
        decide(&[table], &existing(there), policy).remove(0).action
    };
    let free = [("t", None)];
    for policy in &all {
        assert_eq!(one(wanted("t"), &[("other", None)], policy), A::Create);
        let own = WantedTable { merges: true, ..wanted("t") };
        assert_eq!(one(own.clone(), &[], policy), A::Merge);
        assert_eq!(one(own, &[("t", Some("no"))], policy), A::Merge);
    }
    assert_eq!(one(wanted("t"), &free, &P::Refuse), A::Refuse(None));
    assert_eq!(one(wanted("t"), &free, &P::Skip), A::Skip);
    assert_eq!(one(wanted("t"), &free, &P::Replace), A::Replace);
    assert_eq!(one(wanted("t"), &free, &keep), A::KeepAs("t_old".into()));
    // What the server cannot do is no reason to fail if nothing is to be done.
    let barred = [("t", Some("other vectors"))];
    assert_eq!(one(wanted("t"), &barred, &P::Skip), A::Skip);
    for policy in [P::Refuse, P::Replace, keep.clone()] {
        assert_eq!(one(wanted("t"), &barred, &policy), A::Refuse(Some("other vectors".into())));
    }
    let taken = one(wanted("t"), &[("t", None), ("t_old", None)], &keep);
    assert!(matches!(taken, A::Refuse(Some(why)) if why.contains("t_old, which is there")));
}

/// What a reader of the manual would say of one table, without looking at the others first.
fn expected(
    table: &WantedTable,
    tables: &[WantedTable],
    there: &BTreeMap<String, ExistingTable>,
    policy: &ConflictPolicy,
) -> &'static str {
    let is_there = |name: &str| there.contains_key(name) || tables.iter().any(|it| it.to == name);
    let Some(existing) = there.get(&table.to).filter(|_| !table.merges) else {
        return if table.merges { "merge" } else { "create" };
    };
    match policy {
        ConflictPolicy::Skip => "skip",
        ConflictPolicy::Refuse => "refuse",
        _ if existing.obstacle.is_some() => "refuse",
        ConflictPolicy::Replace => "replace",
        ConflictPolicy::KeepAs(ending) if is_there(&format!("{}{ending}", table.to)) => "refuse",
        ConflictPolicy::KeepAs(_) => "keep",
    }
}

fn verdict(action: &TableAction) -> &'static str {
    match action {
        TableAction::Create => "create",
        TableAction::Replace => "replace",
        TableAction::KeepAs(_) => "keep",
        TableAction::Merge => "merge",
        TableAction::Skip => "skip",
        TableAction::Refuse(_) => "refuse",
    }
}

fn names() -> impl Strategy<Value = BTreeSet<String>> {
    // Few letters, so that a name with an ending is often another table's name.
    prop::collection::btree_set("[ab](_o){0,2}", 0..8)
}

fn policies() -> impl Strategy<Value = ConflictPolicy> {
    prop_oneof![
        Just(ConflictPolicy::Refuse),
        Just(ConflictPolicy::Skip),
        Just(ConflictPolicy::Replace),
        Just(ConflictPolicy::KeepAs("_o".to_owned())),
    ]
}

proptest! {
    #[test]
    fn as_the_model_says(
        from in names(),
        there in prop::collection::btree_map("[ab](_o){0,2}", any::<bool>(), 0..8),
        chosen in prop::collection::vec(("[abc](_o){0,1}", "[abx](_o){0,2}"), 0..4),
        facts in prop::collection::vec((0u32..3, prop::bool::weighted(0.2)), 8),
        policy in policies(),
    ) {
        let chosen: Vec<_> = chosen.into_iter().map(|(from, to)| Rename::new(from, to)).collect();
        let Ok(selection) = TableSelection::new(chosen.clone(), None, "db://h") else {
            return Ok(());
        };
        let names = from.iter().map(String::as_str);
        let renames = selection.resolve(names, |_| true, NOUNS, "db://h").unwrap();
        // Nothing is restored that was not chosen; without a choice, everything is.
        for one in &renames {
            prop_assert!(chosen.is_empty() || chosen.contains(one));
        }
        let is_wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|it| it.from == name);
        prop_assert_eq!(renames.len(), from.iter().filter(|name| is_wanted(name)).count());
        let targets: BTreeSet<_> = renames.iter().map(|one| &one.to).collect();
        prop_assert_eq!(targets.len(), renames.len(), "renames are injective");

        let tables: Vec<_> = renames
            .iter()
            .zip(&facts)
            .map(|(one, (rank, merges))| WantedTable {
                from: one.from.clone(),
                to: one.to.clone(),
                rank: *rank,
                merges: *merges,
            })
            .collect();
        let there: BTreeMap<_, _> = there
            .into_iter()
            .map(|(name, is_barred)| {
                let obstacle = is_barred.then(|| "no".to_owned());
                (name, ExistingTable { rows: Some(1), obstacle })
            })
            .collect();
        let steps = decide(&tables, &there, &policy);
        prop_assert_eq!(steps.len(), tables.len(), "one verdict each");
        let mut occupied: BTreeSet<String> = BTreeSet::new();
        let rank = |step: &TableStep| tables.iter().find(|it| it.from == step.from).unwrap().rank;
        for (at, step) in steps.iter().enumerate() {
            let table = tables.iter().find(|it| it.from == step.from && it.to == step.to);
            let table = table.expect("a step for what was wanted");
            prop_assert_eq!(verdict(&step.action), expected(table, &tables, &there, &policy));
            prop_assert!(
                !step.replaces()
                    || matches!(policy, ConflictPolicy::Replace | ConflictPolicy::KeepAs(_))
            );
            prop_assert_eq!(step.existing.as_ref(), there.get(&step.to));
            prop_assert!(occupied.insert(step.to.clone()), "two steps share a target");
            if let TableAction::KeepAs(kept) = &step.action {
                prop_assert!(occupied.insert(kept.clone()) && !there.contains_key(kept));
            }
            if let Some(next) = steps.get(at + 1) {
                prop_assert!((rank(step), &step.to) < (rank(next), &next.to));
            }
        }
    }
}
