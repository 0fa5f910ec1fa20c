//! Collections, views and graphs as they hang together: views and graphs follow a collection that is renamed, views
//! forget one that is dropped.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answers::error;
use super::data::Database;
use super::wire::{Reply, Request};

pub fn answer(
    method: &str,
    path: &[&str],
    request: &Request,
    database: &mut Database,
) -> Option<Reply> {
    let missing = || error(404, 1203, "collection or view not found");
    Some(match (method, path) {
        ("DELETE", ["collection", name]) => match database.collections.contains_key(*name) {
            true => {
                forget(database, name);
                Reply::json(200, &json!({"error": false}))
            }
            false => missing(),
        },
        ("GET", ["index"]) => {
            match database.collections.get(&request.query("collection").unwrap()) {
                Some(found) => {
                    let primary = json!({"type": "primary", "fields": ["_key"]});
                    let indexes: Vec<_> = [&primary].into_iter().chain(&found.indexes).collect();
                    Reply::json(200, &json!({"error": false, "indexes": indexes}))
                }
                None => missing(),
            }
        }
        ("GET", ["view", name, "properties"]) => match database.views.get(*name) {
            Some(view) => Reply::json(200, view),
            None => missing(),
        },
        ("PUT" | "PATCH", ["view", name, "properties"]) => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            change_view(database, name, &body)
        }
        ("POST", ["cursor"]) => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let found = &database.collections[body["bindVars"]["@collection"].as_str().unwrap()];
            let query = body["query"].as_str().unwrap();
            assert!(
                query.starts_with("RETURN AVERAGE(FOR one IN @@collection LIMIT 100 "),
                "{query}"
            );
            let lengths: Vec<_> = found.documents.values().take(100).map(String::len).collect();
            let average = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
            Reply::json(201, &json!({"result": [average], "hasMore": false, "error": false}))
        }
        ("GET", ["gharial"]) => {
            let graphs = database.collections["_graphs"].values();
            let graphs: Vec<_> = graphs.into_values().collect();
            Reply::json(200, &json!({"error": false, "graphs": graphs}))
        }
        ("PATCH", ["document", collection, key]) => {
            let found = database.collections.get_mut(*collection).unwrap();
            let mut document: Value = serde_json::from_str(&found.documents[*key]).unwrap();
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            for (key, value) in body.as_object().unwrap() {
                document[key] = value.clone();
            }
            found.insert(&document.to_string());
            Reply::json(201, &json!({"_key": key}))
        }
        _ => return None,
    })
}

fn change_view(database: &mut Database, name: &str, body: &Value) -> Reply {
    let links = body["links"].as_object().into_iter().flatten();
    let indexes = body["indexes"].as_array().into_iter().flatten();
    let linked = links.filter(|(_, link)| !link.is_null()).map(|(name, _)| name.as_str());
    for wanted in linked.chain(indexes.map(|index| index["collection"].as_str().unwrap())) {
        if !database.collections.contains_key(wanted) {
            return error(404, 1203, &format!("collection or view not found: {wanted}"));
        }
    }
    let view = database.views.get_mut(name).unwrap();
    for (name, link) in body["links"].as_object().into_iter().flatten() {
        match link.is_null() {
            true => drop(view["links"].as_object_mut().unwrap().remove(name)),
            false => view["links"][name] = link.clone(),
        }
    }
    if body["indexes"].is_array() {
        view["indexes"] = body["indexes"].clone();
    }
    Reply::json(200, view)
}

/// Drops it, and with it the links of views.
pub fn forget(database: &mut Database, name: &str) {
    database.collections.remove(name);
    for view in database.views.values_mut() {
        if let Some(links) = view.get_mut("links").and_then(Value::as_object_mut) {
            links.remove(name);
        }
        if let Some(indexes) = view.get_mut("indexes").and_then(Value::as_array_mut) {
            indexes.retain(|index| index["collection"] != name);
        }
    }
}

pub fn rename(database: &mut Database, name: &str, new: &str) {
    let mut found = database.collections.remove(name).unwrap();
    found.parameters["name"] = new.into();
    for text in Arc::make_mut(&mut found.documents).values_mut() {
        let (old, new) = (format!("\"_id\":\"{name}/"), format!("\"_id\":\"{new}/"));
        *text = text.replacen(&old, &new, 1);
    }
    database.collections.insert(new.to_owned(), found);
    for view in database.views.values_mut() {
        if let Some(links) = view.get_mut("links").and_then(Value::as_object_mut)
            && let Some(link) = links.remove(name)
        {
            links.insert(new.to_owned(), link);
        }
        let indexes = view.get_mut("indexes").and_then(Value::as_array_mut);
        for index in indexes.into_iter().flatten() {
            if index["collection"] == name {
                index["collection"] = new.into();
            }
        }
    }
    let Some(graphs) = database.collections.get_mut("_graphs") else { return };
    for text in Arc::make_mut(&mut graphs.documents).values_mut() {
        *text = text.replace(&format!("\"{name}\""), &format!("\"{new}\""));
    }
}
