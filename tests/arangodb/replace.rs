//! What is there makes way only for what is complete, and what hangs on it is put back.

use std::io::{self, Read};

use restow::format::Entry;
use restow::source::arangodb::{ArangoOptions, ArangoRestore, ArangoSelection, model};
use restow::source::{Loader, SourceError, Stored};
use restow::{ErrorKind, Overwrite};
use serde_json::{Value, json};

use super::restore::only;
use super::troubles::damaged;
use super::{back_up, backed_up, confirmed, creating, good, is_same, load, loader, manager, plan};
use crate::support::arango::{Arango, Collection, Database, document, dumped, fresh, quick, shop};

/// A shop with a document more than the backup has, and a view of its own.
fn changed() -> Arango {
    let server = Arango::with_shop();
    server.lock().add("shop", "people", &document("people", "mine", 1));
    let links = json!({"people": {"fields": {"t": {}}}, "items": {"includeAllFields": true}});
    let view = json!({"name": "own", "type": "arangosearch", "links": links});
    let index = json!([{"collection": "items", "index": "inv"}]);
    let alias = json!({"name": "own alias", "type": "search-alias", "indexes": index});
    let mut state = server.lock();
    let views = &mut state.databases.get_mut("shop").unwrap().views;
    views.insert("own".into(), view);
    views.insert("own alias".into(), alias);
    drop(state);
    server
}

fn state(server: &Arango) -> Database {
    server.lock().databases["shop"].clone()
}

fn names(database: &Database) -> Vec<String> {
    database.collections.keys().cloned().collect()
}

/// Nothing of what is there was touched, and nothing was left.
fn is_untouched(server: &Arango, was: &Database) {
    assert_eq!(names(&state(server)), names(was));
    is_same(server, "shop", was);
}

const SEND: &str = "PUT /_api/replication/restore-data?collection=restow_";

#[test]
fn what_is_there_stays_until_the_new_one_is_complete() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let all = || only(&[("people", "people"), ("items", "items")]);
    let said = r#"{"error":true,"code":400,"errorNum":10,"errorMessage":"no such feature"}"#;
    let nothing = r#"{"result":true}"#;
    for (request, status, answer) in [
        ("PUT /_api/replication/restore-collection", 400, said),
        ("PUT /_api/replication/restore-indexes", 200, nothing),
        (SEND, 400, said),
        (SEND, 200, nothing),
        ("DELETE /_api/collection/items", 400, said),
        ("DELETE /_api/collection/people", 400, said),
    ] {
        let target = changed();
        let was = state(&target);
        target.instead(request, 2, status, "", answer);
        let report = load(&target, &backup, all(), confirmed(2)).unwrap();
        assert!(report.problem_count >= 1, "{request}: {report:?}");
        for problem in &report.problems {
            assert!(problem.message.contains("was there is as it was"), "{request}: {report:?}");
        }
        let (one, other) = (report.problem_count == 2, report.entries);
        assert_eq!(other, if one { 0 } else { 1 }, "{request}: {report:?}");
        if one {
            is_untouched(&target, &was);
        }
        assert_eq!(names(&state(&target)), names(&was), "{request}");
    }
    // What ends everything leaves it so, too.
    let target = changed();
    let was = state(&target);
    target.instead(SEND, 1, 507, "", "");
    let error = load(&target, &backup, all(), confirmed(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    is_untouched(&target, &was);
}

/// A view forgets a collection that is dropped.
#[test]
fn views_stand_on_what_took_the_place_of_what_they_stood_on() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    for keeps in [false, true] {
        let target = changed();
        let was = state(&target);
        let mut restore = only(&[("people", "people"), ("items", "items")]);
        restore.backup_existing = keeps;
        let planned = plan(&target, &backup, restore.clone());
        let notes = planned.notes.join("\n");
        assert!(notes.contains("view own stands on items, people"), "{notes}");
        assert!(notes.contains("view own alias stands on items"), "{notes}");
        good(load(&target, &backup, restore, confirmed(2)));
        let now = state(&target);
        assert_eq!(now.collections["people"].values(), shop().collections["people"].values());
        assert_eq!(now.views, was.views);
        assert_eq!(now.collections["_graphs"].values(), was.collections["_graphs"].values());
        assert_eq!(now.collections.len(), was.collections.len() + if keeps { 2 } else { 0 });
    }
    // One that cannot be put back is told of.
    let target = changed();
    target.instead("PATCH /_api/view/own/properties", 1, 400, "", "");
    let report = load(&target, &backup, only(&[("people", "people")]), confirmed(1)).unwrap();
    assert!(
        report.problems[0].message.contains("could not be put back on it: own ("),
        "{report:?}"
    );
}

