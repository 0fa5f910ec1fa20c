//! There and back through the binary, against the server that `RESTOW_TEST_QDRANT_URL` names (with `QDRANT_API_KEY`
//! where it wants one), and always against the one in this process. Nothing here looks into a server but through
//! backups of it. It makes the collections `restow_test` and `restow_test_copy`, and deletes them.

use std::time::Duration;

use restow::progress::Cancel;
use restow::source::http::{Call, Client, ClientOptions, Credential};

use crate::support::binary::Bench;
use crate::support::qdrant::{Qdrant, night};
use crate::support::skips::skip;

const NAMES: [&str; 2] = ["restow_test", "restow_test_copy"];

/// The collections of this test are gone, before it and after it.
struct Clean<'u>(&'u str);

impl Clean<'_> {
    fn new(url: &str) -> Clean<'_> {
        let clean = Clean(url);
        clean.clean();
        clean
    }

    fn clean(&self) {
        let key = std::env::var("QDRANT_API_KEY").ok().map(|key| Credential::api_key(&key));
        let options =
            ClientOptions { pause: Duration::from_millis(50), ..ClientOptions::default() };
        let client = Client::new(options, key.as_ref(), self.0, &Cancel::new()).unwrap();
        for name in NAMES {
            // The one in this process forgets them anyway.
            let _ = client.ask(&Call::delete(format!("{}/collections/{name}", self.0)));
        }
    }
}

impl Drop for Clean<'_> {
    fn drop(&mut self) {
        self.clean();
    }
}

fn there_and_back(url: &str) {
    let (bench, _clean) = (Bench::with_repository(), Clean::new(url));
    let source = match url.split_once("://") {
        Some(("https", rest)) => format!("qdrant+https://{rest}"),
        Some((_, rest)) => format!("qdrant://{rest}"),
        None => panic!("{url}"),
    };
    let source = source.trim_end_matches('/');
    // What a real server made.
    let file = "notes-4261355958411988-2026-11-20-20-00-10.snapshot";
    std::fs::write(bench.path(file), night(0)).unwrap();
    let first = bench.json(&["import", file])["id"].as_str().unwrap().to_owned();
    let [one, copy] = NAMES;
    let to = |name: &str| format!("{source}/{name}");
    let restored = bench.ok(&["restore", &first, "--to", &to(one)]);
    assert!(restored.contains(&format!("{one}: 4000 points")), "{restored}");
    let left = bench.ok(&["restore", &first, "--to", &to(one), "--if-missing"]);
    assert!(left.contains("skipped: collection restow_test with 4000 points"), "{left}");
    bench.fails(7, &["restore", &first, "--to", &to(one)]);
    bench.ok(&["restore", &first, "--to", &to(one), "--overwrite"]);

    // Its own backup, under another name, holds the same points; nothing stays in its folder.
    let second = bench.json(&["backup", &to(one)]);
    assert_eq!(second["manifest"]["incomplete"], false);
    let second = second["id"].as_str().unwrap().to_owned();
    bench.ok(&["check", &second, "--read-data"]);
    bench.ok(&["restore", &second, "--to", &to(copy)]);
    let points = |name: &str| {
        let id = bench.json(&["backup", &to(name), "--qdrant-mode", "logical"])["id"].clone();
        bench.ok(&["cat", id.as_str().unwrap(), &format!("{name}.points.jsonl")])
    };
    assert!(points(one) == points(copy));
    let missing = bench.fails(8, &["backup", &to("restow_test_nope")]);
    assert!(missing.contains("no collection restow_test_nope; there is"), "{missing}");
}

#[test]
fn here() {
    let server = Qdrant::with_notes();
    there_and_back(&server.url());
    assert_eq!(server.left(), [""; 0]);
}

#[test]
fn where_it_is_said() {
    let Ok(url) = std::env::var("RESTOW_TEST_QDRANT_URL") else {
        skip!("RESTOW_TEST_QDRANT_URL names no server");
    };
    there_and_back(&url);
}
