//! A database that is written into.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::api::Api;
use super::batch::DUMP_TYPE;
use super::decide::Existing;
use super::trouble::{self, COLLECTION_NOT_FOUND, DATABASE_NOT_FOUND};
use crate::limits::MIB;
use crate::source::SourceError;
use crate::source::http::{Call, HttpError, Repeat, escaped};
use crate::source::tables::{ExistingTable, Stop};

/// How long a server may take for a request that has it write, or build an index.
const PATIENCE: Duration = Duration::from_secs(3600);
/// What it does not do in pieces, and what nobody interrupts.
const AT_ONCE: Duration = Duration::from_secs(300);
/// A server's own names of a thing, which another server, or this one later, must not take for its own: it would
/// call a collection made that is there under another name.
const IDENTITY: &[&str] =
    &["id", "cid", "planId", "globallyUniqueId", "objectId", "tempObjectId", "statusString"];

pub(super) struct Target {
    pub api: Api,
    pub database: String,
    /// Lines go to the server as replication has them; else as an import.
    has_restore_data: bool,
    /// Whether lines must be in envelopes, as servers before 3.8 want them.
    pub in_envelopes: bool,
    /// Collections of a cluster cannot be renamed.
    pub is_cluster: bool,
}

impl Target {
    pub fn new(api: &Api, database: &str, in_envelopes: bool, is_cluster: bool) -> Self {
        let (api, database) = (api.clone(), database.to_owned());
        Self { api, database, has_restore_data: true, in_envelopes, is_cluster }
    }

    /// What is there. `None`: there is no such database.
    pub fn existing(&self) -> Result<Option<Existing>, SourceError> {
        let url = self.api.url(&self.database, "/_api/version");
        match self.api.exchange(Call::get(url), MIB) {
            Err(error) if trouble::number(&error) == Some(DATABASE_NOT_FOUND) => return Ok(None),
            Err(error) => return Err(self.api.plain(error)),
            Ok(_) => {}
        }
        let mut existing = Existing::default();
        for name in self.api.collections(&self.database)? {
            let rows = Some(self.api.count(&self.database, &name)?.unwrap_or_default());
            existing.collections.insert(name, ExistingTable { rows, obstacle: None });
        }
        existing.views = self.api.views(&self.database)?;
        Ok(Some(existing))
    }

    /// Makes a collection, without its indexes and documents; then looks whether it is there and empty.
    pub fn make(
        &self,
        structure: &Value,
        name: &str,
        follows: Option<&str>,
        overwrite: bool,
    ) -> Result<(), Stop> {
        let body = json!({"parameters": parameters(structure, name, follows), "indexes": []});
        let path =
            format!("/_api/replication/restore-collection?overwrite={overwrite}&force=false");
        self.put(&path, &body)?;
        match self.api.count(&self.database, name)? {
            Some(0) => Ok(()),
            Some(count) => {
                Err(Stop::One(format!("was made, the server says, but has {count} documents")))
            }
            None => Err(Stop::One("was made, the server says, but is not there".to_owned())),
        }
    }

    /// Those that need documents first, or those that do not.
    pub fn index(&self, structure: &Value, name: &str, vector: bool) -> Result<(), Stop> {
        let is_vector = |index: &&Value| index.get("type").is_some_and(|it| it == "vector");
        let all = structure.get("indexes").and_then(Value::as_array).into_iter().flatten();
        let indexes: Vec<&Value> = all.filter(|index| is_vector(index) == vector).collect();
        if indexes.is_empty() {
            return Ok(());
        }
        let body = json!({"parameters": parameters(structure, name, None), "indexes": indexes});
        self.put("/_api/replication/restore-indexes?force=false", &body)
    }

    pub fn view(&self, mut definition: Value, overwrite: bool) -> Result<(), Stop> {
        forget_identity(&mut definition);
        self.put(&format!("/_api/replication/restore-view?overwrite={overwrite}"), &definition)
    }

