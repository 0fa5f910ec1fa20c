//! An ArangoDB server in this process: its HTTP interface as far as backups need it, its ugly sides on demand.

mod answers;
mod data;
mod dumps;
mod restores;
mod things;
mod wire;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use restow::source::arangodb::{
    ArangoConnection, ArangoExporter, ArangoLogin, ArangoOptions, ArangoSource,
};
use restow::source::http::ClientOptions;

pub use self::data::{Collection, Database, document, dumped};
use self::wire::{Connection, Reply, Request};

/// A server on a port of its own, perhaps on a socket too, until it is dropped.
pub struct Arango {
    port: u16,
    socket: Option<PathBuf>,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

pub struct State {
    pub version: String,
    pub role: String,
    pub has_parallel_dumps: bool,
    pub databases: BTreeMap<String, Database>,
    /// Wanted of everybody.
    pub login: Option<(String, String)>,
    /// Requests that a token is good for.
    pub token_uses: u32,
    tokens: BTreeMap<String, u32>,
    pub batches: BTreeMap<String, dumps::Batch>,
    pub dumps: BTreeMap<String, dumps::Dump>,
    /// Batches that were extended, by now.
    pub extended: u32,
    /// `METHOD /path?query` of all requests, without the database.
    pub requests: Vec<String>,
    pub faults: Faults,
    tick: u64,
    next_id: u64,
}

/// What goes wrong.
#[derive(Default)]
pub struct Faults {
    /// Answers instead of the true ones: for requests that begin with this, so many times.
    answers: Vec<(String, u32, Reply)>,
    /// Answers to requests that begin with this are cut after so many bytes, so many times.
    pub cut: Option<(String, usize, u32)>,
    /// Documents come without their length.
    pub unframed: bool,
    pub slow: Option<Duration>,
    /// Batches are gone after so many dump requests.
    pub batches_last: Option<u32>,
    /// A dump request is not answered before batches were extended so often.
    pub waits_for_extension: u32,
    pub no_checkmore: bool,
    /// Documents have their members in another order.
    pub reordered: bool,
    /// Bytes of an answer with documents, whatever is asked for.
    pub chunk: Option<usize>,
    /// Written once the first documents are asked for: database, collection, document.
    pub written_meanwhile: Vec<(String, String, String)>,
    /// Done whenever a state is taken hold of, before it is, and once when its first documents are asked for.
    pub when_held: Option<fn(&mut State)>,
    pub when_read: Option<fn(&mut State)>,
    /// Dropped and made again once the first documents are asked for: database, collection.
    pub made_again_meanwhile: Vec<(String, String)>,
    /// Counts come without what tells a collection, and nobody tells its revision.
    pub no_ids: bool,
    /// So many documents of this collection are never sent.
    pub withheld: Option<(String, usize)>,
    /// Answers with no documents, each of which promises more.
    pub empty_answers: bool,
    /// So many times, when a parallel dump has begun: `items` gets another index.
    pub indexed_at_start: u32,
    pub no_restore_data: bool,
    /// A document is lost for every request that brings some.
    pub loses_documents: bool,
}

impl State {
    fn write_meanwhile(&mut self) {
        if let Some(change) = self.faults.when_read.take() {
            change(self);
        }
        for (database, collection, text) in std::mem::take(&mut self.faults.written_meanwhile) {
            self.add(&database, &collection, &text);
        }
        for (database, name) in std::mem::take(&mut self.faults.made_again_meanwhile) {
            let id = self.new_id();
            let database = self.databases.get_mut(&database).unwrap();
            let mut made = Collection::small(&name, 2, 0);
            made.parameters["id"] = id.to_string().into();
            made.parameters["globallyUniqueId"] = format!("hABC/{id}").into();
            database.collections.insert(name, made);
        }
    }

    /// A document, in place of one with its key.
    pub fn add(&mut self, database: &str, collection: &str, text: &str) {
        let database = self.databases.get_mut(database).unwrap();
        database.collections.get_mut(collection).unwrap().insert(text);
    }

