//! Replication batches and parallel dumps: states that are held, cursors that move with every answer.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};

use super::answers::error;
use super::data::{Collection, Database};
use super::wire::{Reply, Request};
use super::{State, member_order};

/// A state that is held.
pub struct Batch {
    pub database: String,
    state: Database,
    /// The next document of each collection that is being dumped, and answers so far.
    cursors: HashMap<String, (usize, u64)>,
    pub extended: u32,
}

/// A parallel dump under way.
#[derive(Default)]
pub struct Dump {
    waiting: VecDeque<(String, String)>,
    /// Until they are acknowledged.
    served: BTreeMap<u64, (String, String)>,
}

pub fn replication(request: &Request, rest: &[&str], state: &mut State) -> Reply {
    match (request.method.as_str(), rest) {
        ("POST", ["batch"]) => begin(request, state),
        ("PUT", ["batch", id]) => match state.batches.get_mut(*id) {
            Some(batch) => {
                batch.extended += 1;
                Reply { status: 204, ..Reply::default() }
            }
            None => expired(),
        },
        ("DELETE", ["batch", id]) => match state.batches.remove(*id) {
            Some(_) => Reply { status: 204, ..Reply::default() },
            None => expired(),
        },
        ("GET", ["inventory"]) if state.role != "COORDINATOR" => {
            match state.batches.get(&request.query("batchId").unwrap()) {
                Some(batch) => inventory(&batch.state, &batch.database, state.tick),
                None => expired(),
            }
        }
        ("GET", ["clusterInventory"]) if state.role == "COORDINATOR" => {
            inventory(&state.databases[&request.database], &request.database, state.tick)
        }
        ("GET", ["dump"]) => dump(request, state),
        _ => error(501, 9, "not implemented"),
    }
}

fn expired() -> Reply {
    error(404, 1600, "replication dump - unable to find context (it could be expired)")
}

