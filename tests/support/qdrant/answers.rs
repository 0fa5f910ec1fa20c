//! What the server does when nothing is made to go wrong, and how bytes go wrong on their way.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::wire::{Request, reply};
use super::{Collection, State, said, sha256};

const PIECE: usize = 64 * 1024;

pub type Answer = Result<Value, (u16, String)>;

pub fn answer(connection: &TcpStream, mut request: Request, state: &Mutex<State>) {
    let path: Vec<String> = request.path().split('/').skip(1).map(unescaped).collect();
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    if let Some(key) = state.lock().unwrap().key.clone()
        && parts != [""]
        && request.header("api-key") != Some(&key)
    {
        let said = match request.header("api-key") {
            None => "Must provide an API key or an Authorization bearer token",
            Some(_) => "Invalid API key or JWT",
        };
        return reply(connection, 401, "content-type: text/plain\r\n", said.as_bytes());
    }
    let more = super::more::answer(connection, &mut request, state, &parts);
    let answered = match (request.method.as_str(), parts.as_slice()) {
        _ if more.is_some() => match more.flatten() {
            None => return,
            Some(answered) => answered,
        },
        ("GET", [""]) => {
            let about = json!({"title": "qdrant - vector search engine", "version": "1.19.0"});
            return reply(connection, 200, "", about.to_string().as_bytes());
        }
        ("GET", ["collections", c, "snapshots", name]) => {
            match download(connection, &request, state, c, name) {
                None => return,
                Some(refusal) => Err(refusal),
            }
        }
        ("POST", ["collections", c, "snapshots", "upload"]) => {
            let broken = {
                let breaks = &mut state.lock().unwrap().faults.upload_breaks;
                (!breaks.is_empty()).then(|| breaks.remove(0))
            };
            if let Some(after) = broken {
                request.body(Some(after), None);
                return;
            }
            let answer = upload(&mut request, state, c);
            if state.lock().unwrap().faults.loses_upload_answer {
                return;
            }
            answer
        }
        ("POST", ["collections", "aliases"]) => {
            let body = request.body(None, None).unwrap();
            set_aliases(&mut state.lock().unwrap(), &serde_json::from_slice(&body).unwrap())
        }
        (method, parts) => simple(method, parts, &mut state.lock().unwrap()),
    };
    let is_made = parts.ends_with(&["snapshots"]) && request.method == "POST";
    if is_made && state.lock().unwrap().faults.loses_answer {
        return;
    }
    match answered {
        Ok(result) => {
            let document = json!({"result": result, "status": "ok", "time": 0.001});
            reply(connection, 200, "", document.to_string().as_bytes());
        }
        Err((status, error)) => {
            let document = json!({"status": {"error": error}, "time": 0.001});
            reply(connection, status, "", document.to_string().as_bytes());
            if request.method == "POST" && state.lock().unwrap().faults.lingers {
                let came = std::io::copy(&mut request.reader, &mut std::io::sink());
                state.lock().unwrap().came_after += came.unwrap_or_default();
            }
        }
    }
}

fn simple(method: &str, parts: &[&str], state: &mut State) -> Answer {
    match (method, parts) {
        ("GET", ["collections"]) => {
            let names: Vec<_> =
                state.collections.keys().rev().map(|name| json!({"name": name})).collect();
            Ok(json!({"collections": names}))
        }
        ("GET", ["aliases"]) => Ok(aliases(state, None)),
        ("GET", ["collections", c]) => {
            if let Some(questions) = &mut state.faults.appears_after {
                *questions = questions.saturating_sub(1);
                if *questions == 0 {
                    let made =
                        Collection { info: said("notes.info.json"), ..Collection::default() };
                    state.collections.insert((*c).to_owned(), made);
                }
            }
            Ok(find(state, c)?.info.clone())
        }
        ("GET", ["collections", c, "cluster"]) => Ok(find(state, c)?.cluster.clone()),
        ("GET", ["collections", c, "aliases"]) => {
            find(state, c)?;
            Ok(aliases(state, Some(c)))
        }
        ("GET", ["collections", c, "snapshots"]) => {
            let with_checksum = !state.faults.no_checksum;
            let list = &find(state, c)?.snapshots;
            Ok(list.iter().map(|(name, bytes)| describe(name, bytes, with_checksum)).collect())
        }
        ("POST", ["collections", c, "snapshots"]) => make(state, c),
        ("DELETE", ["collections", c, "snapshots", name]) => {
            let elsewhere = state.faults.deletes_elsewhere;
            match find(state, c)?.snapshots.remove(*name).filter(|_| !elsewhere) {
                Some(_) => Ok(Value::Bool(true)),
                None => Err((404, format!("Not found: Snapshot {name} not found"))),
            }
        }
        _ => Err((404, String::new())),
    }
}

