//! The part of ArangoDB's HTTP interface that backups and restores need.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::auth::{ArangoLogin, Auth};
use super::name::ArangoServer;
use super::trouble::{self, DATABASE_NOT_FOUND, is_queue_time};
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::progress::Cancel;
use crate::source::SourceError;
use crate::source::arangodb::failure::refused;
use crate::source::http::{Answer, Call, Client, ClientOptions, HttpError, Repeat, escaped};

/// How long a server may be silent that is asked for something last.
const HASTE: Duration = Duration::from_secs(15);
/// Bytes of an answer about structure: an inventory has every collection of a database in it.
const STRUCTURE_MAX: usize = 128 * MIB;
/// The database that is always there.
pub(super) const SYSTEM: &str = "_system";

/// How a server is talked to.
#[derive(Debug, Clone, Default)]
pub struct ArangoConnection {
    pub login: ArangoLogin,
    pub http: ClientOptions,
    /// How long to wait for a server that does not answer yet.
    pub wait_ready: Option<Duration>,
}

#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    server: Arc<ArangoServer>,
    auth: Arc<Auth>,
    http: ClientOptions,
    cancel: Cancel,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub text: String,
    pub major: u32,
    pub minor: u32,
}

impl Version {
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl Api {
    /// Looks at a socket; asks something only where the server is to be waited for.
    pub fn new(
        server: &ArangoServer,
        connection: &ArangoConnection,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let mut http = connection.http.clone();
        http.unix_socket = server.socket().cloned();
        let (server, login) = (Arc::new(server.clone()), connection.login.clone());
        let client = Client::new(http.clone(), None, server.url(), cancel)
            .map_err(|error| trouble::plain(error, &server, &login))?;
        let (auth, cancel) = (Arc::new(Auth::new(login)), cancel.clone());
        let api = Self { client, server, auth, http, cancel };
        match (connection.wait_ready, api.server.socket()) {
            (Some(most), _) => api.wait_ready(most)?,
            (None, Some(socket)) => look_at(socket, &api.server)?,
            (None, None) => {}
        }
        Ok(api)
    }

    /// Waits for an answer, be it a refusal, for at most so long.
    fn wait_ready(&self, most: Duration) -> Result<(), SourceError> {
        let call = Call::get(format!("{}/_api/version", self.server.url()));
        match self.client.ask_until(&call, most) {
            Err(error) if matches!(error.status(), None | Some(502..=504)) => {
                Err(self.plain(error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The same, that can be told to stop on its own.
    pub fn stoppable(&self) -> (Self, Cancel) {
        let cancel = self.cancel.child();
        let client = self.client.with_cancel(cancel.clone());
        (Self { client, cancel: cancel.clone(), ..self.clone() }, cancel)
    }

    pub fn shown_server(&self) -> String {
        self.server.shown()
    }

    /// For what must be done though everything else is to stop, and somebody waits for that.
    pub fn undisturbed(&self) -> Self {
        let client = self.client.with_cancel(Cancel::new()).hasty(1, HASTE);
        let http = ClientOptions { retries: 1, ..self.http.clone() };
        Self { client, http, ..self.clone() }
    }

    /// `path` with its query, below a database.
    pub fn url(&self, database: &str, path: &str) -> String {
        format!("{}/_db/{}{path}", self.server.url(), escaped(database))
    }

    /// What a thing of the server is called in errors.
    pub fn shown(&self, database: &str, name: &str) -> String {
        match name {
            "" => format!("{}/_db/{database}", self.server.shown()),
            name => format!("{}/_db/{database}/{name}", self.server.shown()),
        }
    }

    /// Asks, with a token that still holds, and again where the server was too busy to begin.
    pub fn exchange(&self, call: Call, most: usize) -> Result<Answer, HttpError> {
        self.exchange_while(call, most, is_queue_time)
    }

    /// Asks again where `is_undone` says that the server did not begin.
    pub fn exchange_while(
        &self,
        call: Call,
        most: usize,
        is_undone: fn(&HttpError) -> bool,
    ) -> Result<Answer, HttpError> {
        let (client, base) = (&self.client, self.server.url());
        let mut ticket = self.auth.ticket(client, base)?;
        let (mut is_renewed, mut tries) = (false, 0);
        loop {
            let known = match &ticket.credential {
                Some(credential) => call.clone().known_by(credential)?,
                None => call.clone(),
            };
            match client.exchange(&known, most) {
                Err(error) if error.status() == Some(401) && !is_renewed => {
                    is_renewed = true;
                    match self.auth.renewed(&ticket, client, base)? {
                        Some(renewed) => ticket = renewed,
                        None => return Err(error),
                    }
                }
                Err(error) if is_undone(&error) && tries < self.http.retries => {
                    tracing::info!("{error}; trying again");
                    let pause = self.http.pause.saturating_mul(2u32.saturating_pow(tries));
                    client.sleep(&error.url, pause.min(self.http.pause_max))?;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    pub fn json(&self, call: Call) -> Result<Value, SourceError> {
        let url = call.shown().to_owned();
        let answer = self.exchange(call, STRUCTURE_MAX).map_err(|error| self.plain(error))?;
        self.parsed(&url, &answer.body)
    }

    /// `None` where there is no such thing.
    pub fn optional(&self, call: Call) -> Result<Option<Value>, SourceError> {
        let url = call.shown().to_owned();
        match self.exchange(call, STRUCTURE_MAX) {
            Ok(answer) => self.parsed(&url, &answer.body).map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(self.plain(error)),
        }
    }

    /// Done, or done already: no error where there is no such thing.
    pub fn optional_done(&self, call: Call) -> Result<(), SourceError> {
        match self.exchange(call, STRUCTURE_MAX) {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(404) => Ok(()),
            Err(error) => Err(self.plain(error)),
        }
    }

    /// Done. What the server says to it does not matter.
    pub fn done(&self, call: Call) -> Result<(), SourceError> {
        self.exchange(call, STRUCTURE_MAX).map(drop).map_err(|error| self.plain(error))
    }

    fn parsed(&self, url: &str, answer: &[u8]) -> Result<Value, SourceError> {
        match serde_json::from_slice(answer) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
            Ok(_) => Err(self.not_arango(url, "the answer is no JSON object")),
            Err(error) => Err(self.not_arango(url, &error.to_string())),
        }
    }

    pub fn plain(&self, error: HttpError) -> SourceError {
        trouble::plain(error, &self.server, &self.auth.login)
    }

    pub fn not_arango(&self, url: &str, what: &str) -> SourceError {
        let message = format!("does not answer as ArangoDB does: {what}; is this its port (8529)?");
        refused(ErrorKind::Unreachable, &trouble::shown(url, &self.server), message)
    }

    /// The first thing asked of a database: whether it is there, may be read, and is ArangoDB's.
    pub fn version(&self, database: &str) -> Result<Version, SourceError> {
        let url = self.url(database, "/_api/version");
        let answer = match self.exchange(Call::get(url.clone()), STRUCTURE_MAX) {
            Ok(answer) => self.parsed(&url, &answer.body)?,
            Err(error) if trouble::number(&error) == Some(DATABASE_NOT_FOUND) => {
                return Err(self.missing_database(database));
            }
            Err(error) => return Err(self.plain(error)),
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let (Some("arango"), Some(version)) = (text("server"), text("version")) else {
            return Err(self.not_arango(&url, "its version is not one of ArangoDB"));
        };
        let mut numbers = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Ok(Version { text: version.to_owned(), major, minor })
    }

    /// `SINGLE`, `COORDINATOR`… `None` where the server does not tell this user.
    pub fn role(&self, database: &str) -> Result<Option<String>, SourceError> {
        match self.exchange(Call::get(self.url(database, "/_admin/server/role")), MIB) {
            Ok(answer) => {
                let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                Ok(answer.get("role").and_then(Value::as_str).map(str::to_owned))
            }
            Err(error) if matches!(error.status(), Some(403 | 404 | 405 | 501)) => Ok(None),
            Err(error) => Err(self.plain(error)),
        }
    }

    /// All databases that the user may use, sorted.
    pub fn databases(&self) -> Result<Vec<String>, SourceError> {
        let url = format!("{}/_api/database/user", self.server.url());
        let answer = self.json(Call::get(url))?;
        let list = answer.get("result").and_then(Value::as_array).into_iter().flatten();
        let mut names: Vec<_> = list.filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    pub fn missing_database(&self, database: &str) -> SourceError {
        let there = match self.databases() {
            Ok(names) if names.is_empty() => "the server shows none to this user".to_owned(),
            Ok(names) => format!("there is {}", names.join(", ")),
            Err(error) => return error,
        };
        let message = format!("no database {database}; {there}");
        refused(ErrorKind::NotFound, &self.server.shown(), message)
    }

    /// Makes a database. Not again where it may have been made.
    pub fn create_database(&self, database: &str, options: &Value) -> Result<(), SourceError> {
        let call = Call::post(self.url(SYSTEM, "/_api/database"), Repeat::Undone);
        self.json(call.json(&json!({"name": database, "options": options}))).map(drop)
    }

    /// Names of all collections of a database, system ones too, sorted.
    pub fn collections(&self, database: &str) -> Result<Vec<String>, SourceError> {
        self.names(&self.url(database, "/_api/collection"))
    }

    pub fn views(&self, database: &str) -> Result<BTreeSet<String>, SourceError> {
        Ok(self.names(&self.url(database, "/_api/view"))?.into_iter().collect())
    }

    fn names(&self, url: &str) -> Result<Vec<String>, SourceError> {
        let answer = self.json(Call::get(url.to_owned()))?;
        let Some(list) = answer.get("result").and_then(Value::as_array) else {
            return Err(self.not_arango(url, "the answer has no list"));
        };
        let name = |it: &Value| it.get("name").and_then(Value::as_str).map(str::to_owned);
        let mut names: Vec<_> = list.iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// A collection as it is now, with its `count`, perhaps with what the server tells it by.
    pub fn counted(&self, database: &str, collection: &str) -> Result<Option<Value>, SourceError> {
        let path = format!("/_api/collection/{}/count", escaped(collection));
        self.optional(Call::get(self.url(database, &path)))
    }

    /// What is another one after each write to the collection. `None` where the server does not tell.
    pub fn revision(
        &self,
        database: &str,
        collection: &str,
    ) -> Result<Option<String>, SourceError> {
        let path = format!("/_api/collection/{}/revision", escaped(collection));
        match self.exchange(Call::get(self.url(database, &path)), MIB) {
            Ok(answer) => {
                let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                Ok(answer.get("revision").and_then(Value::as_str).map(str::to_owned))
            }
            Err(error) if matches!(error.status(), Some(403 | 404 | 405 | 501)) => Ok(None),
            Err(error) => Err(self.plain(error)),
        }
    }

    /// `None`: there is no such collection.
    pub fn count(&self, database: &str, collection: &str) -> Result<Option<u64>, SourceError> {
        let Some(answer) = self.counted(database, collection)? else { return Ok(None) };
        match answer.get("count").and_then(Value::as_u64) {
            Some(count) => Ok(Some(count)),
            None => {
                let url = self.url(database, &format!("/_api/collection/{collection}/count"));
                Err(self.not_arango(&url, "the answer has no count"))
            }
        }
    }
}

/// Tells what is wrong with a socket while that can be told exactly.
fn look_at(socket: &Path, server: &ArangoServer) -> Result<(), SourceError> {
    match UnixStream::connect(socket) {
        Ok(_) => Ok(()),
        Err(error) => match socket_trouble(&error) {
            Some(message) => Err(refused(ErrorKind::Unreachable, &server.shown(), message)),
            None => Ok(()),
        },
    }
}

/// `None`: nobody listens on it yet, which is tried again.
fn socket_trouble(error: &io::Error) -> Option<String> {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock => return None,
        io::ErrorKind::NotFound => {
            "there is no such socket: does ArangoDB listen on it (--server.endpoint unix:///PATH), and does it run?"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not use the socket: let restow run as a user of its group, or name \
             arangodb://HOST:8529 instead"
        }
        _ => return Some(format!("cannot be connected to: {error}")),
    };
    Some(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_socket() {
        let of = |errno: rustix::io::Errno| socket_trouble(&errno.into());
        assert!(of(rustix::io::Errno::ACCESS).unwrap().contains("a user of its group"));
        assert!(of(rustix::io::Errno::NOENT).unwrap().contains("no such socket"));
        assert!(of(rustix::io::Errno::NOTDIR).unwrap().contains("cannot be connected to"));
        assert_eq!(of(rustix::io::Errno::CONNREFUSED), None);
    }
}