#[test]
fn what_was_to_be_kept_gets_its_name_again() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let keep = || ArangoRestore { backup_existing: true, ..only(&[("people", "people")]) };
    let target = changed();
    let was = state(&target);
    target.instead("PUT /_api/collection/restow_", 1, 500, "", "");
    let report = load(&target, &backup, keep(), confirmed(1)).unwrap();
    assert!(report.problems[0].message.contains("was there is as it was"), "{report:?}");
    assert_eq!(names(&state(&target)), names(&was));
    is_same(&target, "shop", &was);
    // Graphs that stay with what is kept.
    target.instead("PATCH /_api/document/_graphs/", 1, 403, "", "");
    let report = load(&target, &backup, keep(), confirmed(1)).unwrap();
    let said = &report.problems[0].message;
    assert!(
        said.contains("graphs follow what is kept as people_backup_") && said.contains("sales ("),
        "{said}"
    );
    // A yes that was lost on its way.
    let target = changed();
    target.faults(|faults| faults.cut = Some(("PUT /_api/collection/restow_".into(), 3, 1)));
    good(load(&target, &backup, keep(), confirmed(1)));
}

/// In a cluster nothing can be renamed: what is there is dropped once all that replaces anything can be read.
#[test]
fn in_a_cluster_all_is_read_before_the_first_is_dropped() {
    let target = Arango::with("db", dumped("imdb_with_ratings")).clustered();
    target.lock().add("db", "Ratings", &document("Ratings", "mine", 1));
    target.lock().add("db", "Movies", &document("Movies", "mine", 1));
    let report = load(&target, &damaged(), ArangoRestore::default(), confirmed(3)).unwrap();
    assert_eq!((report.damaged_count, report.problem_count), (1, 0), "{report:?}");
    let was = dumped("imdb_with_ratings").collections;
    let count = target.lock().collection("db", "Ratings").documents.len();
    assert_eq!(count, was["Ratings"].documents.len() + 1);
    assert_eq!(target.lock().collection("db", "Movies").values(), was["Movies"].values());
    assert_eq!(target.count("PUT /_api/collection"), 0);
    assert_eq!(target.count("PUT /_api/replication/restore-collection?overwrite=true"), 2);

    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = changed().clustered();
    let was = state(&target);
    let two = || only(&[("people", "people"), ("items", "items")]);
    good(load(&target, &backup, two(), confirmed(2)));
    assert_eq!(state(&target).views, was.views);
    let made: Vec<_> = target.lock().requests.clone();
    let at = |begins: &str| made.iter().position(|it| it.starts_with(begins)).expect(begins);
    let last = made.iter().rposition(|it| it.contains("restore-collection")).unwrap();
    assert!(
        at("PUT /_api/replication/restore-data?collection=items") < last,
        "one after the other"
    );
}

/// What ends everything says what it leaves.
#[test]
fn an_error_tells_what_was_done_before_it() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let two = || only(&[("people", "people"), ("items", "items")]);
    let target = changed().clustered();
    target.instead("PUT /_api/replication/restore-data?collection=people", 1, 507, "", "");
    let error = load(&target, &backup, two(), confirmed(2)).unwrap_err().to_string();
    let words = "replaced by then: shop/items; dropped and not filled again: shop/people";
    assert!(error.contains("its disk is full") && error.contains(words), "{error}");
    let target = changed();
    target.instead("PUT /_api/collection/people/rename", 1, 507, "", "");
    let keep = ArangoRestore { backup_existing: true, ..two() };
    let error = load(&target, &backup, keep, confirmed(2)).unwrap_err().to_string();
    assert!(error.contains("kept under another name: shop/items as items_backup_"), "{error}");
}

#[test]
fn only_what_is_missing() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::with("shop", fresh());
    let graph = r#"{"_key":"sales","_id":"_graphs/sales","_rev":"_mine","edgeDefinitions":[]}"#;
    {
        let mut state = target.lock();
        let shop = &mut state.databases.get_mut("shop").unwrap().collections;
        shop.insert("people".into(), Collection::small("people", 2, 1));
        shop.insert("bought".into(), Collection::small("bought", 3, 0));
        shop.get_mut("_graphs").unwrap().insert(graph);
    }
    let missing = ArangoRestore { if_missing: true, ..ArangoRestore::default() };
    let planned = plan(&target, &backup, missing.clone());
    assert_eq!((planned.replaced, planned.kept), (0, 4), "{planned:?}");
    let report = load(&target, &backup, missing, Overwrite::Refuse).unwrap();
    let note =
        "skipped: collection people with 1 document is there, and only missing ones were wanted";
    assert!(report.notes.iter().any(|it| it == note), "{:?}", report.notes);
    assert_eq!(report.problem_count, 1, "{report:?}");
    assert_eq!(report.problems[0].path.0, b"shop/bought");
    assert!(
        report.problems[0].message.contains("no documents where the snapshot has 7"),
        "{report:?}"
    );
    let now = state(&target);
    assert_eq!(now.collections["people"].documents.len(), 1);
    assert_eq!(now.collections["items"].values(), shop().collections["items"].values());
    assert_eq!(now.collections["_graphs"].documents["sales"], graph);
    assert_eq!(now.collections["_analyzers"].documents.len(), 1);
}

