//! A storage that is not the crate's: the example of one keeps the contract and holds a backup.

use std::sync::Arc;

use restow::fault::ErrorKind;
use restow::storage::{StorageKinds, StorageOptions};

use crate::contracts::keeps_the_contract;

#[path = "../../examples/custom_storage.rs"]
mod example;

#[test]
fn a_registered_storage_is_backed_up_into_and_restored_from() {
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("file"), vec![7; 300_000]).unwrap();
    example::run(&from, &to).unwrap();
    assert_eq!(std::fs::read(to.join("file")).unwrap(), vec![7; 300_000]);
}

#[test]
fn a_registered_storage_keeps_the_contract() {
    let mut kinds = StorageKinds::default();
    assert_eq!(kinds.place("shared://name").unwrap_err().kind(), ErrorKind::Usage);
    kinds.register(Arc::new(example::SharedKind::default()));
    assert_eq!(kinds.schemes(), ["shared", "file"]);
    assert_eq!(kinds.place("shared:").unwrap_err().kind(), ErrorKind::Usage);
    let open = || kinds.place("shared:name").unwrap().open(&StorageOptions::default()).unwrap();
    keeps_the_contract(&*open(), &*open());
}
