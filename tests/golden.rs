//! Repositories written by earlier versions, kept for ever. `tests/golden/README.md` says how each was made.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use restow::codec::Secret;
use restow::ops::{CheckOptions, check};
use restow::progress::{Cancel, Silent};
use restow::repo::{OpenOptions, Repository};
use restow::storage::Local;

use crate::support::{identity, restore_to_memory};

/// Version 1, plain blocks: two snapshots of three files.
#[test]
fn version_1() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let storage = Arc::new(Local::open(place).unwrap());
    let secret = Secret::Passphrase("golden".into());
    let repository =
        Repository::open(storage, &secret, identity(), OpenOptions::default()).unwrap();
    let (snapshots, unreadable) = repository.snapshots().unwrap();
    assert!(unreadable.is_empty());
    let names: Vec<_> = snapshots.iter().map(|s| s.manifest.description.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    let numbers = |to: u32| (1..=to).map(|n| format!("{n}\n")).collect::<String>().into_bytes();
    for (snapshot, count) in snapshots.iter().zip([40_000, 40_100]) {
        let contents: BTreeMap<String, Vec<u8>> = restore_to_memory(&repository, snapshot.id)
            .contents()
            .into_iter()
            .map(|(path, bytes)| (path.display(), bytes))
            .collect();
        assert_eq!(contents["numbers.txt"], numbers(count));
        assert_eq!(contents["folder/zeros"], vec![0; 300_000]);
        assert_eq!(contents["folder/empty"], b"");
    }
    let options = CheckOptions { read_data: true, snapshot: None };
    assert!(check(&repository, &options, &Silent, &Cancel::new()).unwrap().is_clean());
}
