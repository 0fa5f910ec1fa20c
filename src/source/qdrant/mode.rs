//! The ways to read a collection, and the entries that come of each.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::Api;
use super::copy::ServerCopy;
use super::failure::refused;
use super::known::Known;
use super::layout::{Layout, in_words, missing, whole_copies};
use super::logical::Points;
use super::origin::Kept;
use super::server::QdrantServer;
use super::session::Part;
use super::shards::ShardStream;
use super::{
    COLLECTION, PEER, PEER_SNAPSHOT, POINTS, SHARD, SHARD_KEY, SHARD_SNAPSHOT, SHARDS, property,
};
use crate::fault::ErrorKind;
use crate::format::EntryKind;
use crate::source::SourceError;

/// How a collection is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As the server's own snapshot: one state of each collection; the server needs room for a copy
    #[default]
    Snapshot,
    /// As a stream of each shard: the server needs no room; each shard is of another moment
    Stream,
    /// As points, a line of JSON each: no consistent state, but any server takes them and people can read them
    Logical,
}

/// What is read, and how.
#[derive(Debug, Clone, Default)]
pub struct QdrantBackup {
    pub mode: Mode,
    /// The other nodes of the server's cluster. A node's snapshot holds only the shards it has, and no node tells
    /// where the others' REST interfaces are.
    pub nodes: Vec<QdrantServer>,
}

impl Mode {
    /// Of which kind a snapshot read this way is.
    pub(super) fn consistency(self) -> &'static str {
        match self {
            Self::Snapshot => "qdrant-snapshot",
            Self::Stream => "qdrant-shard-streams",
            Self::Logical => "none",
        }
    }
}

/// A node, and what it says of a collection.
struct Node<'a> {
    api: &'a Api,
    said: Value,
    layout: Layout,
}

/// A collection of which all is there that is to be read.
pub(super) struct Found<'a> {
    known: Known,
    nodes: Vec<Node<'a>>,
    mode: Mode,
    /// The first one's.
    version: Option<&'a str>,
    /// Whether each node's snapshot is an entry of its own.
    is_of_nodes: bool,
}

impl<'a> Found<'a> {
    /// Refuses a collection some of whose shards cannot be had. Makes nothing yet.
    pub fn new(
        known: Known,
        apis: &'a [Api],
        mode: Mode,
        version: Option<&'a str>,
    ) -> Result<Self, SourceError> {
        let mut nodes: Vec<Node<'a>> = Vec::new();
        for (at, api) in apis.iter().enumerate() {
            let url = api.collection_url(&known.name);
            let said = match at {
                0 => known.cluster.clone(),
                _ => api.cluster(&known.name)?,
            };
            let Some(said) = said.or_else(|| (at == 0).then_some(Value::Null)) else {
                let message = "this node does not know the collection: is it of the same cluster?";
                return Err(refused(ErrorKind::Unreachable, &url, message));
            };
            let layout = Layout::of(&said);
            if apis.len() > 1 && layout.peer.is_none() {
                let message = "does not say which peer of its cluster it is";
                return Err(refused(ErrorKind::Unreachable, &url, message));
            }
            if nodes.iter().any(|node| node.layout.peer == layout.peer) {
                tracing::warn!("{} is a node that was named before: passed over", api.url());
                continue;
            }
            nodes.push(Node { api, said, layout });
        }
        let found = Self { known, nodes, mode, version, is_of_nodes: apis.len() > 1 };
        // A node asks the others for points that it does not have.
        if mode != Mode::Logical {
            found.check_whole()?;
        }
        Ok(found)
    }

    fn layouts(&self) -> Vec<&Layout> {
        self.nodes.iter().map(|node| &node.layout).collect()
    }

