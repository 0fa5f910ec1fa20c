//! What the server answers when nothing is made to go wrong.

use serde_json::{Value, json};

use super::wire::{Reply, Request};
use super::{Database, State, dumps, restores, things};

pub fn error(status: u16, number: u64, message: &str) -> Reply {
    let document =
        json!({"error": true, "code": status, "errorNum": number, "errorMessage": message});
    Reply::json(status, &document)
}

pub fn answer(request: &Request, state: &mut State) -> Reply {
    let path = request.path();
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    if path == ["_open", "auth"] {
        return open_auth(request, state);
    }
    if !is_known(request, state) {
        return error(401, 11, "not authorized to execute this request");
    }
    if !state.databases.contains_key(&request.database) {
        return error(404, 1228, "database not found");
    }
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["_api", "version"]) => {
            let about =
                json!({"server": "arango", "license": "community", "version": state.version});
            Reply::json(200, &about)
        }
        ("GET", ["_admin", "server", "role"]) => Reply::json(200, &json!({"role": state.role})),
        ("GET", ["_api", "database", "user"]) => {
            let names: Vec<_> = state.databases.keys().rev().collect();
            Reply::json(200, &json!({"error": false, "code": 200, "result": names}))
        }
        ("POST", ["_api", "database"]) => create_database(request, state),
        ("PUT", ["_api", "replication", what]) if what.starts_with("restore-") => {
            restores::restore(request, what, state)
        }
        (_, ["_api", "replication", rest @ ..]) => dumps::replication(request, rest, state),
        (_, ["_api", "dump", rest @ ..]) => dumps::parallel(request, rest, state),
        ("POST", ["_api", "import"]) => restores::import(request, state),
        (method, ["_api", rest @ ..]) => {
            if state.role == "COORDINATOR" && rest.last() == Some(&"rename") {
                return error(501, 9, "not implemented in a cluster");
            }
            let tells_ids = !state.faults.no_ids;
            let database = state.databases.get_mut(&request.database).unwrap();
            match things::answer(method, rest, request, database) {
                Some(reply) => reply,
                None => structure(method, rest, request, database, tells_ids),
            }
        }
        _ => error(404, 404, "unknown path"),
    }
}

fn structure(
    method: &str,
    path: &[&str],
    request: &Request,
    database: &mut Database,
    tells_ids: bool,
) -> Reply {
    let missing = || error(404, 1203, "collection or view not found");
    match (method, path) {
        ("GET", ["collection"]) => {
            let one = |it: &super::Collection| {
                let parameters = &it.parameters;
                json!({"name": it.name(), "type": parameters["type"], "isSystem": parameters["isSystem"]})
            };
            let list: Vec<_> = database.collections.values().rev().map(one).collect();
            Reply::json(200, &json!({"error": false, "code": 200, "result": list}))
        }
        ("GET", ["collection", name, "count"]) => match database.collections.get(*name) {
            Some(found) => {
                let mut about = json!({"name": name, "count": found.documents.len()});
                if tells_ids {
                    about["id"] = found.parameters["id"].clone();
                    about["globallyUniqueId"] = found.parameters["globallyUniqueId"].clone();
                }
                Reply::json(200, &about)
            }
            None => missing(),
        },
        ("GET", ["collection", name, "revision"]) => match database.collections.get(*name) {
            Some(_) if !tells_ids => error(501, 9, "not implemented"),
            Some(found) => {
                Reply::json(200, &json!({"name": name, "revision": format!("_w{}", found.writes)}))
            }
            None => missing(),
        },
        ("PUT", ["collection", name, "rename"]) => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let new = body["name"].as_str().unwrap().to_owned();
            if database.collections.contains_key(&new) {
                return error(409, 1207, "duplicate name");
            }
            if !database.collections.contains_key(*name) {
                return missing();
            }
            things::rename(database, name, &new);
            Reply::json(200, &json!({"error": false}))
        }
        ("GET", ["view"]) => {
            let list: Vec<_> = database.views.values().cloned().collect();
            Reply::json(200, &json!({"error": false, "code": 200, "result": list}))
        }
        ("GET", ["document", collection, key]) => {
            let found = database.collections.get(*collection).and_then(|it| it.documents.get(*key));
            match found {
                Some(text) => Reply::json(200, &serde_json::from_str(text).unwrap()),
                None => error(404, 1202, "document not found"),
            }
        }
        _ => error(404, 404, "unknown path"),
    }
}

fn create_database(request: &Request, state: &mut State) -> Reply {
    if request.database != "_system" {
        return error(403, 1230, "operation only allowed in system database");
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let name = body["name"].as_str().unwrap().to_owned();
    if state.databases.contains_key(&name) {
        return error(409, 1207, "duplicate database name");
    }
    let made = Database { options: body["options"].clone(), ..super::fresh() };
    state.databases.insert(name, made);
    Reply::json(201, &json!({"error": false, "code": 201, "result": true}))
}

fn is_known(request: &Request, state: &mut State) -> bool {
    let Some((user, password)) = &state.login else { return true };
    let sent = request.header("authorization").unwrap_or_default();
    if let Some(token) = sent.strip_prefix("Bearer ") {
        return match state.tokens.get_mut(token) {
            None | Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        };
    }
    sent == basic(user, password)
}

fn open_auth(request: &Request, state: &mut State) -> Reply {
    let Some((user, password)) = &state.login else { return error(404, 404, "unknown path") };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    if body["username"] != user.as_str() || body["password"] != password.as_str() {
        return error(401, 401, "Wrong credentials");
    }
    state.next_id += 1;
    let token = format!("token-{}", state.next_id);
    state.tokens.insert(token.clone(), state.token_uses);
    Reply::json(200, &json!({"jwt": token}))
}

fn basic(user: &str, password: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let pair = format!("{user}:{password}").into_bytes();
    let bits: String = pair.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut text = String::from("Basic ");
    for six in bits.as_bytes().chunks(6) {
        let six = format!("{:0<6}", str::from_utf8(six).unwrap());
        text.push(char::from(DIGITS[usize::from_str_radix(&six, 2).unwrap()]));
    }
    while (text.len() - 6) % 4 != 0 {
        text.push('=');
    }
    text
}
