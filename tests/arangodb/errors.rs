//! What somebody is told when a server is not there, does not know them, or has no time.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use restow::ErrorKind;
use restow::source::Exporter;
use restow::source::arangodb::{ArangoExporter, ArangoLogin, ArangoOptions, ArangoSource};
use restow::source::http::ClientOptions;

use super::{back_up, documents, fails, manager};
use crate::support::arango::{Arango, connection, quick};
use crate::support::clock::ManualClock;
use crate::support::rights::as_nobody;

const STARTING: &str =
    r#"{"error":true,"code":503,"errorNum":503,"errorMessage":"service unavailable"}"#;

fn with(login: ArangoLogin) -> ArangoOptions {
    ArangoOptions { connection: connection(login), ..quick() }
}

fn of(url: &str) -> ArangoExporter {
    ArangoExporter::new(ArangoSource::parse(url).unwrap(), quick())
}

fn told(server: &Arango, source: &dyn Exporter, words: &[&str]) {
    let error = fails(server, source);
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn nobody_there() {
    let server = Arango::start();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let words =
        [&format!("http://127.0.0.1:{port}/_db/shop"), "refused", "is this its port (8529)"];
    told(&server, &of(&format!("arangodb://127.0.0.1:{port}/shop")), &words);
}

#[test]
fn sockets_that_are_not_there_or_not_ours() {
    let (server, folder) = (Arango::start(), tempfile::tempdir().unwrap());
    let socket = folder.path().join("arangod.sock");
    let shown = format!("unix://{}", socket.display());
    let source = of(&format!("arangodb+unix://{}?database=shop", socket.display()));
    told(&server, &source, &[&shown, "there is no such socket", "--server.endpoint"]);
    // Left by a server that is gone.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    told(&server, &source, &[&shown, "does it listen on this socket"]);
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    as_nobody(move || {
        told(&server, &source, &[&shown, "may not use the socket", "a user of its group"]);
    });
}

#[test]
fn no_such_database() {
    let server = Arango::with_shop();
    let error = fails(&server, &server.exporter("nope"));
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("no database nope; there is _system, shop"), "{error}");
    // One of several: nothing is held of the others.
    let error = fails(&server, &server.exporter("nope,shop"));
    assert!(error.to_string().contains("no database nope"), "{error}");
    assert_eq!(server.count("POST"), 0);
}

#[test]
fn passwords_and_tokens_that_are_wrong() {
    let server = Arango::with_shop();
    server.lock().login = Some(("anna".into(), "right".into()));
    told(
        &server,
        &server.exporter("shop"),
        &["401", "user root", "set ARANGO_PASSWORD", "ARANGO_USER"],
    );
    let wrong = with(ArangoLogin::basic("anna", "s3cret"));
    let words =
        ["not authorized", "user anna or the password in ARANGO_PASSWORD is wrong", &server.host()];
    told(&server, &server.exporter_with("shop", wrong), &words);
    let wrong = with(ArangoLogin::session("anna", "s3cret"));
    told(&server, &server.exporter_with("shop", wrong), &["/_open/auth", "Wrong credentials"]);
    let wrong = with(ArangoLogin::token("s3cret"));
    told(&server, &server.exporter_with("shop", wrong), &["ARANGO_JWT is wrong or has run out"]);
    told(
        &server,
        &server.exporter_with("shop", with(ArangoLogin::token("a\nb"))),
        &["no header can hold"],
    );
    let said =
        r#"{"error":true,"code":403,"errorNum":11,"errorMessage":"insufficient permissions"}"#;
    server.instead("POST /_api/replication/batch", 1, 403, "", said);
    let right = with(ArangoLogin::basic("anna", "right"));
    told(
        &server,
        &server.exporter_with("shop", right.clone()),
        &["403", "insufficient", "user anna may not do this"],
    );
    back_up(&server, &manager(), &server.exporter_with("shop", right));
}

/// A token runs out while a backup is under way: it is renewed, and nobody notices.
#[test]
fn tokens_that_run_out() {
    for server in [Arango::with_shop(), Arango::with_shop().modern()] {
        let manager = manager();
        {
            let mut state = server.lock();
            (state.login, state.token_uses) = (Some(("anna".into(), "right".into())), 3);
            state.faults.chunk = Some(700);
        }
        // One request at a time, or others use up a token that was renewed for this one.
        let options = ArangoOptions { workers: 1, ..with(ArangoLogin::session("anna", "right")) };
        let id = back_up(&server, &manager, &server.exporter_with("shop", options));
        assert_eq!(documents(&manager, &id, "shop/collections/items").len(), 50);
        assert!(server.count("POST /_open/auth") > 3);
    }
    // A server that wants to know nobody has no tokens either.
    let server = Arango::with_shop();
    let options = with(ArangoLogin::session("anna", "right"));
    back_up(&server, &manager(), &server.exporter_with("shop", options));
}