    /// Whether all that was wanted is there: a server may pass over an index that it cannot make.
    pub fn check_indexes(&self, structure: &Value, name: &str) -> Result<(), Stop> {
        let all = structure.get("indexes").and_then(Value::as_array).into_iter().flatten();
        let wanted: Vec<String> = all.filter_map(index_name).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let url =
            self.api.url(&self.database, &format!("/_api/index?collection={}", escaped(name)));
        let answer = self.api.json(Call::get(url))?;
        let there = answer.get("indexes").and_then(Value::as_array).into_iter().flatten();
        let there: BTreeSet<String> = there.filter_map(index_name).collect();
        let missing: Vec<_> = wanted.into_iter().filter(|it| !there.contains(it)).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Stop::One(format!(
                "indexes that the server did not make, without saying so: {}",
                missing.join("; ")
            ))),
        }
    }

    /// Deletes a temporary collection, even if everything is to stop.
    pub fn discard(&self, name: &str) -> Result<(), SourceError> {
        self.api.undisturbed().optional_done(self.dropping(name))
    }

    /// Not interrupted between this and the next name.
    pub fn drop_collection(&self, name: &str) -> Result<(), Stop> {
        let call = self.dropping(name).patience(AT_ONCE);
        match self.api.undisturbed().exchange(call, MIB) {
            Err(error) if error.status() != Some(404) => Err(self.stop(error)),
            _ => Ok(()),
        }
    }

    /// `force`: servers that look after graphs refuse to drop what a graph names.
    fn dropping(&self, name: &str) -> Call {
        let path = format!("/_api/collection/{}?force=true", escaped(name));
        Call::delete(self.api.url(&self.database, &path))
    }

    pub fn rename(&self, name: &str, new: &str) -> Result<(), Stop> {
        let path = format!("/_api/collection/{}/rename", escaped(name));
        let call = Call::put(self.api.url(&self.database, &path)).json(&json!({"name": new}));
        // A second time it would not be found any more.
        let call = call.repeat(Repeat::Undone).patience(AT_ONCE);
        let done = self.api.undisturbed().exchange(call, MIB);
        // An answer that was lost may have been a yes.
        let is = |name: &str| self.api.undisturbed().count(&self.database, name);
        if done.as_ref().is_err_and(HttpError::leaves_open)
            && matches!((is(name), is(new)), (Ok(None), Ok(Some(_))))
        {
            return Ok(());
        }
        done.map(drop).map_err(|error| match error.status() {
            Some(501 | 403) => Stop::One(format!(
                "cannot be kept as {new}, since this server renames no collections: {}",
                self.api.plain(error)
            )),
            _ => self.stop(error),
        })
    }

    /// Lines of documents. Sent again they come to the same: each is put in place of one with its key.
    pub fn send(&mut self, name: &str, lines: Bytes) -> Result<(), Stop> {
        if self.has_restore_data {
            let path = format!(
                "/_api/replication/restore-data?collection={}&force=false{}",
                escaped(name),
                if self.in_envelopes { "" } else { "&useEnvelope=false" }
            );
            let call =
                Call::put(self.api.url(&self.database, &path)).bytes(lines.clone(), DUMP_TYPE);
            match self.api.exchange(call.patience(PATIENCE), MIB) {
                Err(error) if is_without(&error) && !self.in_envelopes => {}
                Err(error) => return Err(self.stop(error)),
                Ok(_) => return Ok(()),
            }
            self.has_restore_data = false;
        }
        self.import(name, lines)
    }

    /// Whether documents got new revisions.
    pub fn imports(&self) -> bool {
        !self.has_restore_data
    }

    fn import(&self, name: &str, lines: Bytes) -> Result<(), Stop> {
        let path = format!(
            "/_api/import?collection={}&type=documents&onDuplicate=replace&complete=true&details=true",
            escaped(name)
        );
        let call = Call::post(self.api.url(&self.database, &path), Repeat::Always);
        let call = call.bytes(lines, "application/x-ndjson").patience(PATIENCE);
        let answer = self.api.exchange(call, MIB).map_err(|error| self.stop(error))?;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match answer.get("errors").and_then(Value::as_u64) {
            Some(0) => Ok(()),
            _ => Err(Stop::One(refusals(&answer))),
        }
    }

    /// A document as it is there, without its revision.
    pub fn document(&self, collection: &str, key: &str) -> Result<Option<Value>, SourceError> {
        let path = format!("/_api/document/{}/{}", escaped(collection), escaped(key));
        let found = self.api.optional(Call::get(self.api.url(&self.database, &path)))?;
        Ok(found.map(without_revision))
    }

    /// Whether a document with the key of this one is there.
    pub fn has(&self, collection: &str, line: &[u8]) -> Result<bool, SourceError> {
        let document: Value = serde_json::from_slice(line).unwrap_or_default();
        match document.get("_key").and_then(Value::as_str) {
            Some(key) => Ok(self.document(collection, key)?.is_some()),
            None => Ok(false),
        }
    }

    fn put(&self, path: &str, body: &Value) -> Result<(), Stop> {
        self.done(Call::put(self.api.url(&self.database, path)).json(body))
    }

    pub fn done(&self, call: Call) -> Result<(), Stop> {
        let call = call.patience(PATIENCE);
        let answer = self.api.exchange(call, MIB).map_err(|error| self.stop(error))?;
        // A good status does not mean that it was done.
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if said.get("error") != Some(&Value::Bool(true)) {
            return Ok(());
        }
        let text = said.get("errorMessage").and_then(Value::as_str);
        let number = said.get("errorNum").and_then(Value::as_u64).unwrap_or_default();
        let text = text.unwrap_or("it does not say what");
        Err(Stop::One(format!("the server reports an error: {text} (error {number})")))
    }

    /// What the server says of one thing is that thing's trouble; what it says of us, or does not say, is everybody's.
    fn stop(&self, error: HttpError) -> Stop {
        let status = error.status();
        let plain = self.api.plain(error);
        match status {
            Some(401 | 403 | 412 | 429 | 503 | 507) | None => Stop::All(plain),
            Some(_) => Stop::One(plain.to_string()),
        }
    }
}

