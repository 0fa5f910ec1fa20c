//! Repositories written by earlier versions, kept for ever. `tests/golden/README.md` says how each was made.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use restow::codec::{Keys, MasterKey, Secret};
use restow::format::{ConfigRecord, ObjectKind, Time};
use restow::id::RepositoryId;
use restow::ops::{CheckOptions, check};
use restow::progress::{Cancel, Silent};
use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, create};
use restow::storage::Local;
use restow::store::Vault;

use crate::deltas::edits::Table;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{back_up_as, identity, restore_to_memory};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn opened(name: &str) -> Repository {
    let storage = Arc::new(Local::open(golden(name)).unwrap());
    let secret = Secret::Passphrase("golden".into());
    Repository::open(storage, &secret, identity(), OpenOptions::default()).unwrap()
}

/// Every file of every snapshot: the snapshot's description, the file's BLAKE3 and its path.
fn record_of(repository: &Repository) -> String {
    let (snapshots, unreadable) = repository.snapshots().unwrap();
    assert!(unreadable.is_empty());
    let mut record = String::new();
    for snapshot in &snapshots {
        let description = &snapshot.manifest.description;
        for (path, bytes) in restore_to_memory(repository, snapshot.id).contents() {
            let sum = blake3::hash(&bytes).to_hex();
            writeln!(record, "{description}  {sum}  {}", path.display()).unwrap();
        }
    }
    record
}

/// All that a golden repository holds is as it was when it was made, which stands beside it.
fn comes_back_as_recorded(name: &str) {
    let repository = opened(name);
    let recorded = std::fs::read_to_string(golden(&format!("{name}.record"))).unwrap();
    assert_eq!(record_of(&repository), recorded);
    let options = CheckOptions::default().read_data(true);
    assert!(check(&repository, &options, &Silent, &Cancel::new()).unwrap().is_clean());
}

/// Made `v1-deltas` and its record; refuses to make them again.
#[test]
#[ignore = "makes a golden repository"]
fn make_version_1_with_deltas() {
    let place = golden("v1-deltas");
    assert!(!place.exists(), "a golden repository is never changed");
    let storage = Arc::new(Local::create(place).unwrap());
    let secret = Secret::Passphrase("golden".into());
    let name = || "golden".to_owned();
    let identity = Identity { host: name(), user: name(), boot: name(), ..identity() };
    let [chunk_min, chunk_avg, chunk_max] = [1024, 4096, 16_384];
    let sizes =
        CreateOptions::default().chunk_min(chunk_min).chunk_avg(chunk_avg).chunk_max(chunk_max);
    let options = sizes.delta_depth(2);
    create(&*storage, &secret, &options, &identity).unwrap();
    let repository = Repository::open(storage, &secret, identity, OpenOptions::default()).unwrap();
    let (mut table, mut bytes) = (Table::new(4000, 1), noise(60_000, 2));
    for (number, night) in ["first", "second", "third", "fourth"].into_iter().enumerate() {
        let files: Files = [
            (path("folder/same"), noise(5000, 3)),
            (path("noise"), bytes.clone()),
            (path("table.sql"), table.bytes()),
        ]
        .into();
        back_up_as(&repository, &[&MemorySource::new(files)], night).unwrap();
        table.night(40, number as u64);
        drop(bytes.splice(20_000 * number..20_000 * number + 5, noise(40, number as u64)));
    }
    let found = crate::deltas::chains(&repository, 2);
    assert!(found.deltas > 50 && found.deepest == 2, "{found:?}");
    std::fs::write(golden("v1-deltas.record"), record_of(&repository)).unwrap();
    comes_back_as_recorded("v1-deltas");
}

/// Version 1, plain blocks: two snapshots of three files.
#[test]
fn version_1() {
    let repository = opened("v1");
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
    comes_back_as_recorded("v1");
}

/// The hex bytes of the indented lines that follow `heading` in the format's description.
fn bytes_after(heading: &str) -> Vec<u8> {
    let (_, text) = FORMAT.split_once(heading).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("    "));
    let lines = lines.take_while(|line| line.starts_with("    "));
    let digits: String = lines
        .flat_map(|line| line.trim().split("   ").next().unwrap().chars())
        .filter(|digit| *digit != ' ')
        .collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn named(name: &str) -> &str {
    FORMAT.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim()
}

const FORMAT: &str = include_str!("../../docs/FORMAT.md");

#[test]
fn the_example_in_the_formats_description() {
    let repository = RepositoryId::new([1; 16]);
    let keys = Keys::new(repository, MasterKey::from_bytes([7; 32]));
    assert_eq!(
        blake3::keyed_hash(keys.chunk_id(), b"hello").to_hex().as_str(),
        named("chunk id  ")
    );
    let subkey = blake3::derive_key("restow 2026 v1 seal config", &[7; 32]);
    assert_eq!(blake3::Hash::from(subkey).to_hex().as_str(), named("subkey of config"));
    let object_key = blake3::keyed_hash(&subkey, &[[1; 16], [9; 16], [9; 16]].concat());
    assert_eq!(object_key.to_hex().as_str(), named("object key"));

    let object = bytes_after("The object, 121 bytes");
    assert_eq!(object.len(), 121);
    let config: ConfigRecord =
        Vault::new(keys).open(ObjectKind::Config, "config", &object).unwrap();
    assert_eq!(config.repository, repository);
    assert_eq!(config.created, Time { seconds: 1_790_000_000, nanos: 123_456_789 });
    assert_eq!((config.chunk_min, config.chunk_max, config.compression), (16_384, 262_144, 3));
    assert_eq!(config.ext[0].value.to_vec(), b"later");
    let record = restow::format::encode(&config).unwrap();
    assert_eq!(record, bytes_after("The record, 60 bytes"));
}

/// Version 1, chains of deltas up to two links deep: four nights of an edited table.
#[test]
fn version_1_with_deltas() {
    comes_back_as_recorded("v1-deltas");
}
