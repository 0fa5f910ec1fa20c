//! A writer's steps, from its announcement to the commit (docs/PRUNE.md).

use std::collections::HashSet;
use std::sync::Arc;

use crate::format::{ActorRole, Manifest, ObjectKind, name};
use crate::id::{ActorId, SnapshotId};
use crate::storage::Key;
use crate::store::{Encoder, Known, StoreError, StoreReader, StoreWriter, Uploads};

use super::condemned::found_condemned;
use super::snapshots::is_later;
use super::sync::{listed_packs, void_actors};
use super::{Actor, IndexState, RepoError, Repository};

/// A backup in progress: steps 1 to 3 are done, 4 is the caller's, `commit` does 5 to 7.
pub struct WriteSession<'r> {
    repository: &'r Repository,
    /// `None` in a dry run.
    actor: Option<Actor>,
    index: IndexState,
    reader: Arc<StoreReader>,
    encoder: Arc<Encoder>,
    all_usable: bool,
}

impl<'r> WriteSession<'r> {
    /// Announces a writer, then looks: at what is condemned first, at packs and index second, at void
    /// writers last. The order is what makes prune safe beside it.
    pub fn begin(repository: &'r Repository, dry_run: bool) -> Result<Self, RepoError> {
        let (storage, vault) = (repository.storage(), repository.vault());
        let actor = match dry_run {
            true => None,
            false => {
                Some(Actor::announce(storage, vault, ActorRole::Writer, repository.identity())?)
            }
        };
        let condemned = match found_condemned(&**storage, vault) {
            Ok(found) => Some(found.packs),
            Err(error @ RepoError::UnreadableCondemned { .. }) => {
                tracing::warn!("nothing is taken for stored: {error}");
                None
            }
            Err(error) => return Err(error),
        };
        let listed = listed_packs(&**storage)?;
        let index = repository.load_index()?;
        let void = void_actors(&**storage)?;
        let (usable, all_usable) = match &condemned {
            Some(condemned) => index.usable(&listed, condemned, &void),
            // It may be any pack that is about to go.
            None => (HashSet::new(), false),
        };
        let reader = repository.reader(&index);
        let usable = (usable, all_usable);
        let known = Arc::new(Known::new(Arc::clone(&index.index), usable, Arc::clone(&reader)));
        let config = repository.config();
        let (level, depth) = (config.compression, config.delta_depth);
        let encoder = Arc::new(Encoder::new(Arc::clone(vault), known, level, depth));
        Ok(Self { repository, actor, index, reader, encoder, all_usable })
    }

    /// The writer's id; in a dry run one that nobody has.
    pub fn writer_id(&self) -> ActorId {
        self.actor.as_ref().map_or(ActorId::new([0; ActorId::LEN]), Actor::id)
    }

    pub fn encoder(&self) -> &Arc<Encoder> {
        &self.encoder
    }

    /// Reads what the repository held when the session began.
    pub fn reader(&self) -> &Arc<StoreReader> {
        &self.reader
    }

    /// Whether a parent's chunks are hits without look-up: every one was found in this index when the parent
    /// was committed, nothing was forgotten since, and every pack the index knows is there and counts.
    pub fn is_whole(&self, parent: &SnapshotId) -> bool {
        self.all_usable && self.index.index.vouches_for(parent)
    }

    pub fn store_writer(&self) -> StoreWriter {
        let uploads = match &self.actor {
            Some(actor) => {
                let storage = Arc::clone(self.repository.storage());
                Uploads::Real { storage, writer: actor.id() }
            }
            None => Uploads::Dry,
        };
        let target = self.repository.config().pack_target as usize;
        StoreWriter::new(Arc::clone(&self.encoder), uploads, target)
    }

    /// Steps 5 to 7. The writer was finished before: all packs and index objects are durable. The put of
    /// the manifest is the commit, unless somebody took this writer for dead.
    ///
    /// `Ok(None)` in a dry run.
    pub fn commit(mut self, manifest: &Manifest) -> Result<Option<SnapshotId>, RepoError> {
        let Some(actor) = self.actor.take() else { return Ok(None) };
        let storage = self.repository.storage();
        let (id, bytes) = match self.seal(manifest) {
            Ok(sealed) => sealed,
            Err(error) => {
                let _ = actor.retire();
                return Err(error);
            }
        };
        let key = Key::new(name::snapshot(&id))?;
        // On failure the writer stays announced until it expires: the put may yet take effect.
        storage.put(&key, &bytes)?;
        match storage.stat(&key) {
            Ok(listed) if is_later(manifest.time, listed.stored) => tracing::warn!(
                "the clock of this machine is ahead of the storage's: snapshot {} counts as no latest one",
                id.short()
            ),
            _ => {}
        }
        if actor.is_void()? {
            storage.delete(&key)?;
            let writer = actor.id().to_hex();
            // Its sign of life is all that is left of it.
            let _ = actor.retire();
            return Err(RepoError::Expired { writer });
        }
        // The snapshot stands, whatever becomes of the cache.
        let index = &self.index.index;
        if let Err(error) = index.vouch(&id).and_then(|()| index.flush()) {
            tracing::warn!("the index cache was not brought up to date: {error}");
        }
        if let Err(error) = actor.retire() {
            // What is left behind is an actor that will expire. That it was done then is said beside its snapshot.
            tracing::warn!("the finished writer could not be taken off the list: {error}");
            if let Err(error) = self.repository.note_verified(&id) {
                tracing::warn!(
                    "should this writer be declared dead, its snapshot {id} has to be checked: {error}"
                );
            }
        }
        Ok(Some(id))
    }

    /// The manifest as it will be stored: decoded before it is trusted.
    fn seal(&self, manifest: &Manifest) -> Result<(SnapshotId, Vec<u8>), RepoError> {
        let vault = self.repository.vault();
        let object = vault.seal(ObjectKind::Manifest, manifest)?;
        let id = SnapshotId::new(object.name);
        let read: Manifest = vault.open(ObjectKind::Manifest, &id.to_hex(), &object.bytes)?;
        if read != *manifest {
            let (expected, found) = ("the manifest as it was written", "another");
            return Err(StoreError::damaged(id, "manifest", expected, found).into());
        }
        Ok((id, object.bytes))
    }

    /// Ends without a snapshot. What was already stored stays for the next backup to take up.
    pub fn abandon(mut self) {
        if let Some(actor) = self.actor.take()
            && let Err(error) = actor.retire()
        {
            tracing::warn!("the abandoned writer could not be taken off the list: {error}");
        }
    }
}