/// By type and fields, whatever it is called. `None`: every collection has it.
fn index_name(index: &Value) -> Option<String> {
    let kind = match index.get("type").and_then(Value::as_str)? {
        "primary" | "edge" => return None,
        // One and the same, by its names in different versions.
        "hash" | "skiplist" | "rocksdb" => "persistent",
        "geo1" | "geo2" => "geo",
        "zkd" => "mdi",
        other => other,
    };
    let field = |field: &Value| {
        let name = field.as_str().or_else(|| field.get("name")?.as_str());
        name.unwrap_or_default().to_owned()
    };
    let fields = index.get("fields").and_then(Value::as_array).into_iter().flatten();
    Some(format!("{kind} on {}", fields.map(field).collect::<Vec<_>>().join(", ")))
}

/// Without the documents, which the server's words have in them.
fn refusals(answer: &Value) -> String {
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or_default();
    let first = answer.get("details").and_then(|it| it.get(0)?.as_str()).unwrap_or_default();
    let first = first.split("offending document").next().unwrap_or_default();
    let first =
        first.split(['{', '[']).next().unwrap_or_default().trim_end_matches([' ', ',', ':']);
    let (errors, created) = (count("errors"), count("created"));
    match first.is_empty() {
        true => format!("{errors} documents were not taken in, {created} were"),
        false => {
            format!("{errors} documents were not taken in, {created} were; the first: {first}")
        }
    }
}

pub(super) fn without_revision(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.remove("_rev");
        members.remove("_id");
    }
    document
}

/// Whether a server has no such request, and not merely no such collection.
fn is_without(error: &HttpError) -> bool {
    match error.status() {
        Some(501) => true,
        Some(404) => trouble::number(error) != Some(COLLECTION_NOT_FOUND),
        _ => false,
    }
}

fn parameters(structure: &Value, name: &str, follows: Option<&str>) -> Value {
    let mut parameters = structure.get("parameters").cloned().unwrap_or_else(|| json!({}));
    forget_identity(&mut parameters);
    if let Some(members) = parameters.as_object_mut() {
        members.insert("name".to_owned(), name.into());
        members.remove("distributeShardsLike");
        if let Some(follows) = follows {
            members.insert("distributeShardsLike".to_owned(), follows.into());
        }
    }
    parameters
}

fn forget_identity(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|key, _| !IDENTITY.contains(&key.as_str()));
    }
}

/// Views by whether they need other views, or indexes, first.
pub(super) fn is_alias(view: &Value) -> bool {
    view.get("type").is_some_and(|it| it == "search-alias")
}
