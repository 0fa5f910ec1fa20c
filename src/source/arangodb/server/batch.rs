//! The server's own hold on one state of a database: a replication batch, kept alive and always released.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;
use super::trouble;
use crate::fault::ErrorKind;
use crate::limits::{KIB, MIB};
use crate::source::SourceError;
use crate::source::arangodb::Collector;
use crate::source::arangodb::failure::refused;
use crate::source::http::{Answer, Call, Repeat, escaped};

/// What a dump asks for at first, and at most: a server that has much to send is asked for more each time.
const CHUNK_FIRST: usize = 512 * KIB;
const CHUNK_MOST: usize = 16 * MIB;
/// A server ends a chunk after the document that fills it: the longest document comes on top.
pub(super) const ANSWER_MAX: usize = 512 * MIB;
/// Answers one after the other that hold nothing, and promise more.
pub(super) const EMPTY_MOST: u32 = 100;
pub(super) const DUMP_TYPE: &str = "application/x-arango-dump";
/// What replication knows this client by. Any number that is not 0.
const CLIENT: &str = "7265746f77";

/// A state that the server keeps until this is dropped.
pub(super) struct Batch {
    api: Api,
    database: String,
    /// Where it is, in a cluster.
    on: Option<String>,
    id: String,
    keeper: Option<Keeper>,
    is_released: bool,
}

impl Batch {
    /// Not asked for again where it may have been begun: the server would keep both until they run out.
    pub fn begin(
        api: &Api,
        database: &str,
        on: Option<&str>,
        ttl: Duration,
    ) -> Result<Self, SourceError> {
        let mut path = format!("/_api/replication/batch?serverId={CLIENT}&syncerId={CLIENT}");
        path.push_str(&place(on));
        let url = api.url(database, &path);
        let call = Call::post(url.clone(), Repeat::Undone).json(&json!({"ttl": ttl.as_secs()}));
        let answer = api.json(call)?;
        let id = match answer.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Err(api.not_arango(&url, "a batch has no id")),
        };
        let mut batch = Self {
            api: api.clone(),
            database: database.to_owned(),
            on: on.map(str::to_owned),
            id,
            keeper: None,
            is_released: false,
        };
        batch.keeper = Some(Keeper::start(&batch, ttl)?);
        Ok(batch)
    }

    fn url(&self) -> String {
        let on = place(self.on.as_deref());
        let query =
            if on.is_empty() { String::new() } else { format!("?{}", on.trim_start_matches('&')) };
        let path = format!("/_api/replication/batch/{}{query}", escaped(&self.id));
        self.api.url(&self.database, &path)
    }

    /// Collections with their indexes, views, and the tick that the state is of.
    pub fn inventory(&self) -> Result<Value, SourceError> {
        let path =
            format!("/_api/replication/inventory?includeSystem=true&batchId={}", escaped(&self.id));
        self.api.json(Call::get(self.api.url(&self.database, &path)))
    }

    /// All documents of a collection, or of a shard.
    ///
    /// The server's cursor moves with every answer it makes: one that was lost on its way cannot be had again,
    /// and is not asked for again, or the documents in it would be missing.
    pub fn dump(&self, name: &str, into: &mut Collector) -> Result<(), SourceError> {
        // A coordinator's 503 may come after it asked the server that holds the cursor.
        let is_undone =
            if self.on.is_some() { trouble::is_queue_time } else { trouble::is_not_begun };
        let (mut from, mut chunk, mut empty) = (0u64, CHUNK_FIRST, 0);
        loop {
            let path = format!(
                "/_api/replication/dump?collection={}&batchId={}&ticks=false&useEnvelope=false&flush=false\
                 &from={from}&chunkSize={chunk}{}",
                escaped(name),
                escaped(&self.id),
                place(self.on.as_deref()),
            );
            let call = Call::get(self.api.url(&self.database, &path));
            let call = call.accept(DUMP_TYPE).repeat(Repeat::Unreached);
            let answer = self.api.exchange_while(call, ANSWER_MAX, is_undone);
            let answer = answer.map_err(|error| self.broken(name, self.api.plain(error)))?;
            let more = self.check(name, &answer, from)?;
            empty = if answer.body.is_empty() { empty + 1 } else { 0 };
            if more.is_some() && empty > EMPTY_MOST {
                return Err(self.wrong(name, "promises more and more documents, and none come"));
            }
            into.read(answer.body.as_slice())?;
            match more {
                Some(last) => from = last,
                None => return Ok(()),
            }
            chunk = (chunk + chunk / 2).min(CHUNK_MOST);
        }
    }

    /// Whether an answer is whole, and from where it goes on.
    fn check(&self, name: &str, answer: &Answer, from: u64) -> Result<Option<u64>, SourceError> {
        let wrong = |what: &str| Err(self.wrong(name, what));
        if !answer.is_framed() {
            return wrong(
                "does not say how long it is, so that nobody could tell whether all of it came",
            );
        }
        let last = answer.header("x-arango-replication-lastincluded");
        let last = last.and_then(|last| last.parse::<u64>().ok());
        match (answer.header("x-arango-replication-checkmore"), last) {
            (Some("false"), _) => Ok(None),
            (Some("true"), Some(last)) if last > from => Ok(Some(last)),
            (Some("true"), _) => wrong("says that there is more and not from where"),
            _ => wrong("does not say whether there is more"),
        }
    }

    fn wrong(&self, name: &str, what: &str) -> SourceError {
        let shown = self.api.shown(&self.database, name);
        let message = format!("its dump {what}; nothing of it is kept: run the backup again");
        refused(ErrorKind::Unreachable, &shown, message)
    }

    fn broken(&self, name: &str, error: SourceError) -> SourceError {
        let SourceError::Refused { kind, path, message } = error else { return error };
        let batch = match self.keeper.as_ref().and_then(Keeper::failure) {
            Some(failure) => {
                format!("; the server's hold on this state could not be kept: {failure}")
            }
            None => String::new(),
        };
        let message = format!(
            "{message}{batch}; what the server sends of collection {name} it sends once only, so nothing is \
             kept: run the backup again"
        );
        // What is not found while it is held is the server's failure.
        let kind = if kind == ErrorKind::NotFound { ErrorKind::Unreachable } else { kind };
        SourceError::Refused { kind, path, message }
    }

    /// Lets go of it, whatever else is to stop.
    pub fn release(&mut self) -> Result<(), SourceError> {
        if std::mem::replace(&mut self.is_released, true) {
            return Ok(());
        }
        self.keeper = None;
        self.api.undisturbed().optional_done(Call::delete(self.url()))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            let database = &self.database;
            tracing::warn!(
                "the server holds a state of {database} for us until it runs out: {error}"
            );
        }
    }
}

