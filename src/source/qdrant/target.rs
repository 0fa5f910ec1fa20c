//! What a server takes in that is no whole collection's snapshot: shards, nodes' parts, points, and the empty
//! collection that they go into.

use std::io::{BufRead, Read};

use serde_json::Value;

use super::api::{Api, envelope};
use super::export::QdrantOptions;
use super::failure::refused;
use super::import::Priority;
use super::logical::{Imported, import};
use super::recreate::{index_bodies, recreate_body, shard_keys};
use super::server::QdrantServer;
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::progress::Cancel;
use crate::source::SourceError;
use crate::source::http::{Upload, escaped};

/// A server, or a node of a cluster.
pub struct QdrantTarget {
    api: Api,
}

/// A snapshot to upload.
pub struct Part<'a> {
    pub bytes: &'a mut dyn Read,
    pub len: u64,
    /// The server checks what arrives.
    pub sha256: Option<&'a str>,
    pub priority: Priority,
}

impl QdrantTarget {
    /// Asks nothing of the server yet.
    pub fn new(
        server: &QdrantServer,
        options: &QdrantOptions,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let QdrantOptions { credential, http, patience } = options;
        let api = Api::new(server, credential.as_ref(), http, *patience, cancel)?;
        Ok(Self { api })
    }

    /// Makes an empty collection like the one of which its server said this: `info` and `cluster` as they stand in
    /// `<collection>.info.json`.
    pub fn create(
        &self,
        collection: &str,
        info: &Value,
        cluster: Option<&Value>,
    ) -> Result<(), SourceError> {
        let body = recreate_body(info);
        if body.get("vectors").is_none() && body.get("sparse_vectors").is_none() {
            let message = "what was recorded of the collection does not say which vectors it has";
            return Err(refused(ErrorKind::Damage, collection, message));
        }
        self.api.create_collection(collection, &body)?;
        for key in cluster.map(shard_keys).unwrap_or_default() {
            self.api.create_shard_key(collection, &key)?;
        }
        // Before there are points: the vectors' index then knows of the fields.
        for index in index_bodies(info) {
            self.api.create_index(collection, &index)?;
        }
        Ok(())
    }

    /// Uploads what this node had of a collection, which is made where it is missing.
    pub fn upload_collection(&self, collection: &str, part: Part<'_>) -> Result<(), SourceError> {
        let api = &self.api;
        let url = api.collection_url(collection);
        send(
            part,
            &url,
            api,
            |query, len, content| api.upload(collection, query, len, content),
            |name| api.undisturbed().delete_snapshot(collection, name),
        )
    }

    /// Uploads a shard of a collection that is there.
    pub fn upload_shard(
        &self,
        collection: &str,
        shard: u64,
        part: Part<'_>,
    ) -> Result<(), SourceError> {
        let api = &self.api;
        let url = format!("{}/shards/{shard}", api.collection_url(collection));
        send(
            part,
            &url,
            api,
            |query, len, content| api.upload_shard(collection, shard, query, len, content),
            |name| api.undisturbed().delete_shard_snapshot(collection, shard, name),
        )
    }

    /// Writes points into a collection that is there, and has them counted where that tells anything: it was empty,
    /// and each came once.
    pub fn import_points(
        &self,
        collection: &str,
        lines: &mut dyn BufRead,
    ) -> Result<Imported, SourceError> {
        let before = self.api.count(collection)?;
        let imported = import(&self.api, collection, lines)?;
        let after = self.api.count(collection)?;
        if before == 0 && imported.is_ordered && after != imported.points {
            let message = format!("{} points were written, it has {after}", imported.points);
            let url = self.api.collection_url(collection);
            return Err(refused(ErrorKind::Unreachable, &url, message));
        }
        Ok(imported)
    }
}

fn send(
    part: Part<'_>,
    url: &str,
    api: &Api,
    begin: impl Fn(&str, u64, &str) -> Result<Upload, crate::source::http::HttpError>,
    delete: impl Fn(&str) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let Part { bytes, len, sha256, priority } = part;
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| refused(ErrorKind::Failed, url, format!("no random bytes: {error}")))?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // A name of its own: nobody else's snapshot is replaced by it, or deleted with it.
    let (file, boundary) = (format!("restow-{hex}.snapshot"), format!("restow-{hex}"));
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"snapshot\"; filename=\"{file}\"\r\nContent-Type: \
         application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let sum = sha256.map(|sum| format!("&checksum={}", escaped(sum))).unwrap_or_default();
    let query = format!("wait=true&priority={}{sum}", name(priority));
    let whole = len.saturating_add((head.len() + tail.len()) as u64);
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let upload = begin(&query, whole, &content_type).map_err(|error| api.plain(error))?;
    let sent = pour(upload, api, url, head, (bytes, len), tail);
    // It may stay in the server's folder, whether it was of use or not.
    if let Err(error) = delete(&file) {
        tracing::warn!("the uploaded {file} may stay on the server: {error}");
    }
    sent
}

fn pour(
    mut upload: Upload,
    api: &Api,
    url: &str,
    head: String,
    (bytes, len): (&mut dyn Read, u64),
    tail: String,
) -> Result<(), SourceError> {
    let plain = |error| api.plain(error);
    upload.write(head.into_bytes()).map_err(plain)?;
    let mut left = len;
    while left > 0 {
        let mut piece = Vec::with_capacity(MIB);
        let count = bytes.take(left.min(MIB as u64)).read_to_end(&mut piece);
        match count.map_err(|error| SourceError::of_read(url, error))? {
            0 => {
                let message = format!("only {} of {len} bytes came: not restored", len - left);
                return Err(refused(ErrorKind::Damage, url, message));
            }
            count => left = left.saturating_sub(count as u64),
        }
        upload.write(piece).map_err(plain)?;
    }
    upload.write(tail.into_bytes()).map_err(plain)?;
    let answer = upload.finish().map_err(plain)?;
    match envelope(url, &answer)? {
        Value::Bool(true) => Ok(()),
        _ => {
            let message = "the server did not take it in, and does not say why: see its log";
            Err(refused(ErrorKind::Unreachable, url, message))
        }
    }
}

fn name(priority: Priority) -> &'static str {
    match priority {
        Priority::Snapshot => "snapshot",
        Priority::Replica => "replica",
        Priority::NoSync => "no_sync",
    }
}