    pub fn remove(&mut self, database: &str, collection: &str, key: &str) {
        let database = self.databases.get_mut(database).unwrap();
        database.collections.get_mut(collection).unwrap().remove(key);
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn collection(&self, database: &str, name: &str) -> &Collection {
        &self.databases[database].collections[name]
    }
}

/// A new database: it has its system collections.
pub fn fresh() -> Database {
    let mut database = Database::default();
    for name in ["_analyzers", "_graphs", "_jobs"] {
        database.collections.insert(name.to_owned(), Collection::small(name, 2, 0));
    }
    database
}

fn member_order(text: &str, reordered: bool) -> String {
    match reordered {
        // Sorted, so `_rev` comes somewhere else.
        true => serde_json::from_str::<serde_json::Value>(text).unwrap().to_string(),
        false => text.to_owned(),
    }
}

impl Arango {
    /// With database `_system` only.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State {
            version: "3.11.5".into(),
            role: "SINGLE".into(),
            has_parallel_dumps: false,
            databases: BTreeMap::from([("_system".to_owned(), fresh())]),
            login: None,
            token_uses: 1000,
            tokens: BTreeMap::new(),
            batches: BTreeMap::new(),
            dumps: BTreeMap::new(),
            extended: 0,
            requests: Vec::new(),
            faults: Faults::default(),
            tick: 4711,
            next_id: 0,
        };
        let (state, stop) = (Arc::new(Mutex::new(state)), Arc::default());
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
        Self { port, socket: None, state, stop }
    }

    /// With a database as a real server had it.
    pub fn with(name: &str, database: Database) -> Self {
        let server = Self::start();
        server.lock().databases.insert(name.to_owned(), database);
        server
    }

    /// With a small database `shop`: two collections, an edge collection, indexes, views, a graph.
    pub fn with_shop() -> Self {
        Self::with("shop", shop())
    }

    /// The coordinator of a cluster: the shards of every collection are at two servers.
    pub fn clustered(self) -> Self {
        {
            let mut state = self.lock();
            state.role = "COORDINATOR".into();
            for database in state.databases.values_mut() {
                for (name, one) in &mut database.collections {
                    let (first, second) = (format!("s.{name}.0"), format!("s.{name}.1"));
                    one.parameters["shards"] =
                        serde_json::json!({first: ["PRMR-a", "PRMR-b"], second: ["_PRMR-b"]});
                }
            }
        }
        self
    }

    /// Listens on a socket too.
    pub fn on_socket(mut self, path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (shared, stopped) = (Arc::clone(&self.state), Arc::clone(&self.stop));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if AtomicBool::load(&stopped, Ordering::Relaxed) {
                    return;
                }
                let (Ok(connection), state) = (connection, Arc::clone(&shared)) else { continue };
                std::thread::spawn(move || serve(connection, &state));
            }
        });
        self.socket = Some(path.to_owned());
        self
    }

    /// As servers from 3.12 on.
    pub fn modern(self) -> Self {
        {
            let mut state = self.lock();
            state.version = "3.12.4-1".into();
            state.has_parallel_dumps = true;
        }
        self
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// The next so many requests that begin like this get this answer. Status 0: none.
    pub fn instead(&self, request: &str, times: u32, status: u16, headers: &str, body: &str) {
        let reply =
            Reply { status, headers: headers.into(), body: body.into(), ..Reply::default() };
        self.lock().faults.answers.push((request.into(), times, reply));
    }

    /// `HOST:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn source(&self, databases: &str) -> ArangoSource {
        ArangoSource::parse(&format!("arangodb://{}/{databases}", self.host())).unwrap()
    }

    pub fn exporter(&self, databases: &str) -> ArangoExporter {
        self.exporter_with(databases, quick())
    }

    pub fn exporter_with(&self, databases: &str, options: ArangoOptions) -> ArangoExporter {
        ArangoExporter::new(self.source(databases), options)
    }

    /// How many requests began like this.
    pub fn count(&self, request: &str) -> usize {
        self.lock().requests.iter().filter(|made| made.starts_with(request)).count()
    }

    /// States that it still holds for somebody.
    pub fn held(&self) -> usize {
        let state = self.lock();
        state.batches.len() + state.dumps.len()
    }
}

impl Drop for Arango {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes those who wait for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.socket.as_ref().map(UnixStream::connect);
    }
}

