//! There and back, against the server that `RESTOW_TEST_ARANGO_URL` names (a URL as `ARANGO_URL` takes it, with
//! `ARANGO_USER` and `ARANGO_PASSWORD`), and always against the one in this process. Nothing here looks into a
//! server but through backups of it. It makes the databases `restow_test` and `restow_test_copy`.

use restow::ops::RestoreOptions;
use restow::source::arangodb::{
    ArangoExporter, ArangoLoader, ArangoLogin, ArangoOptions, ArangoRestore, ArangoServer,
    ArangoSource,
};
use restow::{Cancel, Confirmed, Overwrite, RestorePlan, SnapshotId, SnapshotManager};

use super::{back_up, documents, manager, report};
use crate::support::arango::{Arango, connection, dumped, quick};
use crate::support::skips::skip;

const COLLECTIONS: &[&str] = &["Users", "Email", "hasEmail", "hasPhone", "Phone"];

struct There {
    server: ArangoServer,
    login: ArangoLogin,
}

impl There {
    fn exporter(&self, database: &str, workers: usize) -> ArangoExporter {
        let connection = connection(self.login.clone());
        let options = ArangoOptions { connection, workers, ..quick() };
        let databases = vec![database.to_owned()];
        ArangoExporter::new(ArangoSource { server: self.server.clone(), databases }, options)
    }

    fn load(&self, manager: &SnapshotManager, id: &SnapshotId, restore: ArangoRestore) {
        let connection = connection(self.login.clone());
        let new = || ArangoLoader::new(&self.server, &connection, restore.clone(), &Cancel::new());
        let options = RestoreOptions::default();
        let plan = manager.plan_load(id, &mut new().unwrap(), &options).unwrap();
        let mut agreed = RestorePlan::default();
        agreed.replaced = plan.replaced;
        let overwrite = Overwrite::Confirmed(Confirmed::of(&agreed));
        let report = manager.load(id, Box::new(new().unwrap()), &options, overwrite).unwrap();
        assert_eq!((report.problem_count, report.damaged_count), (0, 0), "{report:?}");
    }
}

fn there_and_back(there: &There) {
    let manager = manager();
    let double = Arango::with("entity3", dumped("entity_dump"));
    let first = back_up(&double, &manager, &double.exporter("entity3"));
    let into = |database: &str| ArangoRestore {
        database: Some(database.into()),
        create_database: true,
        ..ArangoRestore::default()
    };
    there.load(&manager, &first, into("restow_test"));
    // Twice: the second replaces what the first made.
    there.load(&manager, &first, into("restow_test"));
    for workers in [0, 3] {
        let again = report(&manager, &there.exporter("restow_test", workers)).id.unwrap();
        for name in COLLECTIONS {
            let was = documents(&manager, &first, &format!("entity3/collections/{name}"));
            let is = documents(&manager, &again, &format!("restow_test/collections/{name}"));
            assert_eq!(was, is, "{name}");
        }
    }
    let renamed = ArangoRestore {
        collections: vec![restow::source::Rename::new("Email", "Mail")],
        ..into("restow_test_copy")
    };
    there.load(&manager, &first, renamed);
    let copy = report(&manager, &there.exporter("restow_test_copy", 2)).id.unwrap();
    let mut was = documents(&manager, &first, "entity3/collections/Email");
    for (key, value) in &mut was {
        value["_id"] = format!("Mail/{key}").into();
    }
    assert_eq!(was, documents(&manager, &copy, "restow_test_copy/collections/Mail"));
}

#[test]
fn the_server_in_this_process() {
    for server in [Arango::start(), Arango::start().modern()] {
        let login = ArangoLogin::default();
        there_and_back(&There { server: server.source("").server, login });
        assert_eq!(server.held(), 0);
    }
}

#[test]
fn a_real_server() {
    let Ok(url) = std::env::var("RESTOW_TEST_ARANGO_URL") else {
        skip!("RESTOW_TEST_ARANGO_URL names no server");
    };
    let variable = |name: &str| std::env::var(name).ok();
    let user = variable("ARANGO_USER").unwrap_or_else(|| "root".into());
    let login = ArangoLogin::basic(&user, &variable("ARANGO_PASSWORD").unwrap_or_default());
    there_and_back(&There { server: ArangoServer::new(&url).unwrap(), login });
}
