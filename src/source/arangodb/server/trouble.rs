//! Errors as somebody who runs an ArangoDB server needs them.

use serde_json::Value;

use super::auth::ArangoLogin;
use super::name::ArangoServer;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::http::{HttpError, Trouble};

/// `errorNum`s.
pub(super) const DATABASE_NOT_FOUND: u64 = 1228;
pub(super) const COLLECTION_NOT_FOUND: u64 = 1203;
const QUEUE_TIME: u64 = 21004;
const QUEUE_FULL: u64 = 21003;
const STARTING: u64 = 38;
const UNAVAILABLE: u64 = 503;

/// What the document of an error says, or its plain text.
pub(super) struct Said {
    pub number: Option<u64>,
    pub text: String,
}

impl Said {
    fn of(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let number = document.get("errorNum").and_then(Value::as_u64);
        let said = document.get("errorMessage").and_then(Value::as_str).unwrap_or(text);
        Self { number, text: said.to_owned() }
    }
}

/// The number of the server's error, if it is one.
pub(super) fn number(error: &HttpError) -> Option<u64> {
    match &error.trouble {
        Trouble::Status { said, .. } => Said::of(said).number,
        _ => None,
    }
}

/// Whether the server had too much to do to even begin.
pub(super) fn is_queue_time(error: &HttpError) -> bool {
    error.status() == Some(412) && number(error) == Some(QUEUE_TIME)
}

/// Whether a server that nobody stands in front of did not begin: it is starting, in maintenance, or its queue is full.
pub(super) fn is_not_begun(error: &HttpError) -> bool {
    let closed = matches!(number(error), Some(STARTING | UNAVAILABLE | QUEUE_FULL));
    is_queue_time(error) || (error.status() == Some(503) && closed)
}

/// With the next step.
pub(super) fn plain(error: HttpError, server: &ArangoServer, login: &ArangoLogin) -> SourceError {
    let HttpError { url, trouble } = error;
    let (kind, message) = match trouble {
        Trouble::Interrupted => return SourceError::Interrupted,
        Trouble::Connect(cause) => {
            let next = match server.socket() {
                Some(_) => "is ArangoDB running, and does it listen on this socket?",
                None => "is ArangoDB running there, and is this its port (8529)?",
            };
            (ErrorKind::Unreachable, format!("cannot connect: {cause}; {next}"))
        }
        Trouble::Status { code, said, .. } => status(code, &Said::of(&said), login),
        other => (ErrorKind::Unreachable, other.to_string()),
    };
    SourceError::Refused { kind, path: shown(&url, server), message }
}

/// A URL as it was named: what stands for a socket's host means nothing to anybody.
pub(super) fn shown(url: &str, server: &ArangoServer) -> String {
    match url.strip_prefix(server.url()) {
        Some(rest) => format!("{}{rest}", server.shown()),
        None => url.to_owned(),
    }
}

fn status(code: u16, said: &Said, login: &ArangoLogin) -> (ErrorKind, String) {
    let text = match (said.number, said.text.as_str()) {
        (_, "") => format!("the server answers {code}"),
        (None, text) => format!("the server answers {code}: {text}"),
        (Some(number), text) => format!("the server answers {code}: {text} (error {number})"),
    };
    let who = login.who();
    let next = match (code, login) {
        (401, ArangoLogin::Token(_)) => {
            "the token in ARANGO_JWT is wrong or has run out".to_owned()
        }
        (401, ArangoLogin::Basic { password, .. } | ArangoLogin::Session { password, .. }) => {
            match password.is_empty() {
                true => format!(
                    "for {who} it wants a password: set ARANGO_PASSWORD, and ARANGO_USER \
                                 for another user"
                ),
                false => format!(
                    "{who} or the password in ARANGO_PASSWORD is wrong, or may not use this database"
                ),
            }
        }
        (403, _) => format!(
            "{who} may not do this: a backup needs a user that may read the database and its collections, a \
             restore one that may write, both a server that is not in maintenance"
        ),
        (409, _) => "something of this name is there already".to_owned(),
        (412, _) if said.number == Some(QUEUE_TIME) => {
            "it has too much to do: try again later".to_owned()
        }
        (413, _) => {
            "it, or a proxy before it, takes no request of this size: raise that limit (nginx: \
             client_max_body_size)"
                .to_owned()
        }
        (429, _) => "it has too much to do: try again later".to_owned(),
        (503, _) => "it is starting, stopping or in maintenance: try again later".to_owned(),
        (507, _) => "its disk is full".to_owned(),
        _ => String::new(),
    };
    let kind = match code {
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Exists,
        _ => ErrorKind::Unreachable,
    };
    match next.is_empty() {
        true => (kind, text),
        false => (kind, format!("{text}; {next}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, text: &str, login: &ArangoLogin) -> SourceError {
        let server = ArangoServer::new("unix:///run/a.sock").unwrap();
        let trouble = Trouble::Status { code, said: text.into(), after: None };
        let url = "http://localhost/_db/x/_api/version".into();
        plain(HttpError { url, trouble }, &server, login)
    }

    #[test]
    fn each_names_the_url_the_cause_and_the_next_step() {
        let said = r#"{"code":401,"error":true,"errorMessage":"not authorized","errorNum":11}"#;
        let wrong = of(401, said, &ArangoLogin::basic("anna", "s3cret"));
        assert_eq!(wrong.kind(), ErrorKind::Unreachable);
        assert_eq!(
            wrong.to_string(),
            "unix:///run/a.sock/_db/x/_api/version: the server answers 401: not authorized (error 11); user \
             anna or the password in ARANGO_PASSWORD is wrong, or may not use this database"
        );
        let none = of(401, "", &ArangoLogin::default()).to_string();
        assert!(none.contains("user root") && none.contains("set ARANGO_PASSWORD"), "{none}");
        assert!(of(401, "", &ArangoLogin::token("x")).to_string().contains("ARANGO_JWT"));
        assert_eq!(of(404, "", &ArangoLogin::default()).kind(), ErrorKind::NotFound);
        assert_eq!(of(409, "", &ArangoLogin::default()).kind(), ErrorKind::Exists);
        let queue = of(412, r#"{"errorNum":21004,"errorMessage":"q"}"#, &ArangoLogin::default());
        assert!(queue.to_string().contains("too much to do"), "{queue}");
    }
}