fn place(on: Option<&str>) -> String {
    on.map(|on| format!("&DBserver={}", escaped(on))).unwrap_or_default()
}

/// Extends a batch while it is needed: between two requests may lie the time that a large collection takes.
struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<BatchState>,
    wake: Condvar,
}

#[derive(Default)]
struct BatchState {
    is_over: bool,
    failure: Option<String>,
}

impl Keeper {
    fn start(batch: &Batch, ttl: Duration) -> Result<Self, SourceError> {
        let shared = Arc::new(Shared::default());
        let (api, url) = (batch.api.undisturbed(), batch.url());
        let (theirs, body) = (Arc::clone(&shared), json!({"ttl": ttl.as_secs()}));
        let thread = std::thread::Builder::new().name("arango-batch".into()).spawn(move || {
            while theirs.wait(ttl / 4) {
                let extended = api.done(Call::put(url.clone()).json(&body));
                let mut state = theirs.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.failure = extended.err().map(|error| error.to_string());
                if let Some(failure) = &state.failure {
                    tracing::debug!("a batch was not extended: {failure}");
                }
            }
        });
        match thread {
            Ok(thread) => Ok(Self { shared, thread: Some(thread) }),
            Err(error) => {
                let message = format!("no thread to keep a batch alive: {error}");
                Err(refused(ErrorKind::Failed, &batch.database, message))
            }
        }
    }

    fn failure(&self) -> Option<String> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }
}

impl Shared {
    /// False once it is over.
    fn wait(&self, pause: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(state, pause, |state| !state.is_over);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
