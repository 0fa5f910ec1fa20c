//! What needs a snapshot's content: restores, exports, single entries, and what the snapshot never had.

use std::io::Write;
use std::path::Path;

use crate::format::EntryPath;
use crate::id::SnapshotId;
use crate::ops::{
    ExportOptions, ExportReport, Gaps, OpError, RestoreOptions, RestorePlan, RestoreReport,
    Selection, cat, export, gaps, gaps_in, load, plan_load, plan_restore, restore,
};
#[cfg(feature = "servers")]
use crate::ops::{ExportedSnapshot, QdrantExportOptions, export_arangodump, export_qdrant};
use crate::repo::{Repository, Snapshot, SnapshotView};
use crate::source::{Importer, Loader};

use super::targets::Planned;
use super::{Overwrite, SnapshotManager};

/// A snapshot whose content is wanted: by its id, as it was listed, or opened by [`SnapshotManager::view`]. Several
/// operations on one snapshot are cheaper with the opened one: the index is loaded once.
pub trait Viewable: sealed::View {}

impl<T: sealed::View> Viewable for T {}

mod sealed {
    use crate::ops::OpError;
    use crate::repo::{Repository, SnapshotView};

    pub trait View {
        fn view(&self, repository: &Repository) -> Result<SnapshotView, OpError>;
    }
}

impl sealed::View for SnapshotId {
    fn view(&self, repository: &Repository) -> Result<SnapshotView, OpError> {
        Ok(repository.view(&repository.snapshot(self)?)?)
    }
}

impl sealed::View for Snapshot {
    fn view(&self, repository: &Repository) -> Result<SnapshotView, OpError> {
        // A listing leaves the problems out.
        match self.manifest.problem_count > 0 && self.manifest.problems.is_empty() {
            true => self.id.view(repository),
            false => Ok(repository.view(self)?),
        }
    }
}

impl sealed::View for SnapshotView {
    fn view(&self, _: &Repository) -> Result<SnapshotView, OpError> {
        Ok(self.clone())
    }
}

impl SnapshotManager {
    /// A snapshot opened for reading: its entries by path and in order, and their bytes.
    pub fn view(&self, of: &impl Viewable) -> Result<SnapshotView, OpError> {
        of.view(&self.repository)
    }

    /// What a backup could not read of the selected entries: the snapshot lacks it.
    pub fn gaps(&self, of: &impl Viewable, selection: &Selection) -> Result<Gaps, OpError> {
        gaps(&self.view(of)?, selection)
    }

    /// The same of the one entry at `path`.
    pub fn gaps_in(&self, of: &impl Viewable, path: &EntryPath) -> Result<Gaps, OpError> {
        Ok(gaps_in(&self.view(of)?, path))
    }

    /// What a restore into the folder `target` would do. Changes nothing. Of several sources each goes into a
    /// folder of its own below it.
    pub fn plan_restore(
        &self,
        of: &impl Viewable,
        target: impl AsRef<Path>,
    ) -> Result<RestorePlan, OpError> {
        let planned = Planned::new(&self.view(of)?, target.as_ref(), false, &self.cancel)?;
        Ok(planned.plan)
    }

    /// Restores a snapshot into the folder `target`. Nothing is replaced that was not confirmed:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let source = tempfile::tempdir()?;
    /// # std::fs::write(source.path().join("notes.txt"), "old")?;
    /// # let exporter = FolderExporter::new(source.path(), FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// std::fs::write(source.path().join("notes.txt"), "something else")?;
    /// assert!(manager.restore(&id, source.path(), Overwrite::Refuse).is_err());
    ///
    /// let plan = manager.plan_restore(&id, source.path())?;
    /// for (path, what) in &plan.replacements {
    ///     println!("{} replaces {what}", path.display());
    /// }
    /// manager.restore(&id, source.path(), Overwrite::Confirmed(Confirmed::of(&plan)))?;
    /// assert_eq!(std::fs::read(source.path().join("notes.txt"))?, b"old");
    /// # Ok(())
    /// # }
    /// ```
    pub fn restore(
        &self,
        of: &impl Viewable,
        target: impl AsRef<Path>,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        let (view, replace) = (self.view(of)?, overwrite.allows_any());
        let planned = Planned::new(&view, target.as_ref(), replace, &self.cancel)?;
        overwrite.check(&planned.plan)?;
        planned.restore(&view, &*self.observer, &self.cancel)
    }

