//! Who else is at work in a repository, and who is taken for dead (docs/PRUNE.md).

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::fault::ErrorKind;
use crate::format::{ActorRecord, ActorRole, ObjectKind, name};
use crate::id::ActorId;
use crate::storage::{Key, Storage};
use crate::store::Vault;

use super::actor::is_gone;
use super::objects::{list_ids, read_fixed};
use super::{Identity, RepoError};

/// An announced writer or prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The actor.
    pub id: ActorId,
    /// What it says of itself. `None` where that cannot be read: it is treated as a writer.
    pub record: Option<ActorRecord>,
    /// When it announced itself and when it last gave a sign of life, both by the storage's time.
    pub announced: SystemTime,
    /// When it last gave a sign of life.
    pub last_sign: SystemTime,
}

impl Peer {
    /// True for a prune.
    pub fn is_prune(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.role == ActorRole::Prune)
    }

    /// For people: what it is and where.
    pub fn describe(&self) -> String {
        match &self.record {
            Some(record) => {
                let role = match record.role {
                    ActorRole::Writer => "a backup",
                    ActorRole::Prune => "a prune",
                };
                format!("{role} on {} (process {}, {})", record.host, record.process, record.user)
            }
            None => format!("{}, which says nothing of itself that can be read", self.id.to_hex()),
        }
    }

    /// Whether its process was seen to be gone, or it gave no sign of life for so long, by the storage's time.
    pub(super) fn is_dead(&self, here: &Identity, now: SystemTime, expiry: Duration) -> bool {
        if now.duration_since(self.last_sign).is_ok_and(|silent| silent > expiry) {
            return true;
        }
        let Some(record) = &self.record else { return false };
        // Processes are numbered by namespace: `boot` tells one from another, also of one machine.
        let same_processes = record.host == here.host && record.boot == here.boot;
        same_processes && !record.boot.is_empty() && is_gone(record.process, record.process_start)
    }
}

/// Signs of life, and when they were put, of nobody who is announced.
pub(super) type Strays = HashMap<ActorId, SystemTime>;

/// All announced actors.
pub(super) fn peers(storage: &dyn Storage, vault: &Vault) -> Result<Vec<Peer>, RepoError> {
    Ok(peers_and_strays(storage, vault)?.0)
}

/// Likewise, and signs of life of nobody who is announced: put by one that was taken for dead, and then woke up.
pub(super) fn peers_and_strays(
    storage: &dyn Storage,
    vault: &Vault,
) -> Result<(Vec<Peer>, Strays), RepoError> {
    let announced = list_ids::<ActorId>(storage, name::ACTIVE)?;
    let beats: HashMap<ActorId, SystemTime> = list_ids(storage, name::BEATS)?
        .into_iter()
        .map(|(id, listed)| (id, listed.stored))
        .collect();
    let mut strays = beats.clone();
    strays.retain(|id, _| !announced.iter().any(|(other, _)| other == id));
    let mut found = Vec::new();
    for (id, listed) in announced {
        let record =
            match read_fixed::<ActorRecord>(storage, vault, ObjectKind::Active, &name::active(&id))
            {
                Ok(record) => Some(record),
                // It ended between list and read.
                Err(error) if error.is_missing_object() => continue,
                Err(error) if matches!(error.kind(), ErrorKind::Damage | ErrorKind::TooNew) => None,
                Err(error) => return Err(error),
            };
        let announced = listed.stored;
        let last_sign = beats.get(&id).map_or(announced, |beat| announced.max(*beat));
        found.push(Peer { id, record, announced, last_sign });
    }
    found.sort_by_key(|peer| (peer.announced, peer.id));
    Ok((found, strays))
}

/// Removes signs of life that are as old as the dead. Should their actor live, they never counted.
pub(super) fn sweep(
    storage: &dyn Storage,
    strays: &Strays,
    now: SystemTime,
    expiry: Duration,
) -> Result<(), RepoError> {
    for (id, put) in strays {
        if now.duration_since(*put).is_ok_and(|silent| silent > expiry) {
            storage.delete(&Key::new(name::beat(id))?)?;
        }
    }
    Ok(())
}

/// Takes an actor for dead: whatever it does from now on does not count.
pub(super) fn expire(storage: &dyn Storage, vault: &Vault, peer: &Peer) -> Result<(), RepoError> {
    let record = peer.record.clone().unwrap_or_else(|| ActorRecord::unknown(peer.id));
    let void = vault.seal(ObjectKind::Void, &record)?;
    // In this order: who finds its `active/` gone finds `void/`, too.
    storage.put(&Key::new(name::void(&peer.id))?, &void.bytes)?;
    storage.delete(&Key::new(name::active(&peer.id))?)?;
    storage.delete(&Key::new(name::beat(&peer.id))?)?;
    Ok(())
}