pub fn shop() -> Database {
    let mut database = fresh();
    let add = |database: &mut Database, made: Collection| {
        database.collections.insert(made.name().to_owned(), made);
    };
    add(&mut database, Collection::small("items", 2, 50));
    add(&mut database, Collection::small("people", 2, 7));
    let mut bought = Collection::small("bought", 3, 0);
    for number in 0..7 {
        bought.insert(&format!(
            r#"{{"_key":"b{number}","_id":"bought/b{number}","_from":"people/k{number}","_to":"items/k{number}","_rev":"_b{number}"}}"#
        ));
    }
    add(&mut database, bought);
    let items = database.collections.get_mut("items").unwrap();
    items.indexes = vec![
        serde_json::json!({"id": "201", "name": "by_n", "type": "persistent", "fields": ["n"]}),
        serde_json::json!({"id": "202", "name": "inv", "type": "inverted", "fields": ["t"]}),
        serde_json::json!({"id": "203", "name": "near", "type": "vector", "fields": ["v"]}),
    ];
    let graph = r#"{"_key":"sales","_id":"_graphs/sales","_rev":"_g1","edgeDefinitions":[{"collection":"bought","from":["people"],"to":["items"]}]}"#;
    database.collections.get_mut("_graphs").unwrap().insert(graph);
    let analyzer =
        r#"{"_key":"words","_id":"_analyzers/words","_rev":"_a1","name":"words","type":"text"}"#;
    database.collections.get_mut("_analyzers").unwrap().insert(analyzer);
    let links = serde_json::json!({"items": {"includeAllFields": true}});
    let found =
        serde_json::json!({"name": "found", "type": "arangosearch", "id": "301", "links": links});
    let indexes = serde_json::json!([{"collection": "items", "index": "inv"}]);
    let alias = serde_json::json!({"name": "alias", "type": "search-alias", "id": "302", "indexes": indexes});
    database.views.insert("found".into(), found);
    database.views.insert("alias".into(), alias);
    database
}

/// Options that do not make a test wait.
pub fn quick() -> ArangoOptions {
    ArangoOptions { connection: connection(ArangoLogin::default()), ..ArangoOptions::default() }
}

pub fn connection(login: ArangoLogin) -> ArangoConnection {
    let http = ClientOptions {
        pause: Duration::from_millis(2),
        read_timeout: Duration::from_secs(20),
        ..ClientOptions::default()
    };
    ArangoConnection { login, http, ..ArangoConnection::default() }
}

fn serve(mut connection: impl Connection, state: &Mutex<State>) {
    let Some(request) = Request::read(&mut connection) else { return };
    let line = format!("{} {}", request.method, request.target);
    if line.contains("/_api/replication/dump") {
        wait_for_extension(state);
    }
    let mut locked = state.lock().unwrap();
    locked.requests.push(line.clone());
    let answers = &mut locked.faults.answers;
    let instead =
        answers.iter_mut().find(|(begins, times, _)| *times > 0 && line.starts_with(begins));
    if let Some((_, times, reply)) = instead {
        *times -= 1;
        let reply = reply.clone();
        drop(locked);
        if reply.status != 0 {
            reply.send(&mut connection);
        }
        return;
    }
    let mut reply = answers::answer(&request, &mut locked);
    if line.starts_with("PUT /_api/replication/batch") && reply.status == 204 {
        locked.extended += 1;
    }
    let has_documents = reply.headers.contains("application/x-arango-dump");
    let faults = &mut locked.faults;
    reply.unframed = has_documents && faults.unframed;
    reply.slow = faults.slow.filter(|_| has_documents);
    if let Some((begins, at, times)) = &mut faults.cut
        && *times > 0
        && line.starts_with(begins.as_str())
    {
        *times -= 1;
        reply.cut = Some(*at);
    }
    drop(locked);
    reply.send(&mut connection);
}

fn wait_for_extension(state: &Mutex<State>) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let locked = state.lock().unwrap();
        if locked.extended >= locked.faults.waits_for_extension || Instant::now() > until {
            return;
        }
        drop(locked);
        std::thread::sleep(Duration::from_millis(10));
    }
}
