//! Shards, points, and collections made anew.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers::{Answer, find};
use super::wire::{Request, reply};
use super::{Collection, State, said};

/// A point as it was written: `id`, `payload`, `vector`, and the shard key it was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    pub payload: String,
    pub vector: String,
    pub shard_key: Option<String>,
}

/// In the order of a real server: numbers, then UUIDs.
pub type Points = BTreeMap<(bool, u128), Stored>;

pub fn key_of(id: &str) -> (bool, u128) {
    match id.strip_prefix('"') {
        None => (false, id.parse().unwrap()),
        Some(text) => {
            let digits = text.replace(['-', '"'], "");
            (true, u128::from_str_radix(&digits, 16).unwrap())
        }
    }
}

/// `None` where it is nothing of this.
pub fn answer(
    connection: &TcpStream,
    request: &mut Request,
    state: &Mutex<State>,
    parts: &[&str],
) -> Option<Option<Answer>> {
    let method = request.method.clone();
    let said = match (method.as_str(), parts) {
        ("GET", ["collections", c, "shards", id, "snapshot"]) => {
            return Some(stream(connection, state, c, id.parse().unwrap()));
        }
        ("POST", ["collections", c, "shards", id, "snapshots", "upload"]) => {
            upload(request, state, c, id.parse().unwrap())
        }
        ("DELETE", ["collections", _, "shards", _, "snapshots", _]) => Err((404, String::new())),
        ("GET", ["cluster"]) => match &state.lock().unwrap().peers {
            Value::Null => Err((404, String::new())),
            peers => Ok(json!({"status": "enabled", "peers": peers})),
        },
        ("POST", ["collections", c, "points", "count"]) => {
            let count = find(&mut state.lock().unwrap(), c).map(|found| found.points.len());
            count.map(|count| json!({"count": count}))
        }
        ("POST", ["collections", c, "points", "scroll"]) => {
            assert_eq!(request.query("consistency"), Some("all"));
            let body = request.body(None, None).unwrap();
            match scroll(&mut state.lock().unwrap(), c, &body) {
                Err(refusal) => Err(refusal),
                Ok(text) => {
                    reply(connection, 200, "", text.as_bytes());
                    return Some(None);
                }
            }
        }
        ("PUT", parts) => {
            let body = request.body(None, None).unwrap();
            let mut state = state.lock().unwrap();
            match parts {
                ["collections", c, "points"] => put_points(&mut state, c, &body),
                _ => put(&mut state, parts, &serde_json::from_slice(&body).unwrap()),
            }
        }
        _ => return None,
    };
    Some(Some(said))
}

/// Without a length, and closed at its end, whether all came or not.
fn stream(
    mut connection: &TcpStream,
    state: &Mutex<State>,
    collection: &str,
    shard: u64,
) -> Option<Answer> {
    let mut state = state.lock().unwrap();
    let ends = state.faults.ends_at;
    let found = match find(&mut state, collection) {
        Err(refusal) => return Some(Err(refusal)),
        Ok(found) => found.shards.get(&shard).cloned(),
    };
    let Some(mut bytes) = found else {
        return Some(Err((404, format!("Not found: Shard {shard} not found"))));
    };
    drop(state);
    if let Some(end) = ends {
        bytes = Arc::new(bytes[..end].to_vec());
    }
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    // Whoever asked may have gone.
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&bytes));
    None
}

fn upload(request: &mut Request, state: &Mutex<State>, collection: &str, shard: u64) -> Answer {
    let bytes = super::answers::uploaded(request)?.1;
    let mut state = state.lock().unwrap();
    find(&mut state, collection)?.shards.insert(shard, Arc::new(bytes.clone()));
    let priority = request.query("priority").unwrap().to_owned();
    state.restored.push((format!("{collection}/{shard}"), bytes, priority));
    Ok(Value::Bool(true))
}

fn scroll(state: &mut State, collection: &str, body: &[u8]) -> Result<String, (u16, String)> {
    #[derive(Deserialize)]
    struct Asked {
        limit: usize,
        offset: Option<Box<RawValue>>,
        with_payload: bool,
        with_vector: bool,
    }
    let asked: Asked = serde_json::from_slice(body).unwrap();
    assert!(asked.with_payload && asked.with_vector);
    let (most, loops, shuffles) =
        (state.faults.page_most, state.faults.scroll_loops, state.faults.scroll_shuffles);
    let limit = asked.limit.min(most.unwrap_or(usize::MAX));
    let from = asked.offset.map_or((false, 0), |offset| key_of(offset.get()));
    let found = find(state, collection)?;
    let mut page: Vec<&Stored> = found.points.range(from..).map(|(_, point)| point).collect();
    let next = page.get(limit).map(|point| point.id.clone());
    page.truncate(limit);
    let next = if loops { page.first().map(|point| point.id.clone()) } else { next };
    if shuffles {
        page.reverse();
    }
    let texts: Vec<_> = page
        .iter()
        .map(|point| {
            let key = point.shard_key.as_deref().unwrap_or("null");
            let Stored { id, payload, vector, .. } = point;
            format!("{{\"id\":{id},\"payload\":{payload},\"vector\":{vector},\"shard_key\":{key}}}")
        })
        .collect();
    let next = next.as_deref().unwrap_or("null");
    let points = texts.join(",");
    Ok(format!(
        "{{\"result\":{{\"points\":[{points}],\"next_page_offset\":{next}}},\"status\":\"ok\",\"time\":0.1}}"
    ))
}

fn put_points(state: &mut State, collection: &str, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow)]
        points: Vec<Point<'a>>,
        #[serde(borrow, default)]
        shard_key: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Point<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
        #[serde(borrow)]
        payload: &'a RawValue,
        #[serde(borrow)]
        vector: &'a RawValue,
    }
    assert!(body.len() <= 32_000_000);
    let written: Written = serde_json::from_slice(body).map_err(|e| (400, e.to_string()))?;
    state.batches.push(written.points.len());
    let loses = std::mem::take(&mut state.faults.loses_point);
    let found = find(state, collection)?;
    for point in written.points.iter().skip(usize::from(loses)) {
        let stored = Stored {
            id: point.id.get().to_owned(),
            payload: point.payload.get().to_owned(),
            vector: point.vector.get().to_owned(),
            shard_key: written.shard_key.map(|key| key.get().to_owned()),
        };
        found.points.insert(key_of(&stored.id), stored);
    }
    Ok(json!({"operation_id": 0, "status": "completed"}))
}

fn put(state: &mut State, parts: &[&str], body: &Value) -> Answer {
    state.made.push((parts.join("/"), body.clone()));
    match parts {
        ["collections", c] => {
            if state.collections.contains_key(*c) {
                return Err((409, format!("Wrong input: Collection `{c}` already exists!")));
            }
            if body.get("vectors").is_none() {
                return Err((400, "Format error in JSON body: missing vectors".into()));
            }
            let (info, cluster) = (said("notes.info.json"), state.new_layout.clone());
            let made = Collection { info, cluster, ..Collection::default() };
            state.collections.insert((*c).to_owned(), made);
            Ok(Value::Bool(true))
        }
        ["collections", c, "shards"] => find(state, c).map(|_| Value::Bool(true)),
        ["collections", c, "index"] => {
            find(state, c).map(|_| json!({"operation_id": 0, "status": "completed"}))
        }
        _ => Err((404, String::new())),
    }
}
