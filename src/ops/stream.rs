//! The bytes of one entry, fetched ahead of whoever takes them.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use crate::fault::ErrorKind;
use crate::format::{Content, Entry, EntryKind};
use crate::progress::Cancel;
use crate::repo::SnapshotView;
use crate::source::SourceError;
use crate::store::{RecipeCursor, StoreError, Want};

use super::OpError;

/// Raw bytes and chunks fetched at once. Three such pieces exist: fetched, waiting, being written.
const PIECE_BYTES: usize = 8 * 1024 * 1024;
const PIECE_WANTS: usize = 4096;

pub(super) fn content_of(entry: &Entry) -> Result<&Content, OpError> {
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
pub(super) struct Piece {
    pub bytes: Vec<u8>,
    pub failed: Option<StoreError>,
}

/// Ends when the stream does, at the first error, or when nobody takes pieces any more.
pub(super) fn fetch_all(
    view: &SnapshotView,
    content: &Content,
    pieces: Sender<Piece>,
    cancel: &Cancel,
) {
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

/// An entry's verified bytes as a reader.
///
/// Dropped early, it stops what fetches for it and waits until that has stopped: a thread that still asks the index
/// while the process ends meets RocksDB's locks already destroyed, and aborts.
pub(super) struct EntryReader {
    path: String,
    /// Both until it is dropped.
    ready: Option<Receiver<Piece>>,
    fetching: Option<JoinHandle<()>>,
    piece: Vec<u8>,
    /// Bytes of `piece` that were taken.
    taken: usize,
    failed: Option<StoreError>,
    /// Bytes that are still to come.
    left: u64,
    cancel: Cancel,
    /// Of the fetching thread.
    stop: Cancel,
}

impl Drop for EntryReader {
    fn drop(&mut self) {
        self.stop.cancel();
        self.ready = None;
        if let Some(fetching) = self.fetching.take() {
            let _ = fetching.join();
        }
    }
}

impl EntryReader {
    pub fn open(view: &SnapshotView, entry: &Entry, cancel: &Cancel) -> Result<Self, OpError> {
        let content = content_of(entry)?.clone();
        let (pieces, ready) = crossbeam_channel::bounded(1);
        let (view, stop) = (view.clone(), cancel.child());
        let told = stop.clone();
        let fetching = std::thread::Builder::new()
            .name("fetch".into())
            .spawn(move || fetch_all(&view, &content, pieces, &told))
            .map_err(OpError::Output)?;
        let (ready, fetching) = (Some(ready), Some(fetching));
        let path = entry.path.display().to_string();
        let (left, cancel) = (entry.len(), cancel.clone());
        let piece = Vec::new();
        Ok(Self { path, ready, fetching, piece, taken: 0, failed: None, left, cancel, stop })
    }

    fn failure(&self, error: &StoreError) -> SourceError {
        match error.is_general() {
            // Nothing else can be read either.
            true => SourceError::Io {
                action: "read",
                path: self.path.clone(),
                source: io::Error::other(error.to_string()),
            },
            false => SourceError::Refused {
                kind: ErrorKind::Damage,
                path: self.path.clone(),
                message: format!("lost, {} bytes before its end: {error}", self.left),
            },
        }
    }
}

impl Read for EntryReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() && self.left > 0 && !buffer.is_empty() {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other(SourceError::Interrupted));
            }
            if let Some(error) = &self.failed {
                return Err(io::Error::other(self.failure(error)));
            }
            // The fetching thread ended without an error and without the whole stream: it was told to stop,
            // or panicked.
            let Some(Ok(piece)) = self.ready.as_ref().map(Receiver::recv) else {
                let error = match self.cancel.is_cancelled() {
                    true => SourceError::Interrupted,
                    false => SourceError::Refused {
                        kind: ErrorKind::Failed,
                        path: self.path.clone(),
                        message: format!("{} bytes did not come", self.left),
                    },
                };
                return Err(io::Error::other(error));
            };
            (self.piece, self.taken, self.failed) = (piece.bytes, 0, piece.failed);
        }
        let rest = self.piece.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(room), Some(bytes)) = (buffer.get_mut(..count), rest.get(..count)) {
            room.copy_from_slice(bytes);
        }
        self.taken += count;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
