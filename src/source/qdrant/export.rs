//! The exporter: what is there, a copy of each made at one time, and what is to be said of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;
use super::copy::ServerCopy;
use super::failure::refused;
use super::origin::Kept;
use super::section::{Part, QdrantSession};
use super::server::QdrantSource;
use super::{ALIASES, PARAMS, SHA256};
use crate::fault::ErrorKind;
use crate::format::{EntryKind, Property};
use crate::progress::Cancel;
use crate::source::http::{ClientOptions, Credential};
use crate::source::{Description, Exporter, Session, SourceError};

/// How a server is talked to.
#[derive(Debug, Clone)]
pub struct QdrantOptions {
    pub credential: Option<Credential>,
    pub http: ClientOptions,
    /// How long the server may take to make a snapshot, or to take one in.
    pub patience: Duration,
}

impl Default for QdrantOptions {
    fn default() -> Self {
        let patience = Duration::from_secs(3600);
        Self { credential: None, http: ClientOptions::default(), patience }
    }
}

/// Reads collections of a Qdrant server.
pub struct QdrantExporter {
    source: QdrantSource,
    options: QdrantOptions,
}

impl QdrantExporter {
    /// Asks nothing of the server yet. Without named collections all are backed up.
    pub fn new(mut source: QdrantSource, options: QdrantOptions) -> Self {
        source.collections.sort();
        source.collections.dedup();
        Self { source, options }
    }

    /// The names wanted, which all are there.
    fn names(&self, api: &Api) -> Result<Vec<String>, SourceError> {
        if !self.source.collections.is_empty() {
            return Ok(self.source.collections.clone());
        }
        let names = api.collections()?;
        if names.is_empty() {
            let message = "has no collection: there is nothing to back up";
            return Err(refused(ErrorKind::Unreachable, api.url(), message));
        }
        Ok(names)
    }

    fn api(&self, cancel: &Cancel) -> Result<Api, SourceError> {
        let QdrantOptions { credential, http, patience } = &self.options;
        Api::new(&self.source.server, credential.as_ref(), http, *patience, cancel)
    }
}

impl Exporter for QdrantExporter {
    fn describe(&self) -> Description {
        let server = &self.source.server;
        let names = self.source.collections.join(",");
        let label = match self.source.collections.as_slice() {
            [one] => one.clone(),
            _ => server.host().to_owned(),
        };
        let url = format!("{}/{names}", server.source_url());
        Description { kind: "qdrant".to_owned(), url, label: label.replace(['/', '\0'], "_") }
    }

    /// Looks at everything before anything is made, then makes all copies one after the other: as close to one
    /// moment as a server without transactions comes.
    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let api = self.api(cancel)?;
        let version = api.version()?;
        let names = self.names(&api)?;
        let known = names
            .iter()
            .map(|name| Known::of(&api, name))
            .collect::<Result<Vec<_>, SourceError>>()?;
        let mut parts = Vec::new();
        for known in known {
            let copy = ServerCopy::make(&api, &known.name)?;
            parts.extend(known.parts(copy, version.as_deref(), &api)?);
        }
        let version = version.map(|version| ("server_version".to_owned(), version));
        let properties = version.into_iter().collect();
        Ok(Box::new(QdrantSession::new(parts, "qdrant-snapshot", properties)?))
    }
}

/// What a server says of a collection.
struct Known {
    name: String,
    info: Value,
    cluster: Option<Value>,
    aliases: Vec<String>,
}

