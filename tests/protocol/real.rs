//! Backups as they really run, and what they do to the storage.

use std::sync::{Arc, Mutex};

use restow::format::{IndexRecord, ObjectKind, name};
use restow::repo::{Identity, Repository};
use restow::storage::{Key, Memory, Storage};

use super::events::{Act, ActorName, Kind, ObjectEvent, Role};
use crate::support::faulty::Call;
use crate::support::hooked::Hooked;

/// An operation as the storage saw it: when a listing ended, what of `void/` was there.
#[derive(Debug, Clone)]
struct Seen {
    call: Call,
    key: Key,
    void: Vec<String>,
}

/// Records every operation on a storage, in the order in which they were done.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl Recorder {
    /// Passes on to `storage`; `before` hears of each operation before it is done.
    pub fn record(
        &self,
        storage: &Memory,
        before: impl Fn(Call, &Key) + Send + Sync + 'static,
    ) -> Hooked {
        let (seen, there) = (Arc::clone(&self.0), storage.clone());
        let after = move |call, key: &Key| {
            let void = if key.as_str().starts_with(name::VOID) {
                names(&there, name::VOID)
            } else {
                Vec::new()
            };
            seen.lock().unwrap().push(Seen { call, key: key.clone(), void });
            Ok(())
        };
        Hooked::around(
            storage.clone(),
            move |call, key| {
                before(call, key);
                Ok(())
            },
            after,
        )
    }

    /// What the one writer did.
    pub fn trace(&self, repository: &Repository) -> Vec<ObjectEvent> {
        let seen = self.0.lock().unwrap();
        let writer = seen.iter().find_map(|seen| {
            let announced = seen.call == Call::Put && seen.key.as_str().starts_with(name::ACTIVE);
            announced.then(|| seen.key.name().to_owned())
        });
        let actor = ActorName { role: Role::Writer, name: writer.unwrap_or_default() };
        seen.iter().filter_map(|seen| event(&actor, seen, repository)).collect()
    }
}

pub fn names(storage: &Memory, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut each = |listed: restow::storage::Listed| found.push(listed.key.name().to_owned());
    storage.list(&Key::new(folder).unwrap(), &mut each).unwrap();
    found
}

fn event(actor: &ActorName, seen: &Seen, repository: &Repository) -> Option<ObjectEvent> {
    let act = match seen.call {
        Call::Put => Act::Put,
        Call::Delete => Act::Delete,
        Call::List => Act::List,
        Call::Get | Call::GetRange => return None,
    };
    let kind = match seen.key.as_str().split('/').next()? {
        name::ACTIVE => Kind::Active,
        name::BEATS => Kind::Beat,
        name::VOID => Kind::Void,
        name::CONDEMNED => Kind::Condemned,
        name::PACKS => Kind::Pack,
        name::INDEX => Kind::Index,
        name::SNAPSHOTS => Kind::Manifest,
        _ => return None,
    };
    let named = if act == Act::List { "" } else { seen.key.name() };
    let packs = match (act, kind) {
        (Act::Put, Kind::Index) => packs_of(repository, &seen.key),
        _ => Vec::new(),
    };
    Some(ObjectEvent {
        packs,
        found: seen.void.clone(),
        ..ObjectEvent::new(actor, act, kind, named)
    })
}

fn packs_of(repository: &Repository, key: &Key) -> Vec<String> {
    let bytes = repository.storage().get(key, 1 << 24).unwrap();
    let record: IndexRecord =
        repository.vault().open(ObjectKind::Index, key.name(), &bytes).unwrap();
    record.packs.iter().map(|pack| pack.id.to_hex()).collect()
}

/// An identity whose signs of life follow each other without a pause.
pub fn restless() -> Identity {
    Identity { beat_every: std::time::Duration::from_millis(1), ..crate::support::identity() }
}
