//! One entry's bytes, in order, to anything that takes bytes.

mod near;

use std::io::Write;

use crossbeam_channel::Receiver;

use crate::format::{Entry, EntryPath};
use crate::progress::{Cancel, Event, Observer};
use crate::repo::SnapshotView;

use super::OpError;
use super::stream::{Piece, content_of, fetch_all};

/// Writes the verified bytes of the entry at `path`, and gives their number. What is fetched while earlier
/// bytes are written is bounded. Where bytes are lost, all before them were written.
pub fn cat(
    view: &SnapshotView,
    path: &EntryPath,
    out: &mut dyn Write,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<u64, OpError> {
    let Some(entry) = view.entry(path)? else {
        let (snapshot, near) = (view.id.short(), near::names(view, path)?);
        return Err(OpError::NoEntry { snapshot, path: path.clone(), near });
    };
    let content = content_of(&entry)?;
    std::thread::scope(|scope| {
        let (pieces, ready) = crossbeam_channel::bounded::<Piece>(1);
        scope.spawn(|| fetch_all(view, content, pieces, cancel));
        write_all(&entry, ready, out, observer, cancel)
    })
}

fn write_all(
    entry: &Entry,
    ready: Receiver<Piece>,
    out: &mut dyn Write,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<u64, OpError> {
    observer.on(Event::Total { bytes: Some(entry.len()), items: None });
    let mut offset = 0;
    for piece in ready {
        if cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        out.write_all(&piece.bytes).map_err(OpError::Output)?;
        offset += piece.bytes.len() as u64;
        observer.on(Event::Bytes(piece.bytes.len() as u64));
        if let Some(source) = piece.failed {
            let _ = out.flush();
            if source.is_general() {
                return Err(source.into());
            }
            return Err(OpError::LostBytes { path: entry.path.clone(), offset, source });
        }
    }
    if cancel.is_cancelled() {
        return Err(OpError::Interrupted);
    }
    // The fetching thread ended without an error and without the whole stream: it panicked.
    if offset != entry.len() {
        return Err(OpError::Lost);
    }
    out.flush().map_err(OpError::Output)?;
    Ok(offset)
}