impl Known {
    fn of(api: &Api, name: &str) -> Result<Self, SourceError> {
        let url = api.collection_url(name);
        if name.contains(['/', '\0']) {
            let message = "a collection's name has no / in it";
            return Err(refused(ErrorKind::Usage, &url, message));
        }
        let Some(info) = api.info(name)? else { return Err(missing(api, name)) };
        let cluster = api.cluster(name)?;
        let elsewhere = cluster.as_ref().map(shards_elsewhere).unwrap_or_default();
        if !elsewhere.is_empty() {
            let message = format!(
                "shards {elsewhere:?} are on other nodes of its cluster, and a snapshot holds only what is on \
                 the node that makes it: this restow backs up collections that are whole on one node"
            );
            return Err(refused(ErrorKind::Unreachable, &url, message));
        }
        let mut aliases: Vec<_> =
            api.aliases(Some(name))?.into_iter().map(|(alias, _)| alias).collect();
        aliases.sort();
        Ok(Self { name: name.to_owned(), info, cluster, aliases })
    }

    /// The three entries of a collection, in no order.
    fn parts(
        self,
        copy: ServerCopy,
        version: Option<&str>,
        api: &Api,
    ) -> Result<[Part; 3], SourceError> {
        let described = &copy.described;
        let about = json!({
            "collection": self.name,
            "server": {"url": api.url(), "version": version},
            "snapshot": {
                "name": described.name,
                "creation_time": described.creation_time,
                "size": described.size,
                "sha256": described.checksum,
            },
            "aliases": self.aliases,
            "info": self.info,
            "cluster": self.cluster,
        });
        let text = serde_json::to_string_pretty(&about).map_err(|error| {
            refused(ErrorKind::Failed, &api.collection_url(&self.name), error.to_string())
        })?;
        let property = |name: &str, value: String| Property {
            name: name.to_owned(),
            value: value.into_bytes().into(),
        };
        let mut properties = vec![property(ALIASES, json!(self.aliases).to_string())];
        let params = self.info.get("config").and_then(|config| config.get("params"));
        properties.extend(params.map(|params| property(PARAMS, params.to_string())));
        let checksum = described.checksum.clone();
        properties.extend(checksum.map(|checksum| property(SHA256, checksum)));
        let points = self.info.get("points_count").and_then(Value::as_u64);
        let about = Part::about(&self.name, text + "\n")?;
        let kept = Kept::new(copy, points);
        let [snapshot, contents] = Part::snapshot(&self.name, EntryKind::File, properties, kept)?;
        Ok([about, snapshot, contents])
    }
}

/// The error names what there is instead.
fn missing(api: &Api, name: &str) -> SourceError {
    let there = match api.collections() {
        Ok(names) if names.is_empty() => "the server has none".to_owned(),
        Ok(names) => format!("there is {}", names.join(", ")),
        Err(error) => return error,
    };
    let message = format!("no collection {name}; {there}");
    refused(ErrorKind::NotFound, &api.collection_url(name), message)
}

/// Shards of which this node has no whole copy.
fn shards_elsewhere(cluster: &Value) -> Vec<u64> {
    let shards = |key: &str, whole_only: bool| -> Vec<u64> {
        let list = cluster.get(key).and_then(Value::as_array).into_iter().flatten();
        let is_whole = |shard: &&Value| {
            !whole_only
                || shard.get("state").and_then(Value::as_str).is_none_or(|it| it == "Active")
        };
        list.filter(is_whole).filter_map(|shard| shard.get("shard_id")?.as_u64()).collect()
    };
    let local = shards("local_shards", true);
    let mut elsewhere = shards("remote_shards", false);
    elsewhere.retain(|shard| !local.contains(shard));
    elsewhere.sort_unstable();
    elsewhere.dedup();
    elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_elsewhere_where_no_whole_copy_is_here() {
        let cluster = json!({
            "local_shards": [
                {"shard_id": 0, "state": "Active"},
                {"shard_id": 1, "state": "Partial"},
            ],
            "remote_shards": [
                {"shard_id": 0, "state": "Active"},
                {"shard_id": 1, "state": "Active"},
                {"shard_id": 2, "state": "Active"},
            ],
        });
        assert_eq!(shards_elsewhere(&cluster), [1, 2]);
        assert!(shards_elsewhere(&json!({"local_shards": [{"shard_id": 0}]})).is_empty());
    }
}
