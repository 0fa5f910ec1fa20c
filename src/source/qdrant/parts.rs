//! What a snapshot holds of collections, gathered from its entries.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::failure::refused;
use super::{
    ABOUT, ALIASES, COLLECTION, INFO, PARAMS, PEER, PEER_SNAPSHOT, POINT_COUNT, POINTS, SHA256,
    SHARD, SHARD_SNAPSHOT, SNAPSHOT,
};
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind};
use crate::limits::MIB;
use crate::source::{SourceError, Stored};

/// Longest description of a collection that is read.
const ABOUT_MAX: u64 = 16 * MIB as u64;

/// A collection, and what there is to restore it from.
pub(super) struct Held {
    pub collection: String,
    pub form: HeldAs,
    /// `config.params`, where they are known.
    pub params: Option<Value>,
    pub aliases: Vec<String>,
    /// As the server counted them when the backup began.
    pub points: Option<u64>,
    /// `<collection>.info.json`
    about: Option<Entry>,
}

pub(super) enum HeldAs {
    /// The server makes the collection from it.
    Snapshot(Piece),
    /// Likewise, the part of each peer of a cluster.
    Peers(Vec<(u64, Piece)>),
    /// Each goes into a collection that is there.
    Shards(Vec<(u64, Piece)>),
    Points(Entry),
}

pub(super) struct Piece {
    pub entry: Entry,
    /// As the server gave it, when it made the snapshot: it checks what arrives.
    pub sha256: Option<String>,
}

impl Held {
    pub fn bytes(&self) -> u64 {
        let pieces = |pieces: &[(u64, Piece)]| pieces.iter().map(|(_, one)| one.entry.len()).sum();
        match &self.form {
            HeldAs::Snapshot(piece) => piece.entry.len(),
            HeldAs::Peers(list) | HeldAs::Shards(list) => pieces(list),
            HeldAs::Points(entry) => entry.len(),
        }
    }

    /// Whether the collection has to be there before anything goes into it.
    pub fn needs_collection(&self) -> bool {
        matches!(self.form, HeldAs::Shards(_) | HeldAs::Points(_))
    }

    /// What its server said of it.
    pub fn about(&self, stored: &dyn Stored) -> Result<Value, SourceError> {
        let name = format!("{}{ABOUT}", self.collection);
        let Some(entry) = &self.about else {
            let message = "is not selected, or not in the snapshot: without it nobody knows how to make \
                           the collection";
            return Err(refused(ErrorKind::Usage, &name, message));
        };
        let mut text = Vec::new();
        let read = stored.open(entry)?.take(ABOUT_MAX).read_to_end(&mut text);
        read.map_err(|error| SourceError::of_read(&name, error))?;
        serde_json::from_slice(&text)
            .map_err(|error| refused(ErrorKind::Damage, &name, error.to_string()))
    }

    fn take(&mut self, form: HeldAs) -> Result<(), SourceError> {
        match (&mut self.form, form) {
            (HeldAs::Peers(list), HeldAs::Peers(more))
            | (HeldAs::Shards(list), HeldAs::Shards(more)) => {
                list.extend(more);
                Ok(())
            }
            _ => {
                let message = "is in the snapshot in two forms: choose one of them with --only";
                Err(refused(ErrorKind::Usage, &self.collection, message))
            }
        }
    }
}

/// All that is selected, by name.
pub(super) fn collections(stored: &dyn Stored) -> Result<BTreeMap<String, Held>, SourceError> {
    let (mut held, mut about) = (BTreeMap::<String, Held>::new(), BTreeMap::new());
    stored.each(&mut |entry| {
        let path = entry.path.display().to_string();
        if let Some(collection) = path.strip_suffix(ABOUT) {
            about.insert(collection.to_owned(), entry);
            return Ok(());
        }
        // What else is told is there for people.
        if path.ends_with(INFO) && entry.kind == EntryKind::File {
            return Ok(());
        }
        let (collection, form, entry) = form(entry, &path)?;
        if let Some(known) = held.get_mut(&collection) {
            return known.take(form);
        }
        held.insert(collection.clone(), Held { collection, form, ..entry });
        Ok(())
    })?;
    for (collection, known) in &mut held {
        known.about = about.remove(collection);
    }
    Ok(held)
}

/// Of which collection an entry is, and what it is good for.
fn form(entry: Entry, path: &str) -> Result<(String, HeldAs, Held), SourceError> {
    let no = |what: &str| {
        refused(ErrorKind::Damage, path, format!("no entry of a Qdrant snapshot: {what}"))
    };
    let json = |name| text(&entry, name).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let number = |name| text(&entry, name).and_then(|text| text.parse::<u64>().ok());
    let aliases = json(ALIASES).and_then(|aliases| serde_json::from_value(aliases).ok());
    let (params, points, named) = (json(PARAMS), number(POINT_COUNT), text(&entry, COLLECTION));
    let named = named.map(str::to_owned);
    let (peer, shard) = (number(PEER), number(SHARD));
    let sha256 = text(&entry, SHA256).map(str::to_owned);
    let class = match &entry.kind {
        EntryKind::File if !path.contains('/') => None,
        EntryKind::Stream { class } => Some(class.clone()),
        _ => return Err(no("it is no stream of bytes")),
    };
    let about = Held {
        collection: String::new(),
        form: HeldAs::Peers(Vec::new()),
        params,
        aliases: aliases.unwrap_or_default(),
        points,
        about: None,
    };
    let (collection, form) = match (class.as_deref(), named) {
        (None, _) => {
            let collection = path.strip_suffix(SNAPSHOT).filter(|name| !name.is_empty());
            let collection = collection.ok_or_else(|| no("its name does not end as one does"))?;
            (collection.to_owned(), HeldAs::Snapshot(Piece { entry, sha256 }))
        }
        (Some(PEER_SNAPSHOT), Some(collection)) => {
            let peer = peer.ok_or_else(|| no("it does not say of which peer it is"))?;
            (collection, HeldAs::Peers(vec![(peer, Piece { entry, sha256 })]))
        }
        (Some(SHARD_SNAPSHOT), Some(collection)) => {
            let shard = shard.ok_or_else(|| no("it does not say of which shard it is"))?;
            (collection, HeldAs::Shards(vec![(shard, Piece { entry, sha256 })]))
        }
        (Some(POINTS), Some(collection)) => (collection, HeldAs::Points(entry)),
        (Some(class), _) => return Err(no(class)),
    };
    Ok((collection, form, about))
}

fn text<'e>(entry: &'e Entry, name: &str) -> Option<&'e str> {
    let found = entry.properties.iter().find(|property| property.name == name)?;
    str::from_utf8(&found.value).ok()
}
