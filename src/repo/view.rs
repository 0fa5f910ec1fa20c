//! One snapshot, opened for reading.

use std::sync::Arc;

use crate::format::{ChunkRef, Content, Entry, EntryPath, Manifest};
use crate::id::SnapshotId;
use crate::store::{CatalogCursor, RecipeCursor, StoreError, StoreReader};

use super::{RepoError, Repository, Snapshot};

/// Sorted iteration and look-up by path over a snapshot's entries, and their streams.
#[derive(Clone)]
pub struct SnapshotView {
    /// The snapshot's id.
    pub id: SnapshotId,
    /// Its record.
    pub manifest: Arc<Manifest>,
    reader: Arc<StoreReader>,
}

impl SnapshotView {
    #[doc(hidden)]
    pub fn new(id: SnapshotId, manifest: Manifest, reader: Arc<StoreReader>) -> Self {
        Self { id, manifest: Arc::new(manifest), reader }
    }

    #[doc(hidden)]
    pub fn reader(&self) -> &Arc<StoreReader> {
        &self.reader
    }

    /// All entries, sorted by path.
    pub fn entries(&self) -> CatalogCursor<'_> {
        CatalogCursor::new(&self.reader, self.manifest.catalog)
    }

    /// The entry at a path.
    pub fn entry(&self, path: &EntryPath) -> Result<Option<Entry>, StoreError> {
        let mut cursor = self.entries();
        cursor.seek(path)?;
        Ok(cursor.next_entry()?.filter(|entry| entry.path == *path))
    }

    /// The references an entry's stream is rebuilt from.
    pub fn recipe(&self, content: &Content) -> RecipeCursor {
        RecipeCursor::new(Arc::clone(&self.reader), content)
    }

    /// Visits every reference of a stream.
    pub fn each_ref(
        &self,
        content: &Content,
        mut each: impl FnMut(ChunkRef) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut recipe = self.recipe(content);
        while let Some(chunk) = recipe.next_ref()? {
            each(chunk)?;
        }
        Ok(())
    }
}

impl Repository {
    /// A snapshot opened for reading, with the index as it is now.
    pub fn view(&self, snapshot: &Snapshot) -> Result<SnapshotView, RepoError> {
        let reader = self.reader(&self.load_index()?);
        Ok(SnapshotView::new(snapshot.id, snapshot.manifest.clone(), reader))
    }
}
