//! Dumps that are not whole, or not to be read: refused before anything is stored, by name and with a way out.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Content, ENTITIES, PLAIN, Shape, gzipped, md5, real};
use crate::support::binary::Bench;

/// A dump that `change` has spoiled.
fn spoiled(bench: &Bench, change: impl FnOnce(&Path)) -> PathBuf {
    let folder = bench.path("spoiled");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    Content::read(&real(ENTITIES)).write(&folder, Shape { gzip: true, ..PLAIN });
    change(&folder);
    folder
}

fn users(folder: &Path, end: &str) -> PathBuf {
    folder.join(format!("Users_{}{end}", md5("Users")))
}

#[test]
fn what_is_missing_or_unreadable_is_named() {
    let bench = Bench::with_repository();
    let refused = |why: &[&str], change: &dyn Fn(&Path)| {
        spoiled(&bench, change);
        let said = bench.fails(1, &["import", "spoiled"]);
        assert!(why.iter().all(|why| said.contains(why)), "{why:?}: {said}");
        assert!(said.contains("spoiled"), "{said}");
    };
    refused(&["encrypted with \"aes-256-ctr\"", "without --encryption"], &|folder| {
        fs::write(folder.join("ENCRYPTION"), "aes-256-ctr").unwrap();
    });
    refused(&["VelocyPack", "--dump-vpack false", "Users_"], &|folder| {
        fs::rename(users(folder, ".data.json.gz"), users(folder, ".data.vpack.gz")).unwrap();
    });
    refused(&["VelocyPack", "dump.json"], &|folder| {
        fs::write(folder.join("dump.json"), r#"{"database":"x","useVPack":true}"#).unwrap();
    });
    refused(&["collection Users has a structure and no data"], &|folder| {
        fs::remove_file(users(folder, ".data.json.gz")).unwrap();
    });
    refused(&["Users_", "data without a structure"], &|folder| {
        fs::remove_file(users(folder, ".structure.json")).unwrap();
    });
    refused(&["stands for the same documents as"], &|folder| {
        fs::write(users(folder, ".data.json"), "").unwrap();
    });
    refused(&["has data of two dumps"], &|folder| {
        fs::write(folder.join("Users.data.json"), "").unwrap();
    });
    refused(&["part 0 of the data of Users is missing"], &|folder| {
        fs::rename(users(folder, ".data.json.gz"), users(folder, ".1.data.json.gz")).unwrap();
    });
    refused(&["in one file and in several"], &|folder| {
        fs::write(users(folder, ".0.data.json"), "").unwrap();
    });
    refused(&["a second structure of the collection Users"], &|folder| {
        fs::copy(users(folder, ".structure.json"), folder.join("Users.structure.json")).unwrap();
        fs::write(folder.join("Users.data.json"), "").unwrap();
        fs::remove_file(users(folder, ".data.json.gz")).unwrap();
    });
    refused(&["describes the collection Users", "renamed"], &|folder| {
        fs::rename(users(folder, ".structure.json"), folder.join("Others.structure.json")).unwrap();
    });
    refused(&["no parameters with a name"], &|folder| {
        fs::write(users(folder, ".structure.json"), "{}").unwrap();
    });
    refused(&["collections of type 7 are not known"], &|folder| {
        let structure = json!({"parameters": {"name": "Users", "type": 7}});
        fs::write(users(folder, ".structure.json"), structure.to_string()).unwrap();
    });
    refused(&["Users_", "is no JSON document"], &|folder| {
        fs::write(users(folder, ".structure.json"), "{").unwrap();
    });
    refused(&["dump.json: is no JSON document"], &|folder| {
        fs::write(folder.join("dump.json"), "{\"database\":").unwrap();
    });
}

#[test]
fn broken_documents_are_named_by_file_and_line() {
    let bench = Bench::with_repository();
    let good = "{\"_key\":\"a\"}\n{\"_key\":\"b\"}\n";
    for (text, why) in [
        ("{\"x\":1}\n", "line 3 has no `_key`"),
        ("[1]\n", "line 3 is not a JSON object"),
        ("{\"_key\":\"c\"", "line 3 is broken JSON"),
        ("{\"type\":2399,\"data\":{}}\n", "line 3 is a marker of unknown type 2399"),
    ] {
        spoiled(&bench, |folder| {
            fs::write(users(folder, ".data.json.gz"), gzipped(format!("{good}{text}").as_bytes()))
                .unwrap();
        });
        let said = bench.fails(1, &["import", "spoiled"]);
        assert!(said.contains(why) && said.contains("Users_"), "{why}: {said}");
    }
    // The lines that are there are good: what is missing shows in the compression only.
    spoiled(&bench, |folder| {
        let path = users(folder, ".data.json.gz");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 6]).unwrap();
    });
    let said = bench.fails(1, &["import", "spoiled"]);
    assert!(said.contains("cannot read") && said.contains("Users_"), "{said}");
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_no_dump_at_all() {
    let bench = Bench::with_repository();
    assert!(bench.fails(2, &["import", "nowhere"]).contains("no such file"));
    fs::create_dir_all(bench.path("folder/inside")).unwrap();
    fs::write(bench.path("folder/text"), "text").unwrap();
    for path in ["folder", "folder/text"] {
        let said = bench.fails(2, &["import", path]);
        assert!(
            said.contains("nothing that restow imports") && said.contains("restow backup"),
            "{said}"
        );
    }
    // Beside a dump lies something else: which of them is meant is not guessed.
    Content::read(&real(ENTITIES)).write(&bench.path("folder/one"), PLAIN);
    let said = bench.fails(1, &["import", "folder"]);
    assert!(said.contains("folder/inside: is no arangodump"), "{said}");
    let said = bench.fails(2, &["import", "folder/one", "--as", "arangodb://root:s3cret@h/db"]);
    assert!(said.contains("password") && !said.contains("s3cret"), "{said}");
}
