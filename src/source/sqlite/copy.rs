//! The pages of one read transaction, in an unlinked temporary file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::fstatvfs;

use super::failure::{failed, refused, unreadable};
use super::header::{self, Header};
use super::reading::Reading;
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::SourceError;
use crate::source::sealed::SealedFile;

/// Pages copied between two looks at whether to stop.
const STEP: i32 = 1024;
/// Neither connection should ever be locked out. If one is: how often it is tried, and for how long.
const GLANCE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Copy {
    /// Has no name any more: it is gone when this is, however that comes about.
    pub file: Arc<SealedFile>,
    pub header: Header,
}

/// Copies what `reading` holds. Its transaction stays as it is from the first page to the last, so a writer
/// never makes the copy start over.
pub(super) fn copy(
    reading: &Reading,
    path: &Path,
    folder: &Path,
    cancel: &Cancel,
) -> Result<Copy, SourceError> {
    let (file, mut to) = destination(folder)?;
    let unreadable = |error: rusqlite::Error| unreadable(path, &error);
    let backup = Backup::new(&reading.connection, &mut to).map_err(unreadable)?;
    // No page yet, but their number.
    backup.step(0).map_err(unreadable)?;
    let page_size = reading
        .connection
        .pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))
        .map_err(unreadable)?;
    let pages = backup.progress().pagecount;
    let needed = u64::try_from(i64::from(pages).saturating_mul(page_size)).unwrap_or(u64::MAX);
    check_space(&file, needed, folder)?;
    tracing::info!("copying {needed} bytes of {} to {}", path.display(), folder.display());
    let mut moved = Instant::now();
    loop {
        if cancel.is_cancelled() {
            return Err(SourceError::Interrupted);
        }
        match backup.step(STEP) {
            Ok(StepResult::Done) => break,
            Ok(StepResult::More) => moved = Instant::now(),
            Ok(_) if moved.elapsed() < PATIENCE => std::thread::sleep(GLANCE),
            Ok(_) => {
                let message = "cannot go on with its copy: somebody has locked it all the same";
                return Err(refused(ErrorKind::Unreachable, path, message));
            }
            Err(error) if super::failure::is_full(&error) => return Err(no_space(folder, needed)),
            Err(error) => return Err(unreadable(error)),
        }
    }
    drop(backup);
    // Errors on closing are errors of writing.
    to.close().map_err(|(_, error)| unreadable(error))?;
    let mut bytes = [0; header::LEN];
    file.read_exact_at(&mut bytes, 0).map_err(failed("read the copy of", path))?;
    let file = Arc::new(SealedFile::new(file).map_err(failed("look at the copy of", path))?);
    let len = file.len();
    let header = Header::read(&bytes).filter(|header| header.len() == len).ok_or_else(|| {
        let message = format!("its copy of {len} bytes is not what its header says");
        refused(ErrorKind::Failed, path, message)
    })?;
    Ok(Copy { file, header })
}

/// A file without a name, and SQLite's connection to it.
fn destination(folder: &Path) -> Result<(File, Connection), SourceError> {
    let named = tempfile::Builder::new()
        .prefix(".restow-sqlite-")
        .tempfile_in(folder)
        .map_err(failed("create a temporary file in", folder))?;
    let (file, name) = named.into_parts();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // A journal would need the name, and protect what nobody needs after a crash.
    let pragmas = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE";
    let opened = Connection::open_with_flags(&name, flags)
        .and_then(|to| to.execute_batch(pragmas).map(|()| to))
        .map_err(|error| unreadable(&name, &error))?;
    name.close().map_err(failed("unlink a temporary file in", folder))?;
    Ok((file, opened))
}

fn check_space(file: &File, needed: u64, folder: &Path) -> Result<(), SourceError> {
    let statistics = fstatvfs(file)
        .map_err(|errno| failed("look at the file system of", folder)(errno.into()))?;
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    if free < needed { Err(no_space(folder, needed)) } else { Ok(()) }
}

fn no_space(folder: &Path, needed: u64) -> SourceError {
    let message = format!(
        "no room for a copy of the database, {needed} bytes: name a larger place with --temp-dir \
         or TMPDIR"
    );
    refused(ErrorKind::Failed, folder, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_before_anything_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile_in(folder.path()).unwrap();
        check_space(&file, 4096, folder.path()).unwrap();
        let error = check_space(&file, u64::MAX, folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains("--temp-dir"), "{error}");
    }

    #[test]
    fn the_copy_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let (_file, connection) = destination(folder.path()).unwrap();
        connection.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