    /// Restores a snapshot, or a part of it, through any importer. It is asked first what it would replace.
    pub fn restore_into(
        &self,
        of: &impl Viewable,
        mut importer: Box<dyn Importer>,
        options: &RestoreOptions,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        let view = self.view(of)?;
        overwrite.check(&plan_restore(&view, &mut *importer, options, &self.cancel)?)?;
        restore(&view, importer, options, &*self.observer, &self.cancel)
    }

    /// What a restore into a server would do. Changes nothing.
    pub fn plan_load(
        &self,
        of: &impl Viewable,
        loader: &mut dyn Loader,
        options: &RestoreOptions,
    ) -> Result<RestorePlan, OpError> {
        plan_load(&self.view(of)?, loader, options, &self.cancel)
    }

    /// Restores a snapshot, or a part of it, into a server. It is asked first what it would replace.
    pub fn load(
        &self,
        of: &impl Viewable,
        mut loader: Box<dyn Loader>,
        options: &RestoreOptions,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        let view = self.view(of)?;
        overwrite.check(&plan_load(&view, &mut *loader, options, &self.cancel)?)?;
        let may_replace = overwrite.allows_any();
        load(&view, loader, options, may_replace, &*self.observer, &self.cancel)
    }

    /// Writes the bytes of the entry at `path`, and gives their number.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// let mut bytes = Vec::new();
    /// manager.cat(&id, "mod.rs", &mut bytes)?;
    /// assert_eq!(bytes, std::fs::read("src/chunk/mod.rs")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cat(
        &self,
        of: &impl Viewable,
        path: impl AsRef<[u8]>,
        out: &mut dyn Write,
    ) -> Result<u64, OpError> {
        let wrong = |error: crate::format::BadPath| OpError::Usage(error.to_string());
        let path = EntryPath::new(path.as_ref()).map_err(wrong)?;
        cat(&self.view(of)?, &path, out, &*self.observer, &self.cancel)
    }

    /// Writes a snapshot as plain files with a description, for those who have no restow.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// # let folder = tempfile::tempdir()?;
    /// let to = folder.path().join("handover");
    /// manager.export(&id, &to, &ExportOptions::default())?;
    /// assert!(to.join("manifest.json").exists());
    /// assert_eq!(std::fs::read(to.join("files/mod.rs"))?, std::fs::read("src/chunk/mod.rs")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(
        &self,
        of: &impl Viewable,
        to: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<ExportReport, OpError> {
        export(&self.view(of)?, to.as_ref(), options, &*self.observer, &self.cancel)
    }

    /// Writes the ArangoDB databases in a snapshot, or a part of them, as arangorestore reads them: into a new
    /// folder, or an archive where `to` ends with `.tar.gz` or `.tgz`.
    #[cfg(feature = "servers")]
    pub fn export_arangodump(
        &self,
        of: &impl Viewable,
        to: impl AsRef<Path>,
        selection: &Selection,
    ) -> Result<ExportReport, OpError> {
        let view = self.view(of)?;
        export_arangodump(&view, to.as_ref(), selection, &*self.observer, &self.cancel)
    }

    /// Writes the Qdrant collections in a snapshot, or a part of them, as the snapshot files that their server made,
    /// into the folder `to`.
    #[cfg(feature = "servers")]
    pub fn export_qdrant(
        &self,
        of: &impl Viewable,
        to: impl AsRef<Path>,
        options: &QdrantExportOptions,
    ) -> Result<Vec<ExportedSnapshot>, OpError> {
        export_qdrant(&self.view(of)?, to.as_ref(), options, &*self.observer, &self.cancel)
    }
}
