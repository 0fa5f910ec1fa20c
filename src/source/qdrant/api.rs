//! The part of Qdrant's REST interface that backups need.

mod points;
mod shards;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::failure::{plain, refused};
use super::options::QdrantOptions;
use super::server::{QdrantServer, is_name};
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::SourceError;
use crate::source::http::{Call, Client, Download, HttpError, Repeat, Upload, escaped};

/// How long a server may be silent that is asked for something last.
const HASTE: Duration = Duration::from_secs(15);

/// A snapshot as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(super) struct Described {
    pub name: String,
    /// UTC, without saying so.
    pub creation_time: Option<String>,
    pub size: u64,
    /// SHA-256 in hexadecimal digits; not every storage of a server has it.
    pub checksum: Option<String>,
}

#[derive(serde::Deserialize)]
struct Collections {
    collections: Vec<Named>,
}

#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

#[derive(serde::Deserialize)]
struct Aliases {
    aliases: Vec<Alias>,
}

#[derive(serde::Deserialize)]
struct Alias {
    alias_name: String,
    collection_name: String,
}

#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    base: String,
    has_key: bool,
    /// How long the server may take to make or to take in a snapshot.
    patience: Duration,
    /// How long it may take to answer at all.
    wait_ready: Option<Duration>,
    /// Whether it was not to be had when something was to be cleaned up.
    is_gone: Arc<AtomicBool>,
}

/// A snapshot that was not made, or of which nobody knows.
pub(super) enum NotCreated {
    Surely(SourceError),
    Perhaps(SourceError),
}

impl Api {
    pub fn new(
        server: &QdrantServer,
        options: &QdrantOptions,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let QdrantOptions { credential, http, patience, wait_ready } = options.clone();
        let has_key = credential.is_some();
        let client = Client::new(http, credential.as_ref(), server.url(), cancel)
            .map_err(|error| plain(error, has_key))?;
        let base = server.url().to_owned();
        Ok(Self { client, base, has_key, patience, wait_ready, is_gone: Arc::default() })
    }

    /// For what must be done though everything else is to stop, and somebody waits for that.
    pub fn undisturbed(&self) -> Self {
        let client = self.client.with_cancel(Cancel::new()).hasty(1, HASTE);
        Self { client, ..self.clone() }
    }

    pub fn url(&self) -> &str {
        &self.base
    }

    pub fn collection_url(&self, collection: &str) -> String {
        format!("{}/collections/{}", self.base, escaped(collection))
    }

    fn snapshots_url(&self, collection: &str) -> String {
        format!("{}/snapshots", self.collection_url(collection))
    }

    /// Waits for a server that has just been started, as long as that is wanted.
    pub fn wait_ready(&self) -> Result<(), SourceError> {
        let Some(most) = self.wait_ready else { return Ok(()) };
        let ready = Call::get(format!("{}/readyz", self.base));
        match self.client.ask_until(&ready, most) {
            // Older ones, and some proxies, do not know the question: they do answer.
            Err(error) if matches!(error.status(), Some(401 | 403 | 404)) => Ok(()),
            Ok(_) => Ok(()),
            Err(error) => {
                let waited = format!("not ready after {} seconds", most.as_secs());
                match self.plain(error) {
                    SourceError::Refused { kind, path, message } => {
                        Err(refused(kind, &path, format!("{waited}: {message}")))
                    }
                    other => Err(other),
                }
            }
        }
    }

    pub fn retries(&self) -> u32 {
        self.client.options.retries
    }

    /// Waits before another try; gives the error back where that would take too long.
    pub fn pause(&self, tries: u32, error: HttpError) -> Result<(), SourceError> {
        self.client.pause(tries, error).map_err(|error| self.plain(error))
    }

    /// The server's version. An old or hidden one is no reason to fail.
    pub fn version(&self) -> Result<Option<String>, SourceError> {
        match self.client.ask(&Call::get(format!("{}/", self.base))) {
            Ok(answer) => {
                let about: Value = serde_json::from_slice(&answer).unwrap_or_default();
                Ok(about.get("version").and_then(Value::as_str).map(str::to_owned))
            }
            Err(error) if error.is_answer() => Ok(None),
            Err(error) => Err(plain(error, self.has_key)),
        }
    }

    /// All collections' names, sorted.
    pub fn collections(&self) -> Result<Vec<String>, SourceError> {
        let result = self.result(&Call::get(format!("{}/collections", self.base)))?;
        let listed: Collections = self.read(&format!("{}/collections", self.base), result)?;
        let mut names: Vec<_> = listed.collections.into_iter().map(|one| one.name).collect();
        names.sort();
        Ok(names)
    }

    /// What the server knows of a collection. `None`: there is no such one.
    pub fn info(&self, collection: &str) -> Result<Option<Value>, SourceError> {
        self.optional(&Call::get(self.collection_url(collection)))
    }

    /// Where a collection's shards are. `None` where the server has no such thing.
    pub fn cluster(&self, collection: &str) -> Result<Option<Value>, SourceError> {
        self.optional(&Call::get(format!("{}/cluster", self.collection_url(collection))))
    }