#[test]
fn too_much_to_do_and_not_ready() {
    let server = Arango::with_shop();
    let queue =
        r#"{"error":true,"code":412,"errorNum":21004,"errorMessage":"queue time violated"}"#;
    server.instead("GET /_api/version", 1, 429, "retry-after: 1\r\n", "");
    server.instead("POST /_api/replication/batch", 2, 503, "", STARTING);
    server.instead("GET /_api/replication/inventory", 2, 412, "", queue);
    server.instead("GET /_api/replication/dump", 1, 412, "", queue);
    server.instead("GET /_api/replication/dump", 1, 503, "", STARTING);
    let (clock, mut options) = (Arc::new(ManualClock::new()), quick());
    options.connection.http.clock = clock.clone();
    let manager = manager();
    let id = back_up(&server, &manager, &server.exporter_with("shop", options));
    assert!(clock.waited() >= Duration::from_secs(1), "as long as the server said");
    assert_eq!(documents(&manager, &id, "shop/collections/items").len(), 50);

    server.instead("GET /_api/version", 1, 429, "retry-after: 86400\r\n", "");
    told(&server, &server.exporter("shop"), &["429", "too much to do"]);
    server.instead("GET /_api/version", 100, 503, "", STARTING);
    told(&server, &server.exporter("shop"), &["503: service unavailable", "starting"]);
}

#[test]
fn a_server_that_is_waited_for() {
    let server = Arango::with_shop();
    server.instead("GET /_api/version", 20, 503, "", STARTING);
    let mut options = quick();
    options.connection.wait_ready = Some(Duration::from_secs(60));
    back_up(&server, &manager(), &server.exporter_with("shop", options.clone()));
    assert!(server.count("GET /_api/version") > 20);
    server.instead("GET /_api/version", 1_000_000, 503, "", STARTING);
    let clock = Arc::new(ManualClock::new());
    options.connection.http.clock = clock.clone();
    options.connection.http.pause = Duration::from_millis(100);
    options.connection.wait_ready = Some(Duration::from_secs(2));
    told(&server, &server.exporter_with("shop", options), &["503: service unavailable"]);
    assert!(clock.waited() >= Duration::from_secs(2));
}

#[test]
fn an_answer_that_was_lost() {
    let server = Arango::with_shop();
    // It may have begun a batch: it is not asked for another, and that one runs out.
    server.instead("POST /_api/replication/batch", 1, 0, "", "");
    told(&server, &server.exporter("shop"), &["the connection broke"]);
    assert_eq!(server.count("POST /_api/replication/batch"), 1);
    server.instead("GET /_api/replication/inventory", 1, 0, "", "");
    back_up(&server, &manager(), &server.exporter("shop"));
}

#[test]
fn a_server_that_is_something_else() {
    let server = Arango::with_shop();
    server.instead("GET /_api/version", 1, 200, "", "<html>");
    told(&server, &server.exporter("shop"), &["does not answer as ArangoDB does"]);
    server.instead("GET /_api/version", 1, 200, "", r#"{"title":"qdrant","version":"1.9"}"#);
    told(&server, &server.exporter("shop"), &["does not answer as ArangoDB does", "8529"]);
    server.instead("GET /_api/version", 1, 302, "location: http://evil/\r\n", "");
    told(&server, &server.exporter("shop"), &["leads to http://evil/", "the key is not sent"]);
    server.instead("GET /_api/replication/inventory", 1, 200, "", "{}");
    told(&server, &server.exporter("shop"), &["no list of collections"]);
}

#[test]
fn https_where_there_is_none() {
    let server = Arango::with_shop();
    let http = ClientOptions { retries: 0, ..quick().connection.http };
    let mut options = quick();
    options.connection.http = http;
    let source = ArangoSource::parse(&format!("arangodb+https://{}/shop", server.host())).unwrap();
    told(&server, &ArangoExporter::new(source, options), &["https://127.0.0.1:"]);
}
