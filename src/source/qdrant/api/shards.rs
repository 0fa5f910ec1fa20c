//! Shards, and what it takes to make a collection anew.

use serde_json::{Value, json};

use super::Api;
use crate::source::SourceError;
use crate::source::http::{Call, Download, HttpError, Repeat, Upload, escaped};

impl Api {
    fn shard_url(&self, collection: &str, shard: u64) -> String {
        format!("{}/shards/{shard}", self.collection_url(collection))
    }

    /// The peers of the server's cluster, with the addresses under which they talk among themselves. `None` where
    /// the server has no such thing.
    pub fn peers(&self) -> Result<Option<Value>, SourceError> {
        self.optional(&Call::get(format!("{}/cluster", self.base)))
    }

    /// A snapshot of a shard as it is made: the server keeps nothing, and does not say how long it will be.
    pub fn shard_stream(&self, collection: &str, shard: u64) -> Result<Download, HttpError> {
        let url = format!("{}/snapshot", self.shard_url(collection, shard));
        Download::begin(&self.client, Call::get(url).patience(self.patience))
    }

    /// Begins to upload a request body that has a shard's snapshot in it.
    pub fn upload_shard(
        &self,
        collection: &str,
        shard: u64,
        query: &str,
        len: u64,
        content_type: &str,
    ) -> Result<Upload, HttpError> {
        let url = format!("{}/snapshots/upload?{query}", self.shard_url(collection, shard));
        let call = Call::post(url, Repeat::Undone).patience(self.patience);
        Upload::begin(&self.client, call, len, content_type)
    }

    /// No error where it is gone already.
    pub fn delete_shard_snapshot(
        &self,
        collection: &str,
        shard: u64,
        name: &str,
    ) -> Result<(), SourceError> {
        let url = self.shard_url(collection, shard);
        let url = format!("{url}/snapshots/{}?wait=true", escaped(name));
        self.optional(&Call::delete(url)).map(drop)
    }

    /// Makes a collection. Not repeated where it may have been made.
    pub fn create_collection(&self, collection: &str, body: &Value) -> Result<(), SourceError> {
        let call = Call::put(self.collection_url(collection)).repeat(Repeat::Undone);
        self.result(&call.patience(self.patience).json(body)).map(drop)
    }

    pub fn create_shard_key(&self, collection: &str, key: &Value) -> Result<(), SourceError> {
        let url = format!("{}/shards", self.collection_url(collection));
        let call = Call::put(url).repeat(Repeat::Undone).patience(self.patience);
        self.result(&call.json(&json!({"shard_key": key}))).map(drop)
    }

    /// Makes an index on a field of payloads, and waits for it. One that is there already stays.
    pub fn create_index(&self, collection: &str, body: &Value) -> Result<(), SourceError> {
        let url = format!("{}/index?wait=true", self.collection_url(collection));
        let call = Call::put(url).patience(self.patience);
        self.result(&call.json(body)).map(drop)
    }
}
