//! What a server takes in.

use std::sync::Arc;

use serde_json::{Value, json};

use super::State;
use super::answers::error;
use super::data::{Collection, Database};
use super::wire::{Reply, Request};

fn done() -> Reply {
    Reply::json(200, &json!({"result": true}))
}

pub fn restore(request: &Request, what: &str, state: &mut State) -> Reply {
    let overwrite = request.query("overwrite").as_deref() == Some("true");
    let id = state.new_id();
    let no_restore = state.faults.no_restore_data;
    let losing = state.faults.loses_documents;
    let database = state.databases.get_mut(&request.database).unwrap();
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap();
    match what {
        "restore-collection" => collection(database, body(), overwrite, id),
        "restore-indexes" => indexes(database, &body()),
        "restore-view" => view(database, body(), overwrite),
        "restore-data" if no_restore => error(501, 9, "not implemented"),
        "restore-data" => {
            assert_eq!(request.header("content-type"), Some("application/x-arango-dump"));
            let plain = request.query("useEnvelope").as_deref() == Some("false");
            let name = request.query("collection").unwrap();
            let Some(found) = database.collections.get_mut(&name) else {
                return error(404, 1203, &format!("collection or view not found: {name}"));
            };
            for line in str::from_utf8(&request.body).unwrap().lines() {
                let Some(text) = data_of(line, plain) else {
                    return error(400, 600, "received invalid JSON data: no envelope");
                };
                take_in(found, &text);
            }
            if losing {
                Arc::make_mut(&mut found.documents).pop_first();
            }
            done()
        }
        _ => error(404, 404, "unknown path"),
    }
}

/// Documents whose `_rev` is the server's own afterwards.
pub fn import(request: &Request, state: &mut State) -> Reply {
    let name = request.query("collection").unwrap();
    assert_eq!(request.query("onDuplicate").as_deref(), Some("replace"));
    let database = state.databases.get_mut(&request.database).unwrap();
    let Some(found) = database.collections.get_mut(&name) else {
        return error(404, 1203, "collection or view not found");
    };
    let mut created = 0;
    for line in str::from_utf8(&request.body).unwrap().lines() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value["_rev"] = format!("new{created}").into();
        take_in(found, &value.to_string());
        created += 1;
    }
    Reply::json(201, &json!({"error": false, "created": created, "errors": 0, "ignored": 0}))
}

fn data_of(line: &str, plain: bool) -> Option<String> {
    if plain {
        return Some(line.to_owned());
    }
    let enveloped: std::collections::BTreeMap<&str, &serde_json::value::RawValue> =
        serde_json::from_str(line).ok()?;
    enveloped.get("data").map(|data| data.get().to_owned())
}

/// `_id` is what the collection is called, whatever is sent.
fn take_in(found: &mut Collection, text: &str) {
    let parsed: Value = serde_json::from_str(text).unwrap();
    let id = |name: &str| format!("\"_id\":\"{name}/");
    let sent = parsed["_id"].as_str().and_then(|id| id.split('/').next());
    let text = match sent {
        Some(sent) => text.replacen(&id(sent), &id(found.name()), 1),
        None => text.to_owned(),
    };
    found.insert(&text);
}

fn collection(database: &mut Database, mut body: Value, overwrite: bool, id: u64) -> Reply {
    let name = body["parameters"]["name"].as_str().unwrap().to_owned();
    assert!(body["indexes"].is_array());
    let unique = body["parameters"]["globallyUniqueId"].clone();
    if database.collections.contains_key(&name) {
        match overwrite {
            true => super::things::forget(database, &name),
            false => return error(409, 1207, &format!("duplicate name: {name}")),
        };
    }
    // As the real one: what has this identity already is taken for the one that is to be made.
    if unique.is_string()
        && database.collections.values().any(|it| it.parameters["globallyUniqueId"] == unique)
    {
        return done();
    }
    let like = body["parameters"]["distributeShardsLike"].as_str().unwrap_or_default();
    if !like.is_empty() && !database.collections.contains_key(like) {
        return error(400, 1486, "can not distribute like a collection that is not there");
    }
    body["parameters"]["id"] = id.to_string().into();
    body["parameters"]["globallyUniqueId"] = format!("hABC/{id}").into();
    let parameters = body["parameters"].take();
    let made = Collection::new(parameters, Vec::new());
    database.collections.insert(name, made);
    done()
}

fn indexes(database: &mut Database, body: &Value) -> Reply {
    let name = body["parameters"]["name"].as_str().unwrap();
    let Some(found) = database.collections.get_mut(name) else {
        return error(404, 1203, "collection or view not found");
    };
    for index in body["indexes"].as_array().unwrap() {
        if index["type"] == "vector" && found.documents.is_empty() {
            return error(400, 10, "a vector index needs documents to train on");
        }
        if !found.indexes.contains(index) {
            found.indexes.push(index.clone());
        }
    }
    done()
}

fn view(database: &mut Database, body: Value, overwrite: bool) -> Reply {
    let name = body["name"].as_str().unwrap().to_owned();
    if database.views.contains_key(&name) && !overwrite {
        return error(409, 1207, &format!("duplicate name: {name}"));
    }
    let linked = body["links"].as_object().into_iter().flatten().map(|(name, _)| name);
    for linked in linked {
        if !database.collections.contains_key(linked) {
            return error(404, 1203, &format!("collection or view not found: {linked}"));
        }
    }
    for index in body["indexes"].as_array().into_iter().flatten() {
        let collection = index["collection"].as_str().unwrap();
        let Some(found) = database.collections.get(collection) else {
            return error(404, 1203, "collection or view not found");
        };
        if !found.indexes.iter().any(|it| it["name"] == index["index"]) {
            return error(404, 1212, "index not found");
        }
    }
    database.views.insert(name, body);
    done()
}
