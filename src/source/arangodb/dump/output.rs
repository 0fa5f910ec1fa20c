//! Where a dump is written: a folder or an archive that gets its name when it is whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;
use tar::{Builder, Header};
use tempfile::{NamedTempFile, TempDir};

use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::arangodb::failure::{io_failed, refused};

/// Beside the target: renaming is then one step. Dropped unpublished, it is gone again.
pub(super) struct Output {
    target: PathBuf,
    parent: PathBuf,
    form: Form,
}

enum Form {
    Folder(TempDir),
    Archive(Box<Builder<GzEncoder<BufWriter<NamedTempFile>>>>),
}

/// Whether a name asks for an archive instead of a folder.
pub(super) fn is_archive(target: &Path) -> bool {
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

impl Output {
    /// Nothing may be there yet.
    pub fn new(target: &Path) -> Result<Self, SourceError> {
        let target = std::path::absolute(target).map_err(io_failed("find", target))?;
        if target.symlink_metadata().is_ok() {
            return Err(exists(&target));
        }
        let parent = target.parent().unwrap_or(Path::new("/")).to_path_buf();
        std::fs::create_dir_all(&parent).map_err(io_failed("create", &parent))?;
        let mut named = tempfile::Builder::new();
        named.prefix(".restow-export-");
        let failed = || io_failed("create a temporary file in", &parent);
        let form = if is_archive(&target) {
            let file = named.tempfile_in(&parent).map_err(failed())?;
            let to = GzEncoder::new(BufWriter::new(file), Compression::fast());
            Form::Archive(Box::new(Builder::new(to)))
        } else {
            Form::Folder(named.tempdir_in(&parent).map_err(failed())?)
        };
        Ok(Self { target, parent, form })
    }

    pub fn is_archive(&self) -> bool {
        matches!(self.form, Form::Archive(_))
    }

    /// Makes a file, in a folder of the dump if one is said. Where `fill` fails there is none.
    pub fn file<T>(
        &mut self,
        folder: Option<&str>,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        match &mut self.form {
            Form::Folder(root) => {
                let within =
                    folder.map_or_else(|| root.path().to_owned(), |it| root.path().join(it));
                let made = DirBuilder::new().recursive(true).mode(0o700).create(&within);
                made.map_err(io_failed("create", &within))?;
                write_new(&within.join(name), fill)
            }
            // An archive wants to know a file's size before its bytes.
            Form::Archive(builder) => {
                let mut staged = tempfile::tempfile_in(&self.parent)
                    .map_err(io_failed("create a temporary file in", &self.parent))?;
                let done = filled(&staged, &self.target, fill)?;
                let path = folder.map_or_else(|| name.to_owned(), |it| format!("{it}/{name}"));
                let append = |staged: &mut File| {
                    let mut header = Header::new_gnu();
                    header.set_size(staged.metadata()?.len());
                    header.set_mode(0o600);
                    staged.rewind()?;
                    builder.append_data(&mut header, path, staged)
                };
                append(&mut staged).map_err(io_failed("write", &self.target))?;
                Ok(done)
            }
        }
    }

    /// Makes everything durable, then gives it its name.
    pub fn publish(self) -> Result<(), SourceError> {
        let Self { target, parent, form } = self;
        let failed = || io_failed("write", &target);
        match form {
            Form::Folder(folder) => {
                let sync = |path: &Path| -> io::Result<()> {
                    let opened = File::open(path)?;
                    syncfs(&opened)?;
                    opened.sync_all()
                };
                sync(folder.path()).map_err(failed())?;
                rename(folder.path(), &target)?;
                // Renamed: there is nothing left to remove.
                let _ = folder.keep();
            }
            Form::Archive(builder) => {
                let finish = || -> io::Result<NamedTempFile> {
                    let to = builder.into_inner()?.finish()?;
                    to.into_inner().map_err(io::IntoInnerError::into_error)
                };
                let file = finish().map_err(failed())?;
                file.as_file().sync_all().map_err(failed())?;
                rename(file.path(), &target)?;
                let _ = file.into_temp_path().keep();
            }
        }
        let sync = File::open(&parent).and_then(|folder| folder.sync_all());
        sync.map_err(io_failed("sync", &parent))
    }
}

/// In the place of nothing. Some file systems cannot promise that; then it is looked for just before.
fn rename(from: &Path, to: &Path) -> Result<(), SourceError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(exists(to)),
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_ok() => Err(exists(to)),
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::rename(from, to).map_err(io_failed("rename", from))
        }
        Err(errno) => Err(io_failed("rename", from)(errno.into())),
    }
}

fn exists(target: &Path) -> SourceError {
    let message = "exists already: choose another place, or move it away";
    refused(ErrorKind::Exists, &target.display().to_string(), message)
}

fn write_new<T>(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = created.map_err(io_failed("create", path))?;
    let done = filled(&file, path, fill);
    if done.is_err() {
        std::fs::remove_file(path).map_err(io_failed("remove", path))?;
    }
    done
}

fn filled<T>(
    file: &File,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let mut to = BufWriter::new(file);
    let done = fill(&mut to)?;
    to.flush().map_err(io_failed("write", path))?;
    Ok(done)
}
