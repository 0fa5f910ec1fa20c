//! Databases back into a server.

use restow::ops::RestoreOptions;
use restow::source::Rename;
use restow::source::arangodb::{ArangoOptions, ArangoRestore, ArangoSelection};
use restow::{Cancel, ErrorKind, Overwrite, Selection};

use super::{
    back_up, backed_up, cat, confirmed, creating, good, is_same, load, loader, manager, plan,
};
use crate::support::arango::{Arango, Collection, document, dumped, quick, shop};

pub fn only(pairs: &[(&str, &str)]) -> ArangoRestore {
    let collections = pairs.iter().map(|(from, to)| Rename::new(*from, *to)).collect();
    ArangoRestore { collections, ..ArangoRestore::default() }
}

#[test]
fn real_databases_into_a_fresh_server() {
    for dump in ["entity_dump", "imdb_with_ratings"] {
        let backup = backed_up(&Arango::with("db", dumped(dump)).modern(), "db");
        let target = Arango::start();
        let mut small = creating();
        small.batch = 20_000;
        let report = good(load(&target, &backup, small, Overwrite::Refuse));
        assert!(report.bytes > 100_000, "{report:?}");
        is_same(&target, "db", &dumped(dump));
        assert!(target.count("PUT /_api/replication/restore-data") > 20);

        // And once more through a backup of what was restored: the same streams, byte for byte.
        let again = backed_up(&target, "db");
        for (name, _) in dumped(dump).collections.iter().filter(|(name, _)| !name.starts_with('_'))
        {
            for stream in ["documents", "revisions"] {
                let path = format!("db/collections/{name}/{stream}.jsonl");
                let (first, second) =
                    (cat(&backup.0, &backup.1, &path), cat(&again.0, &again.1, &path));
                assert!(first == second, "{path}");
            }
        }
    }
}

