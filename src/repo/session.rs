//! A writer's steps, from its announcement to the commit (design section 8).

use std::sync::Arc;

use crate::format::{ActorRole, Manifest, ObjectKind, name};
use crate::id::{ActorId, SnapshotId};
use crate::storage::Key;
use crate::store::{Encoder, Known, StoreReader, StoreWriter, Uploads};

use super::sync::{condemned_packs, listed_packs, void_actors};
use super::{Actor, IndexState, RepoError, Repository};

/// A backup in progress: steps 1 to 3 are done, 4 is the caller's, `commit` does 5 to 7.
pub struct WriteSession<'r> {
    repository: &'r Repository,
    /// `None` in a dry run.
    actor: Option<Actor>,
    index: IndexState,
    reader: Arc<StoreReader>,
    encoder: Arc<Encoder>,
    parents_are_whole: bool,
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
        let condemned = condemned_packs(&**storage, vault)?;
        let listed = listed_packs(&**storage)?;
        let index = repository.load_index()?;
        let void = void_actors(&**storage)?;
        let usable = index.usable(&listed, &condemned, &void);
        let parents_are_whole = condemned.is_empty()
            && index.unreadable.is_empty()
            && index.packs().keys().all(|pack| listed.contains(pack));
        let encoder = Arc::new(Encoder {
            vault: Arc::clone(vault),
            known: Arc::new(Known::new(Arc::clone(&index.index), usable)),
            level: repository.config().compression,
        });
        let reader = repository.reader(&index);
        Ok(Self { repository, actor, index, reader, encoder, parents_are_whole })
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

    /// Whether a parent's chunks are hits without look-up: nothing was condemned before the parent was
    /// listed, and no pack that the index knows is missing.
    pub fn parents_are_whole(&self) -> bool {
        self.parents_are_whole
    }

    pub fn index(&self) -> &IndexState {
        &self.index
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
        self.index.index.flush()?;
        let object = self.repository.vault().seal(ObjectKind::Manifest, manifest)?;
        // Decoded before it is trusted.
        let id = SnapshotId::new(object.name);
        let read: Manifest =
            self.repository.vault().open(ObjectKind::Manifest, &id.to_hex(), &object.bytes)?;
        if read != *manifest {
            return Err(RepoError::Usage(format!("manifest {id} does not read back as written")));
        }
        let key = Key::new(name::snapshot(&id))?;
        storage.put(&key, &object.bytes)?;
        if actor.is_void()? {
            storage.delete(&key)?;
            return Err(RepoError::Expired { writer: actor.id().to_hex() });
        }
        if let Err(error) = actor.retire() {
            // The snapshot stands; what is left behind is an actor that will expire.
            tracing::warn!("the finished writer could not be taken off the list: {error}");
        }
        Ok(Some(id))
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
