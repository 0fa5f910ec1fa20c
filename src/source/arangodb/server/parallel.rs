//! Dumps as servers from 3.12 on give them: batches of all collections of one state, from several threads.
//!
//! They come in any order, so they are spooled, and read collection by collection afterwards.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use serde_json::json;

use super::allowance::{Allowance, Share};
use super::api::Api;
use super::batch::{ANSWER_MAX, DUMP_TYPE, EMPTY_MOST};
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::source::SourceError;
use crate::source::arangodb::Collector;
use crate::source::arangodb::failure::{refused, temporary};
use crate::source::http::{Call, Repeat, Trouble, escaped};

/// Bytes that a batch aims at.
const BATCH: usize = 4 * MIB;
/// Bytes that a batch may have beside others. A longer one, for a document that is longer itself, is asked for again
/// when no other is in memory.
const BATCH_MOST: usize = 16 * MIB;
/// Bytes of all batches in memory at once.
const IN_FLIGHT: usize = 64 * MIB;
const DOCUMENTS_PER_BATCH: u32 = 10_000;

/// A dump under way at the server, until this is dropped.
pub(super) struct Context<'a> {
    api: &'a Api,
    database: &'a str,
    id: String,
}

/// What belongs to one collection.
struct Piece {
    collection: String,
    lines: Vec<u8>,
    share: Share,
}

impl<'a> Context<'a> {
    /// `None` where the server cannot do this.
    pub fn start(
        api: &'a Api,
        database: &'a str,
        collections: &[String],
        workers: usize,
        ttl: Duration,
    ) -> Result<Option<Self>, SourceError> {
        let url = api.url(database, "/_api/dump/start");
        let call = Call::post(url.clone(), Repeat::Undone).json(&json!({
            "batchSize": BATCH,
            "prefetchCount": workers,
            "parallelism": workers,
            "docsPerBatch": DOCUMENTS_PER_BATCH,
            "ttl": ttl.as_secs(),
            "shards": collections,
        }));
        let answer = match api.exchange(call, MIB) {
            Ok(answer) => answer,
            Err(error) if is_unknown(&error) => return Ok(None),
            Err(error) => return Err(api.plain(error)),
        };
        match answer.header("x-arango-dump-id") {
            Some(id) => Ok(Some(Self { api, database, id: id.to_owned() })),
            None => Err(api.not_arango(&url, "a dump has no id")),
        }
    }

    /// The batch of this number. The server keeps it until another is asked for with `last`, so it may be asked for again.
    fn next(
        &self,
        api: &Api,
        number: u64,
        last: Option<u64>,
        allowance: &Arc<Allowance>,
    ) -> Result<Option<Piece>, SourceError> {
        let last = last.map(|last| format!("&lastBatch={last}")).unwrap_or_default();
        let path = format!("/_api/dump/next/{}?batchId={number}{last}", escaped(&self.id));
        let url = api.url(self.database, &path);
        let call = Call::post(url.clone(), Repeat::Always).accept(DUMP_TYPE);
        let mut share = allowance.take(BATCH_MOST)?;
        let mut asked = api.exchange(call.clone(), BATCH_MOST);
        if asked.as_ref().is_err_and(|error| matches!(error.trouble, Trouble::Unexpected(_))) {
            drop(share);
            share = allowance.take(IN_FLIGHT)?;
            asked = api.exchange(call, ANSWER_MAX);
        }
        let answer = asked.map_err(|error| api.plain(error))?;
        share.shrink(answer.body.len());
        if answer.status == 204 {
            return Ok(None);
        }
        let shown = api.shown(self.database, "");
        if !answer.is_framed() {
            let message = "its dump does not say how long it is, so that nobody could tell whether all of it came";
            return Err(refused(ErrorKind::Unreachable, &shown, message));
        }
        match answer.header("x-arango-dump-shard-id") {
            Some(shard) => {
                Ok(Some(Piece { collection: shard.to_owned(), lines: answer.body, share }))
            }
            None => {
                Err(api.not_arango(&url, "a batch of documents does not say of which collection"))
            }
        }
    }
}