fn begin(request: &Request, state: &mut State) -> Reply {
    assert!(request.query("serverId").is_some_and(|id| id != "0"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert!(body["ttl"].as_u64().unwrap() > 0);
    if state.role == "COORDINATOR" && request.query("DBserver").is_none() {
        return error(400, 400, "DBserver missing");
    }
    if let Some(change) = state.faults.when_held {
        change(state);
    }
    state.next_id += 1;
    let id = state.next_id.to_string();
    let batch = Batch {
        database: request.database.clone(),
        state: state.databases[&request.database].clone(),
        cursors: HashMap::new(),
        extended: 0,
    };
    state.batches.insert(id.clone(), batch);
    Reply::json(200, &json!({"id": id, "lastTick": state.tick.to_string()}))
}

fn inventory(database: &Database, name: &str, tick: u64) -> Reply {
    let one = |it: &Collection| json!({"parameters": it.parameters, "indexes": it.indexes});
    Reply::json(
        200,
        &json!({
            "collections": database.collections.values().rev().map(one).collect::<Vec<_>>(),
            "views": database.views.values().collect::<Vec<_>>(),
            "properties": {
                "id": "1", "name": name, "isSystem": name == "_system",
                "sharding": "flexible", "replicationFactor": 2, "writeConcern": 1,
            },
            "tick": tick.to_string(),
            "state": {"running": true},
        }),
    )
}

fn dump(request: &Request, state: &mut State) -> Reply {
    assert_eq!(request.header("accept"), Some("application/x-arango-dump"));
    assert_eq!(request.query("useEnvelope").as_deref(), Some("false"));
    state.write_meanwhile();
    if let Some(left) = &mut state.faults.batches_last {
        match *left {
            0 => state.batches.clear(),
            _ => *left -= 1,
        }
    }
    let (reordered, withheld) = (state.faults.reordered, state.faults.withheld.clone());
    if state.faults.empty_answers {
        let last = request.query("from").unwrap().parse::<u64>().unwrap() + 1;
        let headers = format!(
            "x-arango-replication-checkmore: true\r\nx-arango-replication-lastincluded: {last}\r\n"
        );
        return Reply { status: 200, headers, ..Reply::default() };
    }
    let live = state.databases[&request.database].clone();
    let chunk = state.faults.chunk.unwrap_or(request.query("chunkSize").unwrap().parse().unwrap());
    let Some(batch) = state.batches.get_mut(&request.query("batchId").unwrap()) else {
        return expired();
    };
    let name = request.query("collection").unwrap();
    let (collection, part) = match name.strip_prefix("s.") {
        Some(rest) => rest.rsplit_once('.').map(|(name, part)| (name, part.parse().ok())).unwrap(),
        None => (name.as_str(), None),
    };
    let (Some(held), Some(now)) =
        (batch.state.collections.get(collection), live.collections.get(collection))
    else {
        return error(404, 1203, "collection or view not found");
    };
    // By name: what has it now is dumped, be it another collection.
    let found = if held.parameters["id"] == now.parameters["id"] { held } else { now };
    // As a server stores them: in no order that anybody could rely on.
    let texts: Vec<_> = found.documents.values().rev().collect();
    let texts: Vec<_> = texts
        .into_iter()
        .enumerate()
        .filter(|(at, _)| part.is_none_or(|part: usize| at % 2 == part))
        .map(|(_, text)| text)
        .skip(withheld.filter(|(name, _)| name == collection).map_or(0, |(_, count)| count))
        .collect();
    let (mut at, answers) = batch.cursors.get(&name).copied().unwrap_or((0, 1));
    let mut body = String::new();
    while at < texts.len() && body.len() < chunk {
        body += &member_order(texts[at], reordered);
        body.push('\n');
        at += 1;
    }
    let more = at < texts.len();
    match more {
        true => batch.cursors.insert(name, (at, answers + 1)),
        false => batch.cursors.remove(&name),
    };
    let mut headers = "content-type: application/x-arango-dump; charset=utf-8\r\n".to_owned();
    if !state.faults.no_checkmore {
        headers += &format!("x-arango-replication-checkmore: {more}\r\n");
    }
    headers +=
        &format!("x-arango-replication-lastincluded: {}\r\n", if more { answers } else { 0 });
    let status = if body.is_empty() { 204 } else { 200 };
    Reply { status, headers, body: body.into_bytes(), ..Reply::default() }
}

pub fn parallel(request: &Request, rest: &[&str], state: &mut State) -> Reply {
    if !state.has_parallel_dumps {
        return error(404, 404, "unknown path '/_api/dump'");
    }
    match (request.method.as_str(), rest) {
        ("POST", ["start"]) => start(request, state),
        ("POST", ["next", id]) => next(request, id, state),
        ("DELETE", [id]) => match state.dumps.remove(*id) {
            Some(_) => Reply::json(200, &json!({})),
            None => error(404, 404, "no such dump"),
        },
        _ => error(405, 405, "method not supported"),
    }
}

/// Batches of all collections in turn.
fn start(request: &Request, state: &mut State) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let most = state.faults.chunk.unwrap_or(body["batchSize"].as_u64().unwrap() as usize);
    let mut queues = Vec::new();
    for name in body["shards"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let Some(found) = state.databases[&request.database].collections.get(name) else {
            return error(404, 1203, "collection or view not found");
        };
        let mut pieces = VecDeque::from([String::new()]);
        let withheld = state.faults.withheld.as_ref().filter(|(withheld, _)| withheld == name);
        let texts = found.documents.values().rev().skip(withheld.map_or(0, |(_, count)| *count));
        for text in texts {
            if pieces.back().unwrap().len() >= most {
                pieces.push_back(String::new());
            }
            let last = pieces.back_mut().unwrap();
            *last += &member_order(text, state.faults.reordered);
            last.push('\n');
        }
        pieces.retain(|piece| !piece.is_empty());
        queues.push((name.to_owned(), pieces));
    }
    let mut dump = Dump::default();
    while queues.iter().any(|(_, pieces)| !pieces.is_empty()) {
        for (name, pieces) in &mut queues {
            dump.waiting.extend(pieces.pop_front().map(|piece| (name.clone(), piece)));
        }
    }
    if state.faults.indexed_at_start > 0 {
        state.faults.indexed_at_start -= 1;
        let id = state.new_id();
        let database = state.databases.get_mut(&request.database).unwrap();
        let index =
            json!({"id": id.to_string(), "type": "persistent", "fields": [format!("f{id}")]});
        database.collections.get_mut("items").unwrap().indexes.push(index);
    }
    state.next_id += 1;
    let id = format!("dump-{}", state.next_id);
    state.dumps.insert(id.clone(), dump);
    let headers = format!("x-arango-dump-id: {id}\r\n");
    Reply { status: 201, headers, ..Reply::default() }
}

fn next(request: &Request, id: &str, state: &mut State) -> Reply {
    state.write_meanwhile();
    let Some(dump) = state.dumps.get_mut(id) else { return error(404, 404, "no such dump") };
    let number = |key: &str| request.query(key).map(|text| text.parse::<u64>().unwrap());
    if let Some(last) = number("lastBatch") {
        dump.served.remove(&last);
    }
    let wanted = number("batchId").unwrap();
    if !dump.served.contains_key(&wanted) {
        let Some(piece) = dump.waiting.pop_front() else {
            return Reply { status: 204, ..Reply::default() };
        };
        dump.served.insert(wanted, piece);
    }
    let (name, lines) = &dump.served[&wanted];
    let headers = format!(
        "content-type: application/x-arango-dump; charset=utf-8\r\nx-arango-dump-shard-id: {name}\r\n"
    );
    Reply { status: 200, headers, body: lines.clone().into_bytes(), ..Reply::default() }
}
