//! Backups as they really run, and what they do to the storage.

use std::sync::{Arc, Mutex};

use restow::format::{
    ActorRecord, ActorRole, BaseRef, BlockRecord, ChunkRecord, Condemnation, CondemnedRecord,
    IndexRecord, ObjectKind, PackContents, name,
};
use restow::id::BaseId;
use restow::repo::{Identity, Repository};
use restow::storage::{Key, Memory, Storage};

use super::events::{Act, ActorName, BlockTold, Kind, Note, ObjectEvent, Role};
use crate::support::faulty::Call;
use crate::support::hooked::Hooked;

/// An operation as the storage saw it, and the objects that it put or found: names, and bytes where they tell
/// something.
#[derive(Debug, Clone)]
struct Seen {
    call: Call,
    key: Key,
    objects: Vec<(String, Vec<u8>)>,
}

/// Records every operation on a storage, in the order in which they were done.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Seen>>>);

/// Folders whose listings the protocol acts on.
const LISTED: [&str; 5] = [name::VOID, name::ACTIVE, name::CONDEMNED, name::INDEX, name::PACKS];
/// Folders whose objects say what it is about.
const TELLING: [&str; 3] = [name::ACTIVE, name::CONDEMNED, name::INDEX];

impl Recorder {
    /// Passes on to `storage`; `before` hears of each operation before it is done.
    pub fn record(
        &self,
        storage: &Memory,
        before: impl Fn(Call, &Key) + Send + Sync + 'static,
    ) -> Hooked {
        let (seen, there) = (Arc::clone(&self.0), storage.clone());
        let after = move |call, key: &Key| {
            let folder = key.as_str().split('/').next().unwrap();
            let bytes = |key: &Key| match TELLING.contains(&folder) {
                true => there.get(key, 1 << 26).unwrap_or_default(),
                false => Vec::new(),
            };
            let mut objects = Vec::new();
            match call {
                Call::Put => objects.push((key.name().to_owned(), bytes(key))),
                Call::List if LISTED.contains(&folder) => {
                    let mut found = Vec::new();
                    there.list(key, &mut |listed| found.push(listed.key)).unwrap();
                    let read = found.iter().map(|key| (key.name().to_owned(), bytes(key)));
                    objects.extend(read);
                }
                _ => {}
            }
            seen.lock().unwrap().push(Seen { call, key: key.clone(), objects });
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

    /// What the one actor did.
    pub fn trace(&self, repository: &Repository) -> Vec<ObjectEvent> {
        self.traces(repository).into_iter().next().unwrap_or_default()
    }

    /// What each actor did, who came one after the other.
    pub fn traces(&self, repository: &Repository) -> Vec<Vec<ObjectEvent>> {
        let seen = self.0.lock().unwrap();
        let (mut traces, mut actor) = (Vec::new(), None);
        for one in seen.iter() {
            if let Some(begun) = announced(one, repository) {
                traces.push(Vec::new());
                actor = Some(begun);
            }
            let (Some(me), Some(trace)) = (&actor, traces.last_mut()) else { continue };
            let found = event(me, one, repository);
            // What is read before anybody is announced, and after everybody has gone, is nobody's.
            let reads = one.call == Call::List;
            if !(reads && has_gone(me, trace)) {
                trace.extend(found);
            }
        }
        traces
    }
}

fn has_gone(actor: &ActorName, trace: &[ObjectEvent]) -> bool {
    let retires = |event: &ObjectEvent| {
        (event.act, event.kind) == (Act::Delete, Kind::Active) && event.name == actor.name
    };
    trace.iter().any(retires)
}

fn announced(seen: &Seen, repository: &Repository) -> Option<ActorName> {
    let is_put = seen.call == Call::Put && seen.key.as_str().starts_with(name::ACTIVE);
    let (name, bytes) = seen.objects.first().filter(|_| is_put)?;
    Some(actor(name, bytes, repository))
}

fn actor(name: &str, bytes: &[u8], repository: &Repository) -> ActorName {
    let record: ActorRecord = repository.vault().open(ObjectKind::Active, name, bytes).unwrap();
    let role = match record.role {
        ActorRole::Writer => Role::Writer,
        ActorRole::Prune => Role::Prune,
    };
    ActorName { role, name: name.to_owned() }
}

pub fn names(storage: &Memory, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut each = |listed: restow::storage::Listed| found.push(listed.key.name().to_owned());
    storage.list(&Key::new(folder).unwrap(), &mut each).unwrap();
    found
}

fn event(me: &ActorName, seen: &Seen, repository: &Repository) -> Option<ObjectEvent> {
    let act = match seen.call {
        Call::Put => Act::Put,
        Call::Delete => Act::Delete,
        Call::List => Act::List,
        Call::Get | Call::GetRange | Call::Stat => return None,
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
    // A reader that asks how long one pack is: nothing is decided by that.
    if (act, kind) == (Act::List, Kind::Pack) && seen.key.as_str() != name::PACKS {
        return None;
    }
    let named = if act == Act::List { "" } else { seen.key.name() };
    let mut event = ObjectEvent::new(me, act, kind, named);
    if act == Act::List {
        event.found = seen.objects.iter().map(|(name, _)| name.clone()).collect();
    }
    for (name, bytes) in &seen.objects {
        match kind {
            Kind::Index => tell_index(&mut event, name, bytes, repository),
            Kind::Condemned if !bytes.is_empty() => {
                tell_condemned(&mut event, name, bytes, repository);
            }
            Kind::Active if act == Act::List => event.actors.push(actor(name, bytes, repository)),
            _ => {}
        }
    }
    Some(event)
}

fn tell_index(event: &mut ObjectEvent, name: &str, bytes: &[u8], repository: &Repository) {
    // A damaged one is found, and lists nothing.
    let record = repository.vault().open::<IndexRecord>(ObjectKind::Index, name, bytes);
    let Ok(IndexRecord { packs: listed, .. }) = record else { return };
    let packs = listed.iter().map(|pack| pack.id.to_hex());
    match event.act {
        Act::Put => event.packs.extend(packs),
        _ => event.lists.push((name.to_owned(), packs.collect())),
    }
    let told = listed.iter().map(|pack| (pack.id.to_hex(), blocks(&pack.contents)));
    event.contents.extend(told);
}

/// Chunks go by the names that bases go by.
fn blocks(contents: &PackContents) -> Vec<BlockTold> {
    let chunk = |chunk: &ChunkRecord| BaseId::of(&chunk.id).to_hex();
    let base = |base: &BaseRef| contents.bases[base.base as usize].to_hex();
    let told = |block: &BlockRecord| BlockTold {
        chunks: block.chunks.iter().map(chunk).collect(),
        bases: block.bases.iter().map(base).collect(),
        depth: block.depth,
    };
    contents.blocks.iter().map(told).collect()
}

fn tell_condemned(event: &mut ObjectEvent, name: &str, bytes: &[u8], repository: &Repository) {
    let record: CondemnedRecord =
        repository.vault().open(ObjectKind::Condemned, name, bytes).unwrap();
    match record.what {
        Condemnation::Packs(packs) => {
            let packs: Vec<String> = packs.iter().map(|id| id.to_hex()).collect();
            event.packs.extend(packs.iter().cloned());
            event.lists.push((name.to_owned(), packs));
        }
        Condemnation::Waiting { condemned, writers } => {
            let writers = writers.iter().map(|writer| writer.to_hex()).collect();
            event.notes.push(Note { condemned: condemned.to_hex(), writers });
        }
    }
}

pub fn count(trace: &[ObjectEvent], act: Act, kind: Kind) -> usize {
    trace.iter().filter(|event| (event.act, event.kind) == (act, kind)).count()
}

/// An identity whose signs of life follow each other without a pause.
pub fn restless() -> Identity {
    Identity { beat_every: std::time::Duration::from_millis(1), ..crate::support::identity() }
}