    /// Aliases and the collections they stand for: of one collection, or all.
    pub fn aliases(&self, of: Option<&str>) -> Result<Vec<(String, String)>, SourceError> {
        let url = match of {
            Some(collection) => format!("{}/aliases", self.collection_url(collection)),
            None => format!("{}/aliases", self.base),
        };
        let listed: Aliases = self.read(&url, self.result(&Call::get(url.clone()))?)?;
        let pair = |one: Alias| (one.alias_name, one.collection_name);
        Ok(listed.aliases.into_iter().map(pair).collect())
    }

    /// Makes `alias` stand for `collection`, in one step where it stood for another.
    pub fn set_alias(&self, alias: &str, collection: &str, moves: bool) -> Result<(), SourceError> {
        let create = json!({"create_alias": {"alias_name": alias, "collection_name": collection}});
        let actions = match moves {
            true => vec![json!({"delete_alias": {"alias_name": alias}}), create],
            false => vec![create],
        };
        let url = format!("{}/collections/aliases", self.base);
        self.result(&Call::post(url, Repeat::Undone).json(&json!({"actions": actions})))?;
        Ok(())
    }

    pub fn snapshots(&self, collection: &str) -> Result<Vec<Described>, SourceError> {
        let call = Call::get(self.snapshots_url(collection));
        let url = self.snapshots_url(collection);
        self.read(&url, self.result(&call)?)
    }

    /// Has the server make a snapshot, and waits for it. Not repeated where it may have been made.
    pub fn create_snapshot(&self, collection: &str) -> Result<Described, NotCreated> {
        let url = self.snapshots_url(collection);
        let call = Call::post(format!("{url}?wait=true"), Repeat::Undone).patience(self.patience);
        let answer = self.client.ask(&call).map_err(|error| match error.leaves_open() {
            true => NotCreated::Perhaps(self.plain(error)),
            false => NotCreated::Surely(self.plain(error)),
        })?;
        let described = envelope(&url, &answer).and_then(|result| self.read(&url, result));
        let described: Described = described.map_err(NotCreated::Perhaps)?;
        match is_name(&described.name) {
            true => Ok(described),
            false => {
                let what = format!("{:?} is no snapshot's name", described.name);
                Err(NotCreated::Perhaps(not_qdrant(&url, &what)))
            }
        }
    }

    /// Deletes a snapshot though everything else is to stop. Where the server was not to be had for it once,
    /// nobody waits for it again.
    pub fn clean_up(&self, collection: &str, name: &str) -> Result<bool, SourceError> {
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(refused(ErrorKind::Unreachable, &self.base, "is not to be had any more"));
        }
        let done = self.undisturbed().delete_snapshot(collection, name);
        if let Err(error) = &done
            && error.kind() == ErrorKind::Unreachable
        {
            self.is_gone.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Whether it was there.
    pub fn delete_snapshot(&self, collection: &str, name: &str) -> Result<bool, SourceError> {
        if !is_name(name) {
            return Err(not_qdrant(
                &self.snapshots_url(collection),
                &format!("{name:?} is no name"),
            ));
        }
        let url = format!("{}/{}?wait=true", self.snapshots_url(collection), escaped(name));
        Ok(self.optional(&Call::delete(url))?.is_some())
    }

    pub fn download(&self, collection: &str, name: &str) -> Result<Download, HttpError> {
        let url = format!("{}/{}", self.snapshots_url(collection), escaped(name));
        Download::begin(&self.client, Call::get(url))
    }

    /// Begins to upload a request body that has a snapshot in it.
    pub fn upload(
        &self,
        collection: &str,
        query: &str,
        len: u64,
        content_type: &str,
    ) -> Result<Upload, HttpError> {
        let url = format!("{}/upload?{query}", self.snapshots_url(collection));
        let call = Call::post(url, Repeat::Undone).patience(self.patience);
        Upload::begin(&self.client, call, len, content_type)
    }

    pub fn sleep(&self, pause: Duration) -> Result<(), SourceError> {
        self.client.sleep(&self.base, pause).map_err(|error| self.plain(error))
    }

    pub fn plain(&self, error: HttpError) -> SourceError {
        plain(error, self.has_key)
    }

    fn optional(&self, call: &Call) -> Result<Option<Value>, SourceError> {
        match self.client.ask(call) {
            Ok(answer) => envelope(call.shown(), &answer).map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(self.plain(error)),
        }
    }

    fn result(&self, call: &Call) -> Result<Value, SourceError> {
        let answer = self.client.ask(call).map_err(|error| self.plain(error))?;
        envelope(call.shown(), &answer)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, url: &str, v: Value) -> Result<T, SourceError> {
        serde_json::from_value(v).map_err(|error| not_qdrant(url, &error.to_string()))
    }
}

/// What is in an answer's envelope.
pub(super) fn envelope(url: &str, answer: &[u8]) -> Result<Value, SourceError> {
    let mut document: Value =
        serde_json::from_slice(answer).map_err(|error| not_qdrant(url, &error.to_string()))?;
    let status = document.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
    match document.get_mut("result").map(Value::take) {
        Some(result) if status == "ok" => Ok(result),
        _ => Err(not_qdrant(url, &format!("the answer's status is {status:?}"))),
    }
}

fn not_qdrant(url: &str, what: &str) -> SourceError {
    let message = format!("does not answer as Qdrant does: {what}; is this its REST port (6333)?");
    refused(ErrorKind::Unreachable, url, message)
}
