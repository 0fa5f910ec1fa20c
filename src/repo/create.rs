//! Making a repository.

use crate::codec::{self, KdfCost, Keys, MasterKey, Secret};
use crate::format::{ConfigRecord, MARKER_NAME, Marker, ObjectKind, Record, name};
use crate::id::RepositoryId;
use crate::limits::{
    ARGON2_MEMORY_KIB, ARGON2_PASSES, CHUNK_AVG, CHUNK_MAX, CHUNK_MIN, DELTA_DEPTH_DEFAULT,
    PACK_TARGET, PLAIN_RECORD_MAX,
};
use crate::options::options;
use crate::storage::{Key, Listed, Storage};
use crate::store::Vault;

use super::keys::add_key;
use super::{Identity, RepoError};

options! {
    /// What `init` decides for good.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CreateOptions {
        /// Shortest chunk in bytes, but for the end of a stream.
        pub chunk_min: u32,
        /// Average chunk in bytes: a power of two.
        pub chunk_avg: u32,
        /// Longest chunk in bytes.
        pub chunk_max: u32,
        /// zstd level of new blocks.
        pub compression: i32,
        /// Bytes at which a pack is closed.
        pub pack_target: u32,
        /// How many decodes a new block may take before its own; 0 for no deltas.
        pub delta_depth: u8,
        /// What guessing a passphrase shall cost.
        pub kdf: KdfCost,
        /// Label of the first key.
        pub key_label: String,
    }
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            chunk_min: CHUNK_MIN,
            chunk_avg: CHUNK_AVG,
            chunk_max: CHUNK_MAX,
            compression: 3,
            pack_target: PACK_TARGET,
            delta_depth: DELTA_DEPTH_DEFAULT,
            kdf: KdfCost { memory_kib: ARGON2_MEMORY_KIB, passes: ARGON2_PASSES, lanes: 1 },
            key_label: String::new(),
        }
    }
}

/// Makes a repository in an empty place. The marker comes last: before it, there is no repository.
pub fn create(
    storage: &dyn Storage,
    secret: &Secret,
    options: &CreateOptions,
    identity: &Identity,
) -> Result<RepositoryId, RepoError> {
    create_with_key(storage, secret, options, identity, MasterKey::generate()?)
}

/// The same with a master key that the caller chose. Chunk ids and cuts follow from it, so tests that give the same
/// key see the same chunks. A key that anybody else knows protects nothing.
#[doc(hidden)]
pub fn create_with_key(
    storage: &dyn Storage,
    secret: &Secret,
    options: &CreateOptions,
    identity: &Identity,
    master: MasterKey,
) -> Result<RepositoryId, RepoError> {
    check_empty(storage)?;
    let repository = RepositoryId::new(codec::random()?);
    let config = ConfigRecord {
        repository,
        created: identity.now(),
        chunk_min: options.chunk_min,
        chunk_avg: options.chunk_avg,
        chunk_max: options.chunk_max,
        compression: options.compression,
        pack_target: options.pack_target,
        parity_percent: 0,
        delta_depth: options.delta_depth,
        ext: Vec::new(),
    };
    config.validate().map_err(|error| {
        RepoError::Usage(format!("expected {}, found {}", error.expected, error.found))
    })?;
    let vault = Vault::new(Keys::new(repository, master.clone()));
    let sealed = vault.seal(ObjectKind::Config, &config)?;
    add_key(storage, repository, &master, secret, options.kdf, &options.key_label, identity)?;
    // Deriving a key takes its time: somebody else may have been here meanwhile.
    check_empty(storage)?;
    storage.put(&Key::new(name::CONFIG)?, &sealed.bytes)?;
    let marker = Marker { repository, created: jiff::Timestamp::now().to_string() };
    let marker = marker.encode().map_err(|e| RepoError::format(MARKER_NAME, e))?;
    let key = Key::new(MARKER_NAME)?;
    storage.put(&key, &marker)?;
    // Of two that begin at once one wins, and the other must not go on with keys that open nothing.
    let config = Key::new(name::CONFIG)?;
    let is_ours = storage.get(&key, PLAIN_RECORD_MAX as u64)? == marker
        && storage.get(&config, ConfigRecord::LIMIT as u64)? == sealed.bytes;
    match is_ours {
        true => Ok(repository),
        false => Err(RepoError::AlreadyThere { place: storage.describe() }),
    }
}

fn check_empty(storage: &dyn Storage) -> Result<(), RepoError> {
    let place = storage.describe();
    let mut marker = false;
    storage.list(&Key::new(MARKER_NAME)?, &mut |_| marker = true)?;
    if marker {
        return Err(RepoError::AlreadyThere { place });
    }
    // What an `init` that was cut off left (a key, a config) is no repository and no obstacle; packs and
    // snapshots without a marker are somebody's backups whose marker was lost.
    for folder in [name::PACKS, name::SNAPSHOTS, name::INDEX] {
        let mut found: Option<Listed> = None;
        storage.list(&Key::new(folder)?, &mut |listed| found = Some(listed))?;
        if let Some(listed) = found {
            return Err(RepoError::NotEmpty { place, found: listed.key.to_string() });
        }
    }
    Ok(())
}
