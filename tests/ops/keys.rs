//! Keys added, removed and changed: some secret always opens the repository.

use std::sync::Arc;

use restow::codec::{KdfCost, Secret};
use restow::fault::ErrorKind;
use restow::repo::{KeyOptions, OpenOptions, RepoError, Repository};
use restow::storage::Memory;

use super::{damage, objects};
use crate::support::{default_chunks, identity, memory_repository, open};

fn cheap(label: &str) -> KeyOptions {
    KeyOptions::default().label(label.into()).cost(KdfCost { memory_kib: 8, passes: 1, lanes: 1 })
}

fn said(text: &str) -> Secret {
    Secret::Passphrase(text.into())
}

fn opened_by(storage: &Memory, secret: &Secret) -> Result<Repository, RepoError> {
    let storage = Arc::new(storage.clone());
    Repository::open(storage, secret, identity(), OpenOptions::default())
}

#[test]
fn several_keys_open_one_repository_and_a_removed_one_does_not() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let file = Secret::KeyFile(vec![7; 40]);
    let word = repository.add_key(&said("another"), &cheap("second")).unwrap();
    let of_file = repository.add_key(&file, &cheap("of a file")).unwrap();
    assert_eq!(opened_by(&storage, &said("another")).unwrap().key(), word);
    assert_eq!(opened_by(&storage, &file).unwrap().key(), of_file);
    assert_eq!(repository.keys().unwrap().0.len(), 3);

    let found = repository.find_key(&word.to_hex()[..12]).unwrap();
    repository.remove_key(&found).unwrap();
    let error = opened_by(&storage, &said("another")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert_eq!(repository.find_key(&word.to_hex()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(repository.remove_key(&word).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(opened_by(&storage, &file).is_ok());
}

#[test]
fn the_key_in_use_and_so_the_last_one_stays() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let error = repository.remove_key(&repository.key()).unwrap_err();
    assert!(matches!(error, RepoError::KeyInUse { .. }), "{error}");

    // Another host removed ours meanwhile: the one that is left is not removed too.
    let second = repository.add_key(&said("another"), &cheap("")).unwrap();
    opened_by(&storage, &said("another")).unwrap().remove_key(&repository.key()).unwrap();
    let error = repository.remove_key(&second).unwrap_err();
    assert!(matches!(error, RepoError::KeyNeeded { .. }), "{error}");
    assert!(opened_by(&storage, &said("another")).is_ok());
}

#[test]
fn a_changed_passphrase_opens_and_the_old_one_does_not() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let new = repository.change_key(&said("new"), &cheap("new")).unwrap();
    assert_eq!(repository.key(), new);
    assert_eq!(objects(&storage, "keys").len(), 1);
    assert!(opened_by(&storage, &said("new")).is_ok());
    let old = opened_by(&storage, &crate::support::passphrase()).err().unwrap();
    assert_eq!(old.kind(), ErrorKind::WrongKey);
}

#[test]
fn secrets_that_are_none_and_costs_nobody_pays_are_refused() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let dear = cheap("").cost(KdfCost { memory_kib: u32::MAX, passes: u32::MAX, lanes: 1 });
    let cases =
        [(said(""), cheap("")), (Secret::KeyFile(vec![1; 31]), cheap("")), (said("x"), dear)];
    for (secret, options) in cases {
        assert_eq!(repository.add_key(&secret, &options).unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(objects(&storage, "keys").len(), 1);
}

#[test]
fn a_damaged_key_can_be_removed() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let second = repository.add_key(&said("another"), &cheap("")).unwrap();
    let key =
        objects(&storage, "keys").into_iter().find(|key| key.as_str().contains(&second.to_hex()));
    damage(&storage, &key.unwrap());
    repository.remove_key(&second).unwrap();
    assert_eq!(objects(&storage, "keys").len(), 1);
}
