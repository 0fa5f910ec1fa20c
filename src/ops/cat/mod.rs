//! One entry's bytes, in order, to anything that takes bytes.

mod near;

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use crate::format::{Content, Entry, EntryKind, EntryPath};
use crate::progress::{Cancel, Event, Observer};
use crate::repo::SnapshotView;
use crate::store::{RecipeCursor, StoreError, Want};

use super::OpError;

/// Raw bytes and chunks fetched at once. Three such pieces exist: fetched, waiting, being written.
const PIECE_BYTES: usize = 8 * 1024 * 1024;
const PIECE_WANTS: usize = 4096;

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

fn content_of(entry: &Entry) -> Result<&Content, OpError> {
    let what = match (&entry.content, &entry.kind) {
        (Some(content), _) => return Ok(content),
        (None, EntryKind::Directory) => "a folder".to_owned(),
        (None, EntryKind::Symlink { target }) => {
            format!("a link to {}", String::from_utf8_lossy(target))
        }
        (None, EntryKind::Fifo) => "a fifo".to_owned(),
        (None, EntryKind::Socket) => "a socket".to_owned(),
        (None, EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. }) => "a device".into(),
        (None, EntryKind::File | EntryKind::Stream { .. }) => {
            "an entry that could not be read when the snapshot was taken".to_owned()
        }
    };
    Err(OpError::NoBytes { path: entry.path.clone(), what })
}

/// Consecutive bytes of the stream; with an error those before it.
struct Piece {
    bytes: Vec<u8>,
    failed: Option<StoreError>,
}

/// Ends when the stream does, at the first error, or when nobody takes pieces any more.
fn fetch_all(view: &SnapshotView, content: &Content, pieces: Sender<Piece>, cancel: &Cancel) {
    let mut recipe = view.recipe(content);
    while !cancel.is_cancelled() {
        let (wants, mut failed) = next_wants(&mut recipe);
        if wants.is_empty() && failed.is_none() {
            return;
        }
        let mut piece = fetch_piece(view, &wants);
        // What the recipe's error cuts off lies behind all that was wanted.
        piece.failed = piece.failed.or_else(|| failed.take());
        let last = piece.failed.is_some();
        if pieces.send(piece).is_err() || last {
            return;
        }
    }
}

fn next_wants(recipe: &mut RecipeCursor) -> (Vec<Want<usize>>, Option<StoreError>) {
    let (mut wants, mut bytes) = (Vec::new(), 0);
    while bytes < PIECE_BYTES && wants.len() < PIECE_WANTS {
        match recipe.next_ref() {
            Ok(Some(chunk)) => {
                bytes += chunk.len as usize;
                wants.push(Want { id: chunk.id, len: chunk.len, tag: wants.len() });
            }
            Ok(None) => break,
            Err(error) => return (wants, Some(error)),
        }
    }
    (wants, None)
}

fn fetch_piece(view: &SnapshotView, wants: &[Want<usize>]) -> Piece {
    let mut bytes = vec![0; wants.iter().map(|want| want.len as usize).sum()];
    // Every chunk has its place, so that they may arrive in any order.
    let (mut places, mut rest) = (Vec::with_capacity(wants.len()), bytes.as_mut_slice());
    for want in wants {
        let Some((place, behind)) = rest.split_at_mut_checked(want.len as usize) else { break };
        places.push(Mutex::new(place));
        rest = behind;
    }
    let first_failed: Mutex<Option<(usize, StoreError)>> = Mutex::new(None);
    view.reader().fetch(wants, &|at: usize, result| match result {
        Ok(found) => {
            if let Some(place) = places.get(at) {
                place.lock().unwrap_or_else(PoisonError::into_inner).copy_from_slice(found);
            }
        }
        Err(error) => {
            let mut failed = first_failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.as_ref().is_none_or(|(before, _)| at < *before) {
                *failed = Some((at, error));
            }
        }
    });
    drop(places);
    let failed = first_failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, _)) = &failed {
        bytes.truncate(wants.iter().take(*at).map(|want| want.len as usize).sum());
    }
    Piece { bytes, failed: failed.map(|(_, error)| error) }
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