pub fn find<'s>(state: &'s mut State, name: &str) -> Result<&'s mut Collection, (u16, String)> {
    let missing = || (404, format!("Not found: Collection `{name}` doesn't exist!"));
    state.collections.get_mut(name).ok_or_else(missing)
}

fn aliases(state: &State, of: Option<&str>) -> Value {
    let chosen = state.aliases.iter().filter(|(_, c)| of.is_none_or(|of| of == *c));
    let list: Vec<_> =
        chosen.map(|(alias, c)| json!({"alias_name": alias, "collection_name": c})).collect();
    json!({"aliases": list})
}

fn describe(name: &str, bytes: &[u8], with_checksum: bool) -> Value {
    let mut about = json!({
        "name": name, "creation_time": "2026-11-20T20:00:10", "size": bytes.len(), "checksum": null,
    });
    if with_checksum {
        about["checksum"] = sha256(bytes).into();
    }
    about
}

fn make(state: &mut State, collection: &str) -> Answer {
    find(state, collection)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    match state.faults.same_second {
        0 => state.second = now.max(state.second + 1),
        _ => state.faults.same_second -= 1,
    }
    let name = format!("{collection}-4261355958411988-{}.snapshot", state.second);
    let with_checksum = !state.faults.no_checksum;
    let differs = state.faults.each_differs;
    let found = find(state, collection)?;
    found.made += 1;
    let mut bytes = Arc::clone(&found.bytes);
    if differs {
        bytes = Arc::new([&bytes[..], &found.made.to_le_bytes()].concat());
    }
    found.snapshots.insert(name.clone(), Arc::clone(&bytes));
    if state.faults.others_delete > 0 {
        state.faults.others_delete -= 1;
        find(state, collection)?.snapshots.remove(&name);
    }
    Ok(describe(&name, &bytes, with_checksum))
}