/// Among users may be whoever restores: with their old password nothing else would go on.
#[test]
fn users_come_after_all_databases_and_only_when_wanted() {
    let source = Arango::with_shop();
    let users = |server: &Arango, count: usize| {
        let made = Collection::small("_users", 2, count);
        let mut state = server.lock();
        state.databases.get_mut("_system").unwrap().collections.insert("_users".into(), made);
    };
    users(&source, 3);
    let selection = ArangoSelection { include_users: true, ..Default::default() };
    let manager = manager();
    let exporter = source.exporter_with("_system,shop", ArangoOptions { selection, ..quick() });
    let backup = (back_up(&source, &manager, &exporter), manager);
    let backup = (backup.1, backup.0);
    let target = Arango::start();
    users(&target, 1);
    let named = only(&[("_users", "_users")]);
    let report =
        load(&target, &backup, ArangoRestore { create_database: true, ..named }, confirmed(0));
    let notes = report.unwrap().notes.join("\n");
    assert!(notes.contains("left out: _users"), "{notes}");
    assert_eq!(target.lock().collection("_system", "_users").documents.len(), 1);
    let all = ArangoRestore { include_users: true, ..creating() };
    good(load(&target, &backup, all, confirmed(1)));
    assert_eq!(target.lock().collection("_system", "_users").documents.len(), 3);
    let made = target.lock().requests.clone();
    let last = made.iter().rev().find(|made| made.contains("restore-")).unwrap();
    assert!(last.contains("collection=_users"), "{last}");
    is_same(&target, "shop", &shop());
}

/// A good status is no proof.
#[test]
fn what_a_server_says_it_did() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let failed = r#"{"error":true,"code":200,"errorNum":9,"errorMessage":"not this one"}"#;
    let nothing = r#"{"result":true}"#;
    let send = |name: &str| format!("PUT /_api/replication/restore-data?collection={name}");
    for (request, answer, path, words) in [
        (
            "PUT /_api/replication/restore-indexes".to_owned(),
            failed,
            "shop/items",
            "reports an error: not this one",
        ),
        (
            "PUT /_api/replication/restore-indexes".to_owned(),
            nothing,
            "shop/items",
            "did not make, without saying so: persistent on n; inverted on t",
        ),
        (
            "PUT /_api/replication/restore-view".to_owned(),
            failed,
            "shop/found",
            "reports an error: not this one",
        ),
        (send("_graphs"), nothing, "shop/_graphs", "does not have them so: sales"),
        (
            send("_analyzers"),
            nothing,
            "shop/_analyzers",
            "1 documents were sent, and the server counts 0",
        ),
    ] {
        let target = Arango::with("shop", fresh());
        {
            let mut state = target.lock();
            let graph =
                r#"{"_key":"other","_id":"_graphs/other","_rev":"_o","edgeDefinitions":[]}"#;
            let shop = &mut state.databases.get_mut("shop").unwrap().collections;
            shop.get_mut("_graphs").unwrap().insert(graph);
        }
        target.instead(&request, 1, 200, "", answer);
        let report = load(&target, &backup, ArangoRestore::default(), Overwrite::Refuse).unwrap();
        let problem = report.problems.iter().find(|it| it.path.0 == path.as_bytes());
        let problem = &problem.unwrap_or_else(|| panic!("{request}: {report:?}")).message;
        assert!(problem.contains(words), "{request}: {problem}");
    }
}

/// Documents are nobody's business who reads an error.
#[test]
fn an_import_that_fails_shows_no_documents() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::start();
    target.faults(|faults| faults.no_restore_data = true);
    let answer = json!({"errors": 2, "created": 5, "details": [
        "at position 0: creating document failed with error 'unique constraint violated', offending document: {\"t\":\"s3cret\"}",
        "at position 1: {\"t\":\"s3cret\"}",
    ]});
    target.instead("POST /_api/import", 1, 201, "", &answer.to_string());
    let report = load(&target, &backup, creating(), Overwrite::Refuse).unwrap();
    let said = &report.problems[0].message;
    assert!(!said.contains("s3cret"), "{said}");
    assert!(
        said.contains("2 documents were not taken in, 5 were")
            && said.contains("constraint violated"),
        "{said}"
    );
}

#[test]
fn a_database_is_made_as_it_was() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::start();
    good(load(&target, &backup, creating(), Overwrite::Refuse));
    let options: Value = target.lock().databases["shop"].options.clone();
    assert_eq!(options, json!({"sharding": "flexible", "replicationFactor": 2, "writeConcern": 1}));
}

/// A repository that cannot be reached: nothing is known of what its graphs would replace.
struct OutOfReach;

impl Stored for OutOfReach {
    fn each(
        &self,
        each: &mut dyn FnMut(Entry) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let path = model::path(&["shop", "collections", "_graphs", "documents.jsonl"]);
        each(model::text_file(path?, Vec::new()).entry)
    }

    fn open(&self, _: &Entry) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(Box::new(Self))
    }
}

impl Read for OutOfReach {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::ConnectionReset, "out of reach"))
    }
}

#[test]
fn a_plan_is_not_made_of_what_could_not_be_read() {
    let error = loader(&Arango::with_shop(), ArangoRestore::default()).plan(&OutOfReach);
    assert!(error.unwrap_err().to_string().contains("out of reach"));
}
