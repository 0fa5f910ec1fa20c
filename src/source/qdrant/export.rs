//! The exporter: what is there, a copy of each made at one time, and what is to be said of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;
use super::copy::ServerCopy;
use super::failure::refused;
use super::section::{Part, QdrantSession};
use super::server::QdrantSource;
use super::{ALIASES, PARAMS, POINTS};
use crate::fault::ErrorKind;
use crate::format::Property;
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
    /// How long to wait for a server that does not answer yet.
    pub wait_ready: Option<Duration>,
}

impl Default for QdrantOptions {
    fn default() -> Self {
        let patience = Duration::from_secs(3600);
        Self { credential: None, http: ClientOptions::default(), patience, wait_ready: None }
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
        Api::new(&self.source.server, &self.options, cancel)
    }
}

impl Exporter for QdrantExporter {
    fn describe(&self) -> Description {
        let server = &self.source.server;
        let names: Vec<_> = self.source.collections.iter().map(|name| in_url(name)).collect();
        let names = names.join(",");
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
        api.wait_ready()?;
        let version = api.version()?;
        let names = self.names(&api)?;
        let aliases = api.aliases(None)?;
        // The server follows one, to a collection whose name the snapshot would not have.
        if let Some((alias, of)) = aliases.iter().find(|(alias, _)| names.contains(alias)) {
            let message = format!("is an alias of collection {of}: name that");
            return Err(refused(ErrorKind::Usage, &api.collection_url(alias), message));
        }
        let known = names
            .iter()
            .map(|name| Known::of(&api, name))
            .collect::<Result<Vec<_>, SourceError>>()?;
        let mut parts = Vec::new();
        for known in known {
            let copy = ServerCopy::make(&api, &known.name)?;
            parts.extend(known.parts(copy, version.as_deref(), &api)?);
        }
        Ok(Box::new(QdrantSession::new(parts, version)))
    }
}

/// As a source's URL has it, and no more escaped than it takes to read it again.
fn in_url(name: &str) -> String {
    let escape = |c: char| match c {
        '%' | ',' | '?' | '#' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    name.chars().map(escape).collect()
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

    /// The two entries of a collection, in no order.
    fn parts(
        self,
        copy: ServerCopy,
        version: Option<&str>,
        api: &Api,
    ) -> Result<[Part; 2], SourceError> {
        let about = json!({
            "collection": self.name,
            "server": {"url": api.url(), "version": version},
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
        let points = self.info.get("points_count").and_then(Value::as_u64);
        properties.extend(points.map(|points| property(POINTS, points.to_string())));
        Ok([Part::info(&self.name, text + "\n")?, Part::snapshot(copy, properties, points)?])
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