impl Context<'_> {
    /// One batch after the other, each of a number that nobody else asks for.
    fn read(
        &self,
        api: &Api,
        number: &AtomicU64,
        allowance: &Arc<Allowance>,
        sender: &Sender<Result<Piece, SourceError>>,
    ) {
        let mut last = None;
        loop {
            let mine = number.fetch_add(1, Ordering::Relaxed);
            let piece = match self.next(api, mine, last, allowance) {
                Ok(None) => return,
                Ok(Some(piece)) => Ok(piece),
                Err(error) => Err(error),
            };
            let has_failed = piece.is_err();
            if sender.send(piece).is_err() || has_failed {
                return;
            }
            last = Some(mine);
        }
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        let path = format!("/_api/dump/{}", escaped(&self.id));
        let call = Call::delete(self.api.url(self.database, &path));
        if let Err(error) = self.api.undisturbed().optional_done(call) {
            let database = self.database;
            tracing::warn!(
                "the server holds a dump of {database} for us until it runs out: {error}"
            );
        }
    }
}

/// The documents of a database, as they came.
pub(super) struct Spool {
    file: File,
    folder: PathBuf,
    len: u64,
    pieces: HashMap<String, Vec<CodedPiece>>,
    /// Batches without documents, one after the other.
    empty: u32,
}

/// Where a piece lies, compressed, and its bytes.
#[derive(Clone, Copy)]
struct CodedPiece {
    at: u64,
    len: usize,
    raw: usize,
}

impl Spool {
    /// Reads all of `collections`.
    pub fn fill(
        context: Context<'_>,
        collections: &[String],
        workers: usize,
        folder: PathBuf,
    ) -> Result<Self, SourceError> {
        let file = tempfile::tempfile_in(&folder).map_err(temporary(&folder))?;
        let pieces = collections.iter().map(|name| (name.clone(), Vec::new())).collect();
        let mut spool = Self { file, folder, len: 0, pieces, empty: 0 };
        let (api, stop) = context.api.stoppable();
        let shown = api.shown(context.database, "");
        let (number, allowance) = (AtomicU64::new(0), Arc::new(Allowance::new(IN_FLIGHT)));
        let workers = workers.max(1);
        std::thread::scope(|scope| {
            let (sender, pieces) = crossbeam_channel::bounded(workers);
            let (context, api, number, allowance) = (&context, &api, &number, &allowance);
            for _ in 0..workers {
                let sender = sender.clone();
                scope.spawn(move || context.read(api, number, allowance, &sender));
            }
            drop(sender);
            let taken = pieces.into_iter().try_for_each(|piece| spool.push(&shown, piece?));
            // The others need not read on for a dump that cannot be kept.
            if taken.is_err() {
                stop.cancel();
                allowance.close();
            }
            taken
        })?;
        Ok(spool)
    }

    fn push(&mut self, shown: &str, piece: Piece) -> Result<(), SourceError> {
        let Some(places) = self.pieces.get_mut(&piece.collection) else {
            let message =
                format!("sends documents of {}, which nobody asked for", piece.collection);
            return Err(refused(ErrorKind::Unreachable, shown, message));
        };
        self.empty = if piece.lines.is_empty() { self.empty + 1 } else { 0 };
        if self.empty > EMPTY_MOST {
            let message = "its dump goes on and on, and holds no documents; nothing of it is kept";
            return Err(refused(ErrorKind::Unreachable, shown, message));
        }
        if piece.lines.is_empty() {
            return Ok(());
        }
        let failed = temporary(&self.folder);
        let coded = zstd::bulk::compress(&piece.lines, 1).map_err(&failed)?;
        self.file.write_all(&coded).map_err(&failed)?;
        places.push(CodedPiece { at: self.len, len: coded.len(), raw: piece.lines.len() });
        self.len += coded.len() as u64;
        drop(piece.share);
        Ok(())
    }

    /// All documents of a collection, once.
    pub fn collect(&mut self, name: &str, into: &mut Collector) -> Result<(), SourceError> {
        let failed = temporary(&self.folder);
        for place in self.pieces.remove(name).unwrap_or_default() {
            let mut coded = vec![0; place.len];
            self.file.read_exact_at(&mut coded, place.at).map_err(&failed)?;
            let lines = zstd::bulk::decompress(&coded, place.raw).map_err(&failed)?;
            drop(coded);
            into.read(lines.as_slice())?;
        }
        Ok(())
    }
}

/// Whether a server does not know what it was asked for.
fn is_unknown(error: &crate::source::http::HttpError) -> bool {
    matches!(error.status(), Some(404 | 405 | 501))
}
