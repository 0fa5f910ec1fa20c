//! The part of Qdrant's REST interface that backups need.

mod points;
mod shards;

use std::time::Duration;

use serde_json::{Value, json};

use super::failure::{plain, refused};
use super::server::QdrantServer;
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::SourceError;
use crate::source::http::{
    Call, Client, ClientOptions, Credential, Download, HttpError, Repeat, Upload, escaped,
};

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

#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    base: String,
    has_key: bool,
    /// How long the server may take to make or to take in a snapshot.
    patience: Duration,
}

impl Api {
    pub fn new(
        server: &QdrantServer,
        credential: Option<&Credential>,
        options: &ClientOptions,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let has_key = credential.is_some();
        let client = Client::new(options.clone(), credential, server.url(), cancel)
            .map_err(|error| plain(error, has_key))?;
        Ok(Self { client, base: server.url().to_owned(), has_key, patience })
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

    /// The server's version. An old or hidden one is no reason to fail.
    pub fn version(&self) -> Result<Option<String>, SourceError> {
        match self.client.ask(&Call::get(format!("{}/", self.base))) {
            Ok(answer) => {
                let about: Value = serde_json::from_slice(&answer).unwrap_or_default();
                Ok(about.get("version").and_then(Value::as_str).map(str::to_owned))
            }
            Err(error) if error.status().is_some() => Ok(None),
            Err(error) => Err(plain(error, self.has_key)),
        }
    }

    /// All collections' names, sorted.
    pub fn collections(&self) -> Result<Vec<String>, SourceError> {
        let result = self.result(&Call::get(format!("{}/collections", self.base)))?;
        let list = result.get("collections").and_then(Value::as_array);
        let name = |one: &Value| one.get("name").and_then(Value::as_str).map(str::to_owned);
        let mut names: Vec<_> = list.into_iter().flatten().filter_map(name).collect();
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
        let result = self.result(&Call::get(url))?;
        let list = result.get("aliases").and_then(Value::as_array);
        let pair = |one: &Value| {
            let text = |key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
            Some((text("alias_name")?, text("collection_name")?))
        };
        Ok(list.into_iter().flatten().filter_map(pair).collect())
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
    pub fn create_snapshot(&self, collection: &str) -> Result<Described, SourceError> {
        let url = self.snapshots_url(collection);
        let call = Call::post(format!("{url}?wait=true"), Repeat::Undone).patience(self.patience);
        self.read(&url, self.result(&call)?)
    }

    /// No error where it is gone already.
    pub fn delete_snapshot(&self, collection: &str, name: &str) -> Result<(), SourceError> {
        let url = format!("{}/{}?wait=true", self.snapshots_url(collection), escaped(name));
        self.optional(&Call::delete(url)).map(drop)
    }

    pub fn download(&self, collection: &str, name: &str) -> Result<Download, HttpError> {
        let url = format!("{}/{}", self.snapshots_url(collection), escaped(name));
        Download::begin(&self.client, Call::get(url).patience(self.patience))
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
            Ok(answer) => envelope(&self.base, &answer).map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(self.plain(error)),
        }
    }

    fn result(&self, call: &Call) -> Result<Value, SourceError> {
        let answer = self.client.ask(call).map_err(|error| self.plain(error))?;
        envelope(&self.base, &answer)
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
