//! Repositories that must not be opened, and what is said of each.

use std::sync::Arc;

use restow::codec::Secret;
use restow::fault::ErrorKind;
use restow::format::{self, Extension, Manifest, Note, NoteFact, ObjectKind, Time};
use restow::repo::{OpenOptions, RepoError, Repository, create};
use restow::storage::{Key, Memory, Storage};

use crate::support::memory_source::MemorySource;
use crate::support::model::{noise, path};
use crate::support::{
    back_up, default_chunks, identity, memory_repository, open, passphrase, try_open,
};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn bytes(storage: &Memory, name: &str) -> Vec<u8> {
    storage.get(&key(name), 1 << 20).unwrap()
}

fn only_key(storage: &Memory) -> String {
    let mut found = Vec::new();
    storage.list(&key("keys"), &mut |listed| found.push(listed.key.to_string())).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn open_error(storage: &Memory) -> RepoError {
    try_open(Arc::new(storage.clone())).err().expect("it must not open")
}

#[test]
fn nothing_there() {
    let error = open_error(&Memory::new());
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn wrong_passphrase() {
    let storage: Arc<dyn Storage> = Arc::new(memory_repository(&default_chunks()));
    let wrong = Secret::Passphrase("incorrect horse".into());
    let error =
        Repository::open(storage, &wrong, identity(), OpenOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
}

#[test]
fn newer_format_version() {
    let storage = memory_repository(&default_chunks());
    let marker = String::from_utf8(bytes(&storage, "restow.json")).unwrap();
    let newer = marker.replace("\"version\": 1", "\"version\": 2");
    assert_ne!(marker, newer);
    storage.put(&key("restow.json"), newer.as_bytes()).unwrap();
    let error = open_error(&storage);
    assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");

    let storage = memory_repository(&default_chunks());
    let mut config = bytes(&storage, "config");
    config[6] = 2;
    storage.put(&key("config"), &config).unwrap();
    assert_eq!(open_error(&storage).kind(), ErrorKind::TooNew);
}

/// The marker, the configuration or a key of another repository: none of them fits.
#[test]
fn foreign_objects() {
    let (ours, theirs) =
        (memory_repository(&default_chunks()), memory_repository(&default_chunks()));
    let with = |name: &str, bytes: &[u8]| {
        let storage = Memory::new();
        for own in ["restow.json", "config", &only_key(&ours)] {
            storage.put(&key(own), &self::bytes(&ours, own)).unwrap();
        }
        storage.put(&key(name), bytes).unwrap();
        open_error(&storage)
    };
    assert_eq!(with("restow.json", &bytes(&theirs, "restow.json")).kind(), ErrorKind::Damage);
    assert_eq!(with("config", &bytes(&theirs, "config")).kind(), ErrorKind::Damage);

    // A key of another repository, though the passphrase is right.
    let storage = Memory::new();
    for own in ["restow.json", "config"] {
        storage.put(&key(own), &bytes(&ours, own)).unwrap();
    }
    let foreign = only_key(&theirs);
    storage.put(&key(&foreign), &bytes(&theirs, &foreign)).unwrap();
    assert_eq!(open_error(&storage).kind(), ErrorKind::Damage);
}

#[test]
fn every_changed_byte_of_config_and_key_is_noticed() {
    let storage = memory_repository(&default_chunks());
    let config = bytes(&storage, "config");
    for at in 0..config.len() {
        let mut bad = config.clone();
        bad[at] ^= 0x10;
        storage.put(&key("config"), &bad).unwrap();
        let kind = open_error(&storage).kind();
        assert!(matches!(kind, ErrorKind::Damage | ErrorKind::TooNew), "byte {at}: {kind:?}");
    }
    storage.put(&key("config"), &config).unwrap();
    let name = only_key(&storage);
    let wrapped = bytes(&storage, &name);
    for at in 0..wrapped.len() {
        let mut bad = wrapped.clone();
        bad[at] ^= 0x10;
        storage.put(&key(&name), &bad).unwrap();
        assert_eq!(open_error(&storage).kind(), ErrorKind::Damage, "byte {at}");
    }
}

#[test]
fn unknown_extensions() {
    let repository = open(memory_repository(&default_chunks()));
    let id = back_up(&repository, &[&MemorySource::new([(path("a"), noise(9, 1))].into())])
        .unwrap()
        .id
        .unwrap();
    let mut manifest = repository.manifest(&id).unwrap();
    let extension = |required| Extension { tag: 77, required, value: b"new".to_vec().into() };
    let sealed = |manifest: &Manifest| {
        let object = repository.vault().seal(ObjectKind::Manifest, manifest).unwrap();
        repository.vault().open::<Manifest>(ObjectKind::Manifest, "test", &object.bytes)
    };
    manifest.ext.push(extension(false));
    assert_eq!(sealed(&manifest).unwrap(), manifest, "an optional one is carried along");
    manifest.ext.push(extension(true));
    let error = sealed(&manifest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");
    assert!(error.to_string().contains("77"), "{error}");
}

/// An object is of one kind, of one repository: nothing can be passed off as another.
#[test]
fn kinds_are_not_interchangeable() {
    let (one, other) =
        (open(memory_repository(&default_chunks())), open(memory_repository(&default_chunks())));
    let note = Note {
        snapshot: restow::id::SnapshotId::new([1; 32]),
        fact: NoteFact::Permanent,
        off: Vec::new(),
        time: Time::default(),
        host: String::new(),
        user: String::new(),
        ext: Vec::new(),
    };
    let sealed = one.vault().seal(ObjectKind::Note, &note).unwrap().bytes;
    assert_eq!(one.vault().open::<Note>(ObjectKind::Note, "x", &sealed).unwrap(), note);
    assert!(other.vault().open::<Note>(ObjectKind::Note, "x", &sealed).is_err());
    assert!(one.vault().open::<Note>(ObjectKind::Manifest, "x", &sealed).is_err());
    let mut disguised = sealed.clone();
    disguised[7] = ObjectKind::Manifest as u8;
    assert!(one.vault().open::<Note>(ObjectKind::Manifest, "x", &disguised).is_err());
    // And a record of another type under the right kind.
    let plain = format::encode(&note).unwrap();
    assert!(format::decode::<Manifest>(&plain).is_err());
}

#[test]
fn init_does_not_overwrite() {
    let storage = memory_repository(&default_chunks());
    let error = create(&storage, &passphrase(), &default_chunks(), &identity()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");

    // Packs without a marker are somebody's backups.
    back_up(&open(storage.clone()), &[&MemorySource::new([(path("a"), noise(9, 1))].into())])
        .unwrap();
    storage.delete(&key("restow.json")).unwrap();
    let error = create(&storage, &passphrase(), &default_chunks(), &identity()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
}

/// Keys a hostile host put beside ours cost more than any passphrase is worth: the right one opens all the
/// same, a wrong one is not tried on them for hours, and a broken one hides none of the others.
#[test]
fn costly_and_broken_keys() {
    let storage = memory_repository(&default_chunks());
    let ours = bytes(&storage, &only_key(&storage));
    let (header, record) = ours.split_at(format::HEADER_LEN);
    let mut costly: format::KeyRecord = format::decode(record).unwrap();
    for salt in 0..3u8 {
        costly.kdf =
            format::Kdf::Argon2id { memory_kib: 1 << 20, passes: 64, lanes: 1, salt: [salt; 32] };
        let forged = [header, &format::encode(&costly).unwrap()].concat();
        let name = format!("keys/{}", blake3::hash(&forged).to_hex());
        storage.put(&key(&name), &forged).unwrap();
    }
    let broken = format!("keys/{}", blake3::hash(b"broken").to_hex());
    storage.put(&key(&broken), b"broken").unwrap();

    let repository = open(storage.clone());
    let (keys, unreadable) = repository.keys().unwrap();
    assert_eq!((keys.len(), unreadable.len()), (4, 1));
    assert_eq!(format!("keys/{}", repository.key()), format!("keys/{}", blake3::hash(&ours)));
}

#[test]
fn short_key_file() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let short = Secret::KeyFile(vec![7; 31]);
    let error = create(&*storage, &short, &default_chunks(), &identity()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}

#[test]
fn times_and_settings_out_of_range() {
    let mut note = Note {
        snapshot: restow::id::SnapshotId::new([1; 32]),
        fact: NoteFact::Permanent,
        off: Vec::new(),
        time: Time { seconds: 1, nanos: 999_999_999 },
        host: String::new(),
        user: String::new(),
        ext: Vec::new(),
    };
    assert_eq!(format::decode::<Note>(&format::encode(&note).unwrap()).unwrap(), note);
    note.time.nanos = 1_000_000_000;
    assert!(format::decode::<Note>(&format::encode(&note).unwrap()).is_err());

    let mut config = open(memory_repository(&default_chunks())).config().clone();
    config.parity_percent = 100;
    assert!(format::decode::<format::ConfigRecord>(&format::encode(&config).unwrap()).is_ok());
    config.parity_percent = 101;
    assert!(format::decode::<format::ConfigRecord>(&format::encode(&config).unwrap()).is_err());
}