    fn first(&self) -> Result<&Node<'a>, SourceError> {
        let none = || refused(ErrorKind::Failed, &self.known.name, "no node was named");
        self.nodes.first().ok_or_else(none)
    }

    fn check_whole(&self) -> Result<(), SourceError> {
        let layouts = self.layouts();
        let missing = missing(&layouts);
        let api = self.first()?.api;
        let url = api.collection_url(&self.known.name);
        if !missing.is_empty() {
            let peers = api.peers()?;
            let ids: Vec<_> = missing.keys().collect();
            let message = format!(
                "shards {ids:?} are on other nodes of its cluster, or not whole: {}. A node gives only what is \
                 on it: name the nodes that have them with --qdrant-node URL, or wait until they are whole",
                in_words(&missing, peers.as_ref())
            );
            return Err(refused(ErrorKind::Unreachable, &url, message));
        }
        if self.mode == Mode::Stream && whole_copies(&layouts).is_empty() {
            let message = "the server does not say which shards it has: use --qdrant-mode snapshot";
            return Err(refused(ErrorKind::Unreachable, &url, message));
        }
        Ok(())
    }

    /// The entries, in no order. Has the server make what is to be read.
    pub fn parts(self) -> Result<Vec<Part>, SourceError> {
        match (self.mode, self.is_of_nodes) {
            (Mode::Snapshot, false) => self.snapshot(),
            (Mode::Snapshot, true) => self.snapshots_of_nodes(),
            (Mode::Stream, _) => self.streams(),
            (Mode::Logical, _) => self.points(),
        }
    }

    fn snapshot(self) -> Result<Vec<Part>, SourceError> {
        let node = self.first()?;
        let copy = ServerCopy::make(node.api, &self.known.name)?;
        let about = self.about()?;
        let properties = self.known.properties();
        let kept = Kept::new(copy, self.known.points());
        let entries = Part::snapshot(&self.known.name, EntryKind::File, properties, kept)?;
        Ok([about].into_iter().chain(entries).collect())
    }

    /// `<collection>@<peer>.snapshot` of each node that has a part of it.
    fn snapshots_of_nodes(self) -> Result<Vec<Part>, SourceError> {
        let name = &self.known.name;
        let mut parts = Vec::new();
        for node in &self.nodes {
            let Some(peer) = node.layout.peer.filter(|_| !node.layout.local.is_empty()) else {
                continue;
            };
            let copy = ServerCopy::make(node.api, name)?;
            let shards: Vec<_> = node.layout.local.iter().map(|shard| shard.id).collect();
            let mut properties = self.known.properties();
            properties.push(property(COLLECTION, name));
            properties.push(property(PEER, &peer.to_string()));
            properties.push(property(SHARDS, &json!(shards).to_string()));
            let kind = EntryKind::Stream { class: PEER_SNAPSHOT.to_owned() };
            let kept = Kept::new(copy, None);
            parts.extend(Part::snapshot(&format!("{name}@{peer}"), kind, properties, kept)?);
        }
        parts.push(self.about()?);
        Ok(parts)
    }

    /// `<collection>.shard-<id>.snapshot` of each shard, from the first node that has it whole.
    fn streams(self) -> Result<Vec<Part>, SourceError> {
        let name = &self.known.name;
        let mut parts = vec![self.about()?];
        for (shard, at) in whole_copies(&self.layouts()) {
            let Some(node) = self.nodes.get(at) else { continue };
            let key = node.layout.local.iter().find(|one| one.id == shard);
            let key = key.and_then(|one| one.key.as_ref());
            let mut properties = self.known.properties();
            properties.push(property(COLLECTION, name));
            properties.push(property(SHARD, &shard.to_string()));
            properties.extend(key.map(|key| property(SHARD_KEY, &key.to_string())));
            let kind = EntryKind::Stream { class: SHARD_SNAPSHOT.to_owned() };
            let stream = ShardStream::new(node.api, name, shard);
            parts.extend(Part::snapshot(
                &format!("{name}.shard-{shard}"),
                kind,
                properties,
                stream,
            )?);
        }
        Ok(parts)
    }

    /// `<collection>.points.jsonl`
    fn points(self) -> Result<Vec<Part>, SourceError> {
        let name = &self.known.name;
        let mut properties = self.known.properties();
        properties.push(property(COLLECTION, name));
        let kind = EntryKind::Stream { class: POINTS.to_owned() };
        let points = Points::new(self.first()?.api, name);
        Ok(vec![self.about()?, Part::points(name, kind, properties, points)?])
    }

    /// What is told of the collection: enough to make it anew.
    fn about(&self) -> Result<Part, SourceError> {
        let Known { name, info, aliases, .. } = &self.known;
        let node = self.first()?;
        let nodes = self.nodes.iter().map(|node| {
            let shards = node.layout.local.iter().map(|shard| shard.id);
            json!({
                "url": node.api.url(),
                "peer": node.layout.peer,
                "shards": shards.collect::<Vec<_>>(),
                "cluster": node.said,
            })
        });
        let nodes = self.is_of_nodes.then(|| nodes.collect::<Vec<_>>());
        let peers = match self.is_of_nodes {
            true => node.api.peers()?,
            false => None,
        };
        let about = json!({
            "collection": name,
            "server": {"url": node.api.url(), "version": self.version},
            "aliases": aliases,
            "info": info,
            "cluster": node.said,
            "nodes": nodes,
            "peers": peers,
        });
        Part::about(name, format!("{about:#}\n"))
    }
}