#[test]
fn in_the_order_that_a_server_needs() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::start();
    let report = good(load(&target, &backup, creating(), Overwrite::Refuse));
    is_same(&target, "shop", &shop());
    assert_eq!(report.notes, [""; 0]);
    // Numbers that no float can hold, and everything else in a document, byte for byte.
    let as_sent = document("items", "k7", 7).replacen(r#""_rev":"_r7","#, "", 1);
    let as_sent = as_sent.replacen('{', r#"{"_rev":"_r7","#, 1);
    assert_eq!(target.lock().collection("shop", "items").documents["k7"], as_sent);

    let made: Vec<_> = target.lock().requests.clone();
    let at = |begins: &str| made.iter().position(|it| it.starts_with(begins)).expect(begins);
    let last = |begins: &str| made.iter().rposition(|it| it.starts_with(begins)).expect(begins);
    let put = "PUT /_api/replication";
    assert!(last(&format!("{put}/restore-collection")) < at(&format!("{put}/restore-data")));
    assert!(
        at(&format!("{put}/restore-data?collection=_analyzers"))
            < at(&format!("{put}/restore-view"))
    );
    assert!(
        at(&format!("{put}/restore-view")) < at(&format!("{put}/restore-data?collection=items"))
    );
    // The vector index after the documents, the view that stands on an index last.
    assert!(
        last(&format!("{put}/restore-data?collection=items"))
            < last(&format!("{put}/restore-indexes"))
    );
    assert!(last(&format!("{put}/restore-indexes")) < last(&format!("{put}/restore-view")));
}

#[test]
fn a_database_that_is_not_there() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::start();
    let error = load(&target, &backup, ArangoRestore::default(), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    for word in ["no database shop", "there is _system", "--create-database"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let other = ArangoRestore { database: Some("other shop".into()), ..creating() };
    let report = good(load(&target, &backup, other, Overwrite::Refuse));
    assert!(report.notes[0].contains("shop is restored into other shop"), "{:?}", report.notes);
    is_same(&target, "other shop", &shop());
}

#[test]
fn several_databases() {
    let source = Arango::with_shop();
    let mut second = shop();
    second.collections.get_mut("people").unwrap().insert(&document("people", "second", 2));
    source.lock().databases.insert("second".into(), second.clone());
    let backup = backed_up(&source, "shop,second");
    let target = Arango::start();
    good(load(&target, &backup, creating(), Overwrite::Refuse));
    is_same(&target, "shop", &shop());
    is_same(&target, "second", &second);
    let one = ArangoRestore { database: Some("x".into()), ..creating() };
    let error = load(&target, &backup, one.clone(), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("second, shop"), "{error}");
    // Of one of them alone it is clear.
    let selection = Selection::only(&["second".to_owned()]).unwrap();
    let options = RestoreOptions::default().selection(selection);
    good(backup.0.load(&backup.1, loader(&target, one), &options, Overwrite::Refuse));
    is_same(&target, "x", &second);
}

/// Beside the original, on the same server: nothing of that may change.
#[test]
fn one_collection_under_a_new_name() {
    let server = Arango::with_shop();
    let backup = backed_up(&server, "shop");
    let report = good(load(&server, &backup, only(&[("people", "persons")]), Overwrite::Refuse));
    assert_eq!(report.entries, 1);
    assert!(
        report.notes.iter().any(|note| note.contains("edges keep pointing to people/")),
        "{:?}",
        report.notes
    );
    is_same(&server, "shop", &shop());
    let state = server.lock();
    let persons = state.collection("shop", "persons");
    assert_eq!(persons.nameless(), shop().collections["people"].nameless());
    assert_eq!(persons.values()["k1"]["_id"], "persons/k1");
    drop(state);
    let error = load(&server, &backup, only(&[("nope", "x")]), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("has no collection nope; it has _analyzers"), "{error}");
}

#[test]
fn what_is_there_is_replaced_only_when_that_was_agreed_to() {
    let source = Arango::with_shop();
    let backup = backed_up(&source, "shop");
    let target = Arango::with_shop();
    {
        let mut state = target.lock();
        let shop = state.databases.get_mut("shop").unwrap();
        shop.collections.get_mut("people").unwrap().insert(&document("people", "newer", 5));
        shop.collections.insert("mine".into(), Collection::small("mine", 2, 3));
    }
    let before = target.lock().requests.len();
    let error = load(&target, &backup, ArangoRestore::default(), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    assert!(target.lock().requests[before..].iter().all(|made| made.starts_with("GET")));

    let planned = plan(&target, &backup, ArangoRestore::default());
    let shown: Vec<_> = planned
        .replacements
        .iter()
        .map(|(path, what)| format!("{}: {what}", path.display()))
        .collect();
    assert!(shown.contains(&"shop/people: collection with 8 documents".to_owned()), "{shown:?}");
    assert!(shown.contains(&"shop/found: view".to_owned()), "{shown:?}");
    // Graphs and analyzers that are the same are nobody's concern.
    assert_eq!((planned.replaced, planned.kept), (5, 2), "{planned:?}");
    // Less than that was shown to somebody: refused.
    assert!(load(&target, &backup, ArangoRestore::default(), confirmed(4)).is_err());
    good(load(&target, &backup, ArangoRestore::default(), confirmed(5)));
    is_same(&target, "shop", &shop());
    assert_eq!(target.lock().collection("shop", "mine").documents.len(), 3);
}

#[test]
fn what_came_into_being_meanwhile_is_not_replaced() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::with("shop", crate::support::arango::fresh());
    let mut made = loader(&target, ArangoRestore::default());
    backup.0.plan_load(&backup.1, &mut *made, &RestoreOptions::default()).unwrap();
    let added = Collection::small("people", 2, 1);
    target.lock().databases.get_mut("shop").unwrap().collections.insert("people".into(), added);
    let view = backup.0.view(&backup.1).unwrap();
    let options = RestoreOptions::default();
    let silent = restow::progress::Silent;
    let error =
        restow::ops::load(&view, made, &options, true, &silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("shop/people (collection with 1 document)"), "{error}");
    assert_eq!(target.lock().collection("shop", "people").documents.len(), 1);
}

#[test]
fn what_would_be_replaced_is_kept() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::with_shop();
    let changed = document("people", "k0", 999);
    target
        .lock()
        .databases
        .get_mut("shop")
        .unwrap()
        .collections
        .get_mut("people")
        .unwrap()
        .insert(&changed);
    let keep = ArangoRestore { backup_existing: true, ..only(&[("people", "people")]) };
    let planned = plan(&target, &backup, keep.clone());
    assert!(planned.replacements[0].1.contains("kept as people_backup_2"), "{planned:?}");
    let report = good(load(&target, &backup, keep, confirmed(1)));
    assert!(
        report.notes.iter().any(|note| note.contains("is kept as people_backup_2")),
        "{:?}",
        report.notes
    );
    is_same(&target, "shop", &shop());
    let state = target.lock();
    let mut kept =
        state.databases["shop"].collections.keys().filter(|name| name.contains("backup"));
    let kept = kept.next().unwrap();
    let stamp = kept.strip_prefix("people_backup_").unwrap();
    assert!(stamp.len() == 15 && stamp.as_bytes()[8] == b'_', "{kept}");
    assert_eq!(state.collection("shop", kept).values()["k0"]["_rev"], "_r999");
    drop(state);

    // In a cluster nothing is renamed; what is there stays as it is.
    let cluster = Arango::with_shop().clustered();
    let keep = ArangoRestore { backup_existing: true, ..only(&[("people", "people")]) };
    let report = load(&cluster, &backup, keep, confirmed(1)).unwrap();
    assert_eq!(report.problem_count, 1);
    assert!(report.problems[0].message.contains("renames no collections"), "{report:?}");
    assert_eq!(cluster.count("PUT /_api/replication/restore"), 0);
    is_same(&cluster, "shop", &shop());
}

/// Other graphs of the database stay; one of the same name is replaced only when that was agreed to.
#[test]
fn graphs_are_put_among_those_that_are_there() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::with("shop", crate::support::arango::fresh());
    let graph = |key: &str| {
        format!(r#"{{"_key":"{key}","_id":"_graphs/{key}","_rev":"_z","edgeDefinitions":[]}}"#)
    };
    let add = |text: &str| {
        let mut state = target.lock();
        let shop = state.databases.get_mut("shop").unwrap();
        shop.collections.get_mut("_graphs").unwrap().insert(text);
    };
    add(&graph("others"));
    good(load(&target, &backup, ArangoRestore::default(), Overwrite::Refuse));
    let keys = |name: &str| {
        let state = target.lock();
        state.collection("shop", name).documents.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys("_graphs"), ["others", "sales"]);
    add(&graph("sales"));
    let planned = plan(&target, &backup, ArangoRestore::default());
    let graphs = planned.replacements.iter().find(|(path, _)| path.display() == "shop/_graphs");
    assert_eq!(graphs.unwrap().1, "definitions of sales");
    let count = planned.replaced;
    good(load(&target, &backup, ArangoRestore::default(), confirmed(count)));
    assert_eq!(keys("_graphs"), ["others", "sales"]);
    let state = target.lock();
    assert_eq!(
        state.collection("shop", "_graphs").values()["sales"]["edgeDefinitions"][0]["collection"],
        "bought"
    );
}

#[test]
fn system_collections_and_users_on_demand() {
    let source = Arango::start();
    let system = |server: &Arango, count: usize| {
        let mut state = server.lock();
        let system = state.databases.get_mut("_system").unwrap();
        system.collections.insert("_users".into(), Collection::small("_users", 2, count));
        system.collections.insert("_jobs".into(), Collection::small("_jobs", 2, count));
    };
    system(&source, 3);
    let selection =
        ArangoSelection { include_system: true, include_users: true, ..Default::default() };
    let options = ArangoOptions { selection, ..quick() };
    let manager = manager();
    let id = back_up(&source, &manager, &source.exporter_with("_system", options));
    let backup = (manager, id);
    let target = Arango::start();
    system(&target, 1);
    let report = good(load(&target, &backup, ArangoRestore::default(), Overwrite::Refuse));
    assert!(
        report.notes.iter().any(|note| note == "left out: _jobs, _users"),
        "{:?}",
        report.notes
    );
    assert_eq!(target.lock().collection("_system", "_users").documents.len(), 1);
    let all = ArangoRestore { include_system: true, include_users: true, ..Default::default() };
    assert_eq!(plan(&target, &backup, all.clone()).replaced, 2);
    good(load(&target, &backup, all, confirmed(2)));
    for name in ["_users", "_jobs"] {
        assert_eq!(target.lock().collection("_system", name).documents.len(), 3);
    }
    let last = target.lock().requests.iter().rev().find(|made| made.contains("restore-")).cloned();
    assert!(last.unwrap().contains("collection=_users"), "users last");
}
