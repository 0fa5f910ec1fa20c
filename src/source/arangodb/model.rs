//! What a snapshot of ArangoDB holds, whatever it came from:
//!
//! ```text
//! <db>/database.json                          name and properties
//! <db>/collections/<name>/                    properties `type` and `count`
//! <db>/collections/<name>/documents.jsonl     one document a line, by key, without `_rev`
//! <db>/collections/<name>/revisions.jsonl     the `_rev` of each line
//! <db>/collections/<name>/structure.json      parameters and indexes
//! <db>/views/<name>.json                      definition
//! ```

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::failure::refused;
use crate::fault::ErrorKind;
use crate::format::{EntryKind, EntryPath, Property};
use crate::source::private::private_entry;
use crate::source::text::TextBody;
use crate::source::{OpenBody, SourceEntry, SourceError};

pub(super) const DATABASE: &str = "database.json";
pub(super) const COLLECTIONS: &str = "collections";
pub(super) const DOCUMENTS: &str = "documents.jsonl";
pub(super) const REVISIONS: &str = "revisions.jsonl";
pub(super) const STRUCTURE: &str = "structure.json";
pub(super) const VIEWS: &str = "views";
pub(super) const VIEW: &str = ".json";
/// Properties of a collection's directory.
pub(super) const TYPE: &str = "type";
pub(super) const COUNT: &str = "count";

/// What a collection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionKind {
    Document,
    Edge,
}

impl CollectionKind {
    /// By the number that parameters have.
    pub fn of_number(number: u64) -> Option<Self> {
        match number {
            2 => Some(Self::Document),
            3 => Some(Self::Edge),
            _ => None,
        }
    }

    /// By the `type` of a collection's parameters.
    pub fn of_parameters(parameters: &Value) -> Option<Self> {
        Self::of_number(parameters.get(TYPE)?.as_u64()?)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Edge => "edge",
        }
    }

    pub(super) fn of_name(name: &[u8]) -> Option<Self> {
        [Self::Document, Self::Edge].into_iter().find(|kind| kind.name().as_bytes() == name)
    }
}

/// The path of these components. A name that is no single component is refused.
pub fn path(components: &[&str]) -> Result<EntryPath, SourceError> {
    let mut path = EntryPath::root();
    for component in components {
        let bad = || {
            let message = "this name of a database, collection or view cannot be stored: it is empty, `.`, \
                           `..`, or has `/` or NUL in it";
            refused(ErrorKind::Usage, &format!("{component:?}"), message)
        };
        if component.contains('/') || component.is_empty() {
            return Err(bad());
        }
        path = path.join(component.as_bytes()).map_err(|_| bad())?;
    }
    Ok(path)
}

/// The entry of a directory.
pub fn directory(path: EntryPath) -> SourceEntry {
    let mut entry = private_entry(path, EntryKind::Directory, Vec::new());
    if let Some(unix) = &mut entry.unix {
        // A directory that can be listed by its owner.
        unix.mode |= 0o100;
    }
    SourceEntry::bare(entry)
}

/// The entry of a collection's directory.
pub fn collection(path: EntryPath, kind: CollectionKind, count: u64) -> SourceEntry {
    let property = |name: &str, value: String| Property {
        name: name.to_owned(),
        value: value.into_bytes().into(),
    };
    let mut source = directory(path);
    source.entry.properties =
        vec![property(TYPE, kind.name().to_owned()), property(COUNT, count.to_string())];
    source
}

/// A file, with its stream.
pub fn file(path: EntryPath, body: Box<dyn OpenBody>, bytes: u64) -> SourceEntry {
    SourceEntry::whole(private_entry(path, EntryKind::File, Vec::new()), body, bytes)
}

/// A file with this text.
pub fn text_file(path: EntryPath, text: Vec<u8>) -> SourceEntry {
    let (body, bytes) = TextBody::of(text);
    file(path, body, bytes)
}

/// A small JSON document as it is stored: the same text for the same content.
pub fn definition(value: &Value) -> Vec<u8> {
    let mut value = value.clone();
    value.sort_all_objects();
    format!("{value:#}\n").into_bytes()
}

/// `database.json`.
pub fn database(name: &str, properties: Option<&Value>) -> Vec<u8> {
    let mut value = json!({ "name": name });
    if let (Some(object), Some(properties)) = (value.as_object_mut(), properties) {
        object.insert("properties".to_owned(), properties.clone());
    }
    definition(&value)
}

/// `structure.json`: what a server or arangodump says of a collection, without what is only so today.
pub fn structure(parameters: &Value, indexes: &Value) -> Vec<u8> {
    definition(&json!({ "parameters": parameters, "indexes": indexes }))
}
