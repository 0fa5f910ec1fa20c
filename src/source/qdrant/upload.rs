//! One collection's snapshot on its way to the server, as often as it takes.

use std::io::Read;
use std::time::Duration;

use super::api::{Api, envelope};
use super::failure::refused;
use super::form::{Delivery, Form, FormError, file_name};
use crate::fault::ErrorKind;
use crate::format::Entry;
use crate::limits::MIB;
use crate::progress::{Event, Observer};
use crate::source::http::{HttpError, Repeat, Unanswered};
use crate::source::{SourceError, Stored};

/// How long a server is listened to that hung up on the first attempt: it may have refused it without being heard.
const LISTENED: Duration = Duration::from_secs(2);

pub(super) struct Task<'t> {
    pub api: &'t Api,
    pub stored: &'t dyn Stored,
    pub observer: &'t dyn Observer,
    pub entry: &'t Entry,
    pub delivery: Delivery<'t>,
    /// Whether a collection of that name must not be there when the server has all bytes.
    pub must_be_missing: bool,
}

/// What ended an attempt.
enum Failure {
    /// The server has not got everything: it did nothing.
    Before(HttpError),
    /// It has, and said no, or nothing.
    After(HttpError),
    Ours(SourceError),
}

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Http(error) => Self::Before(error),
            FormError::Ours(error) => Self::Ours(error),
        }
    }
}

impl Task<'_> {
    /// Uploads it, and again where that may help. What was uploaded is deleted from the server's folder.
    pub fn run(&self) -> Result<(), SourceError> {
        let file = file_name()?;
        let (mut tries, mut reported, mut is_listening) = (0, 0, false);
        loop {
            let failure = match self.attempt(&file, &mut reported, is_listening) {
                Ok(()) => {
                    self.delete(&file);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            let (error, repeat) = match failure {
                Failure::Before(error) => (error, Repeat::Always),
                Failure::After(error) if error.leaves_open() => {
                    return Err(self.may_still_come(error, &file));
                }
                Failure::After(error) => (error, Repeat::Undone),
                Failure::Ours(error) => {
                    self.delete(&file);
                    return Err(error);
                }
            };
            if !error.may_pass(repeat) || tries >= self.api.retries() {
                self.delete(&file);
                return Err(self.api.plain(error));
            }
            is_listening = tries == 0 && error.is_broken();
            self.api.pause(tries, error)?;
            tries += 1;
        }
    }

    fn attempt(&self, file: &str, reported: &mut u64, is_listening: bool) -> Result<(), Failure> {
        let mut form = Form::begin(self.api, &self.delivery, file)?;
        if is_listening {
            form.listen(LISTENED).map_err(Failure::Before)?;
        }
        let path = self.entry.path.display().to_string();
        let mut source = self.stored.open(self.entry).map_err(Failure::Ours)?;
        let mut sent = 0;
        loop {
            let mut piece = Vec::with_capacity(MIB);
            let read = source.by_ref().take(MIB as u64).read_to_end(&mut piece);
            read.map_err(|error| Failure::Ours(SourceError::of_read(&path, error)))?;
            if piece.is_empty() {
                break;
            }
            sent += piece.len() as u64;
            form.write(piece).map_err(Failure::Before)?;
            // What is sent once more is not more.
            let news = sent.saturating_sub(*reported);
            self.observer.on(Event::Bytes(news));
            *reported += news;
        }
        if sent != self.delivery.len {
            let message = format!("{sent} of {} bytes came: not restored", self.delivery.len);
            return Err(Failure::Ours(refused(ErrorKind::Damage, &path, message)));
        }
        if self.must_be_missing {
            self.still_missing().map_err(Failure::Ours)?;
        }
        let answer = form.finish().map_err(|Unanswered { error, was_sent_whole }| {
            if was_sent_whole { Failure::After(error) } else { Failure::Before(error) }
        })?;
        let url = self.url();
        if envelope(&url, &answer).map_err(Failure::Ours)? != serde_json::Value::Bool(true) {
            let message =
                "the server did not take the snapshot in, and does not say why: see its log";
            return Err(Failure::Ours(refused(ErrorKind::Unreachable, &url, message)));
        }
        Ok(())
    }

    /// An upload takes its time: an application may have made the collection meanwhile.
    fn still_missing(&self) -> Result<(), SourceError> {
        match self.api.info(self.delivery.collection)? {
            None => Ok(()),
            Some(_) => {
                let message =
                    "was made by somebody else while its snapshot was uploaded: left as it is";
                Err(refused(ErrorKind::Exists, &self.url(), message))
            }
        }
    }

    fn url(&self) -> String {
        let collection = self.api.collection_url(self.delivery.collection);
        match self.delivery.shard {
            None => collection,
            Some(shard) => format!("{collection}/shards/{shard}"),
        }
    }

    /// The server may be reading the file: it is left to it.
    fn may_still_come(&self, error: HttpError, file: &str) -> SourceError {
        let collection = self.delivery.collection;
        let next = format!(
            "the server has the whole snapshot and may still take it in: look at {collection} before anything \
             else; the uploaded {file} stays in its snapshots"
        );
        match self.api.plain(error) {
            SourceError::Refused { kind, path, message } => {
                SourceError::Refused { kind, path, message: format!("{message}; {next}") }
            }
            other => {
                tracing::warn!("{next}");
                other
            }
        }
    }

    /// The file that was uploaded stays in the server's folder, whether it was of use or not.
    fn delete(&self, file: &str) {
        let collection = self.delivery.collection;
        let deleted = match self.delivery.shard {
            None => self.api.clean_up(collection, file),
            Some(shard) => {
                self.api.undisturbed().delete_shard_snapshot(collection, shard, file).map(|()| true)
            }
        };
        if let Err(error) = deleted {
            tracing::warn!("the uploaded {file} of {collection} stays on the server: {error}");
        }
    }
}
