//! A Qdrant server in this process: its REST interface as far as backups need it, its ugly sides on demand.

mod answers;
pub mod more;
mod wire;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use restow::source::http::{ClientOptions, Credential};
use restow::source::qdrant::{QdrantExporter, QdrantOptions, QdrantServer, QdrantSource};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::wire::Request;

/// A server on a port of its own, until it is dropped.
pub struct Qdrant {
    port: u16,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
pub struct State {
    pub key: Option<String>,
    pub collections: BTreeMap<String, Collection>,
    pub aliases: BTreeMap<String, String>,
    /// `METHOD /path?query` of all requests.
    pub requests: Vec<String>,
    pub faults: Faults,
    /// Collection, bytes and priority of all uploads taken in.
    pub restored: Vec<(String, Vec<u8>, String)>,
    /// Bodies of all that was made or changed by PUT, but points, and where.
    pub made: Vec<(String, Value)>,
    /// Of its cluster, as it tells of them.
    pub peers: Value,
    /// How many points each request wrote.
    pub batches: Vec<usize>,
    /// Where the shards are of collections that are made.
    pub new_layout: Value,
    /// Bytes that came after an upload was refused.
    pub came_after: u64,
    /// Of the names of snapshots.
    second: u64,
}

/// What goes wrong.
#[derive(Default)]
pub struct Faults {
    /// Answers instead of the true ones: for requests that begin with this, so many times.
    pub answers: Vec<Instead>,
    /// Each connection of a download is cut after so many bytes.
    pub cut_every: Option<usize>,
    pub no_etag: bool,
    /// The download ends here, and neither says how long it should be nor that it is not all.
    pub ends_at: Option<usize>,
    /// A pause before each 64 KiB that is sent or received, and before an upload is refused.
    pub slow: Option<Duration>,
    /// No byte of a download after this one comes, the connection stays.
    pub silent_after: Option<usize>,
    /// This byte of a download is another.
    pub flips: Option<usize>,
    /// Descriptions have no checksum, as with the server's S3 storage.
    pub no_checksum: bool,
    /// Snapshots made in the same second as the one before.
    pub same_second: u32,
    /// Another backup deletes the next snapshots as soon as they are made.
    pub others_delete: u32,
    /// Another backup has the server replace the bytes after the first cut.
    pub replaced_after_cut: bool,
    /// A snapshot is made, and the connection breaks before the answer.
    pub loses_answer: bool,
    /// A page of points has no more than this.
    pub page_most: Option<usize>,
    /// A page leads to itself; a page has its points in another order.
    pub scroll_loops: bool,
    pub scroll_shuffles: bool,
    /// The first of the next points written is not.
    pub loses_point: bool,
    /// An upload is answered with this status after so many bytes of it.
    pub upload_ends: Option<(usize, u16)>,
    /// After such an answer it takes what still comes, and throws it away, until the client hangs up.
    pub lingers: bool,
    /// The next uploads' connections break after so many bytes of each.
    pub upload_breaks: Vec<usize>,
    /// An upload is taken in, and the connection breaks before the answer.
    pub loses_upload_answer: bool,
    /// Somebody makes the collection that is asked for, before so many questions are answered.
    pub appears_after: Option<u32>,
    /// No two snapshots have the same bytes.
    pub each_differs: bool,
    /// Another node answers deletions, and knows nothing.
    pub deletes_elsewhere: bool,
}

pub struct Instead {
    pub request: String,
    pub times: u32,
    pub status: u16,
    pub headers: String,
    pub body: String,
}

#[derive(Default)]
pub struct Collection {
    pub info: Value,
    pub cluster: Value,
    /// What its next snapshot holds.
    pub bytes: Arc<Vec<u8>>,
    pub snapshots: BTreeMap<String, Arc<Vec<u8>>>,
    /// Snapshots made of it.
    pub made: u64,
    /// What a stream of a shard has.
    pub shards: BTreeMap<u64, Arc<Vec<u8>>>,
    pub points: more::Points,
}

/// The bytes of a real server's snapshot.
pub fn night(number: u32) -> Vec<u8> {
    zstd::decode_all(&*data(&format!("notes-night{number}.snapshot.zst"))).unwrap()
}

/// What a real server said in an answer's `result`.
pub fn said(name: &str) -> Value {
    let document: Value = serde_json::from_slice(&data(name)).unwrap();
    document.get("result").unwrap_or(&document).clone()
}

fn data(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/qdrant");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Qdrant {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, stop) = (Arc::new(Mutex::new(State::default())), Arc::default());
        let (shared, stopped) = (Arc::clone(&state), Arc::clone(&stop));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if AtomicBool::load(&stopped, Ordering::Relaxed) {
                    return;
                }
                let (Ok(connection), state) = (connection, Arc::clone(&shared)) else { continue };
                std::thread::spawn(move || serve(connection, &state));
            }
        });
        Self { port, state, stop }
    }

    /// With the collection `notes` as a real server had it on its first night.
    pub fn with_notes() -> Self {
        let server = Self::start();
        server.add("notes", night(0));
        server.lock().aliases.insert("notes_live".into(), "notes".into());
        server
    }

    pub fn add(&self, name: &str, bytes: Vec<u8>) {
        let cluster = json!({
            "peer_id": 4261355958411988u64,
            "shard_count": 1,
            "local_shards": [{"shard_id": 0, "points_count": 4000, "state": "Active"}],
            "remote_shards": [],
            "shard_transfers": [],
        });
        let info = said("notes.info.json");
        let collection =
            Collection { info, cluster, bytes: Arc::new(bytes), ..Collection::default() };
        self.lock().collections.insert(name.to_owned(), collection);
    }

    /// Which shards of a collection this node has, with their states, and which are on other peers.
    pub fn lay_out(&self, name: &str, peer: u64, local: &[(u64, &str)], remote: &[(u64, u64)]) {
        let local = local
            .iter()
            .map(|(id, state)| json!({"shard_id": id, "points_count": 4000, "state": state}));
        let remote = remote
            .iter()
            .map(|(id, peer)| json!({"shard_id": id, "peer_id": peer, "state": "Active"}));
        let cluster = json!({
            "peer_id": peer,
            "shard_count": 2,
            "local_shards": local.collect::<Vec<_>>(),
            "remote_shards": remote.collect::<Vec<_>>(),
            "shard_transfers": [],
        });
        self.lock().collections.get_mut(name).unwrap().cluster = cluster;
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// The next so many requests that begin like this get this answer.
    pub fn instead(&self, request: &str, times: u32, status: u16, headers: &str, body: &str) {
        let (request, headers, body) = (request.into(), headers.into(), body.into());
        self.lock().faults.answers.push(Instead { request, times, status, headers, body });
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn server(&self) -> QdrantServer {
        QdrantServer::new(&self.url()).unwrap()
    }

    pub fn exporter(&self, collections: &[&str]) -> QdrantExporter {
        self.exporter_with(collections, quick())
    }

    pub fn exporter_with(&self, collections: &[&str], options: QdrantOptions) -> QdrantExporter {
        let collections = collections.iter().map(|name| (*name).to_owned()).collect();
        QdrantExporter::new(QdrantSource { server: self.server(), collections }, options)
    }

    /// How many requests began like this.
    pub fn count(&self, request: &str) -> usize {
        self.lock().requests.iter().filter(|made| made.starts_with(request)).count()
    }

    /// Names of all snapshots that are on the server.
    pub fn left(&self) -> Vec<String> {
        let state = self.lock();
        state.collections.values().flat_map(|one| one.snapshots.keys().cloned()).collect()
    }
}

impl Drop for Qdrant {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the one who waits for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Options that do not make a test wait.
pub fn quick() -> QdrantOptions {
    let http = ClientOptions {
        pause: Duration::from_millis(2),
        read_timeout: Duration::from_secs(20),
        ..ClientOptions::default()
    };
    QdrantOptions { http, ..QdrantOptions::default() }
}

pub fn with_key(key: &str) -> QdrantOptions {
    QdrantOptions { credential: Some(Credential::api_key(key)), ..quick() }
}

fn serve(connection: TcpStream, state: &Mutex<State>) {
    let Some(request) = Request::read(&connection) else { return };
    let line = format!("{} {}", request.method, request.target);
    let instead = {
        let mut state = state.lock().unwrap();
        state.requests.push(line.clone());
        let answers = &mut state.faults.answers;
        let found = answers.iter_mut().find(|it| it.times > 0 && line.starts_with(&it.request));
        found.map(|it| {
            it.times -= 1;
            (it.status, it.headers.clone(), it.body.clone())
        })
    };
    match instead {
        // No answer at all.
        Some((0, ..)) => {}
        Some((status, headers, body)) => {
            wire::reply(&connection, status, &headers, body.as_bytes())
        }
        None => answers::answer(&connection, request, state),
    }
}