/// `None` where it was answered.
fn download(
    connection: &TcpStream,
    request: &Request,
    state: &Mutex<State>,
    collection: &str,
    name: &str,
) -> Option<(u16, String)> {
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    let mut locked = state.lock().unwrap();
    let found = match find(&mut locked, collection) {
        Ok(found) => found.snapshots.get(name).cloned(),
        Err(refusal) => return Some(refusal),
    };
    let Some(mut bytes) = found else {
        return Some((404, format!("Not found: Snapshot {name} not found")));
    };
    let range = request.header("range").map(|range| {
        range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')).unwrap().parse().unwrap()
    });
    let faults = &locked.faults;
    if range.is_some() && faults.replaced_after_cut {
        bytes = Arc::new(vec![7; bytes.len()]);
    }
    let etag = format!("\"{}\"", &sha256(&bytes)[..16]);
    let from: usize = match (range, request.header("if-range")) {
        (Some(from), Some(known)) if known == etag => from,
        (Some(from), None) => from,
        _ => 0,
    };
    let mut body = bytes[from..].to_vec();
    if let Some(at) = faults.flips
        && let Some(byte) = at.checked_sub(from).and_then(|at| body.get_mut(at))
    {
        *byte ^= 1;
    }
    let mut headers = String::from("accept-ranges: bytes\r\nconnection: close\r\n");
    if !faults.no_etag {
        headers += &format!("etag: {etag}\r\n");
    }
    if from > 0 {
        headers += &format!("content-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
    }
    match faults.ends_at {
        None => headers += &format!("content-length: {}\r\n", body.len()),
        Some(at) => body.truncate(at),
    }
    if let Some(every) = faults.cut_every {
        body.truncate(every);
    }
    let (slow, silent) = (faults.slow, faults.silent_after);
    drop(locked);
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let head = format!("HTTP/1.1 {status}\r\n{headers}\r\n");
    // Whoever asked may have gone: that is theirs.
    let _ = send(connection, head.as_bytes(), &body, slow, silent);
    None
}

fn send(
    mut connection: &TcpStream,
    head: &[u8],
    body: &[u8],
    slow: Option<Duration>,
    silent: Option<usize>,
) -> std::io::Result<()> {
    connection.write_all(head)?;
    for (number, piece) in body.chunks(PIECE).enumerate() {
        if let Some(pause) = slow {
            std::thread::sleep(pause);
        }
        if silent.is_some_and(|after| number * PIECE >= after) {
            std::thread::sleep(Duration::from_secs(30));
        }
        connection.write_all(piece)?;
    }
    Ok(())
}

fn upload(request: &mut Request, state: &Mutex<State>, collection: &str) -> Answer {
    let (ends, slow) = {
        let faults = &state.lock().unwrap().faults;
        (faults.upload_ends, faults.slow)
    };
    if let Some((after, status)) = ends {
        request.body(Some(after), None);
        std::thread::sleep(slow.unwrap_or_default());
        return Err((status, "No space left on device: WAL buffer size exceeds".into()));
    }
    let (file, bytes) = uploaded_slowly(request, slow)?;
    let mut state = state.lock().unwrap();
    if !state.collections.contains_key(collection) {
        let made = Collection { info: said("notes.info.json"), ..Collection::default() };
        state.collections.insert(collection.to_owned(), made);
    }
    let found = find(&mut state, collection)?;
    // It stays there, as with the real one.
    found.snapshots.insert(file, Arc::new(bytes.clone()));
    if let Some(checksum) = request.query("checksum")
        && checksum != sha256(&bytes)
    {
        return Err((400, "Bad request: Snapshot checksum mismatch".into()));
    }
    found.bytes = Arc::new(bytes.clone());
    let priority = request.query("priority").unwrap().to_owned();
    state.restored.push((collection.to_owned(), bytes, priority));
    Ok(Value::Bool(true))
}

fn set_aliases(state: &mut State, body: &Value) -> Answer {
    for action in body["actions"].as_array().unwrap() {
        if let Some(gone) = action.get("delete_alias") {
            state.aliases.remove(gone["alias_name"].as_str().unwrap());
        }
        if let Some(made) = action.get("create_alias") {
            let text = |key: &str| made[key].as_str().unwrap().to_owned();
            find(state, &text("collection_name"))?;
            state.aliases.insert(text("alias_name"), text("collection_name"));
        }
    }
    Ok(Value::Bool(true))
}

fn unescaped(segment: &str) -> String {
    let mut parts = segment.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

/// The name and the bytes of the file in a multipart body.
pub fn uploaded(request: &mut Request) -> Result<(String, Vec<u8>), (u16, String)> {
    uploaded_slowly(request, None)
}

fn uploaded_slowly(
    request: &mut Request,
    slow: Option<Duration>,
) -> Result<(String, Vec<u8>), (u16, String)> {
    let content_type = request.header("content-type").unwrap().to_owned();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap().to_owned();
    let Some(body) = request.body(None, slow) else {
        return Err((400, "the body was cut short".into()));
    };
    let head = body.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let described = String::from_utf8(body[..head].to_vec()).unwrap();
    assert!(described.starts_with(&format!("--{boundary}\r\n")), "{described}");
    assert!(described.contains("name=\"snapshot\""), "{described}");
    let file = described.split("filename=\"").nth(1).unwrap().split('"').next().unwrap();
    let tail = format!("\r\n--{boundary}--\r\n");
    let bytes = body[head..].strip_suffix(tail.as_bytes()).unwrap().to_vec();
    Ok((file.to_owned(), bytes))
}
