//! Servers and databases as they are named.

use std::path::PathBuf;

use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::http::{host_and_port, unescaped, without_secrets};

/// The port of ArangoDB's HTTP interface.
const PORT: u16 = 8529;
/// What stands for the host where requests go through a socket.
const SOCKET_BASE: &str = "http://localhost";

/// A server's HTTP interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArangoServer {
    /// `http://host:port`, without a slash at the end.
    base: String,
    socket: Option<PathBuf>,
    user: Option<String>,
}

impl ArangoServer {
    /// `http://host:8529`, `https://host`, `unix:///path`, and as ArangoDB's own tools call them: `tcp://`, `ssl://`,
    /// `http+tcp://`, `http+ssl://`, `http+unix://`. The port is 8529 where none is given.
    pub fn new(url: &str) -> Result<Self, SourceError> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(wrong(url, "a server is named http://HOST:8529 or unix:///PATH"));
        };
        let scheme = match scheme {
            "http" | "tcp" | "http+tcp" => "http",
            "https" | "ssl" | "http+ssl" => "https",
            "unix" | "http+unix" => return Self::on_socket(url, rest),
            _ => return Err(wrong(url, "a server is named http://HOST:8529 or https://HOST:8529")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(wrong(url, "a server's URL has no path, no ? and no #"));
        }
        Self::on_host(url, scheme, authority)
    }

    fn on_host(url: &str, scheme: &str, authority: &str) -> Result<Self, SourceError> {
        let (user, host) = user_of(url, authority)?;
        let host = host_and_port(host, PORT).map_err(|what| wrong(url, &what))?;
        Ok(Self { base: format!("{scheme}://{host}"), socket: None, user })
    }

    fn on_socket(url: &str, rest: &str) -> Result<Self, SourceError> {
        let (user, path) = match rest.find('/') {
            Some(0) => (None, rest),
            Some(at) => {
                let (authority, path) = rest.split_at(at);
                match user_of(url, authority)? {
                    (user @ Some(_), "") => (user, path),
                    _ => return Err(wrong(url, "a socket's path begins with /: unix:///run/…")),
                }
            }
            None => return Err(wrong(url, "a socket's path begins with /: unix:///run/…")),
        };
        let path =
            unescaped(path).ok_or_else(|| wrong(url, "the %-escapes in it are not UTF-8"))?;
        let socket = Some(PathBuf::from(path.trim_end_matches('/')));
        Ok(Self { base: SOCKET_BASE.to_owned(), socket, user })
    }

    /// Where requests go.
    pub(super) fn url(&self) -> &str {
        &self.base
    }

    pub(super) fn socket(&self) -> Option<&PathBuf> {
        self.socket.as_ref()
    }

    /// Who its URL names.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// What its errors call it.
    pub(super) fn shown(&self) -> String {
        match &self.socket {
            Some(path) => format!("unix://{}", path.display()),
            None => self.base.clone(),
        }
    }

    /// Its name among sources, the same whoever asks.
    pub(super) fn source_url(&self, databases: &[String]) -> String {
        let plain =
            |name: &String| name.replace('%', "%25").replace(',', "%2C").replace('?', "%3F");
        let databases = databases.iter().map(plain).collect::<Vec<_>>().join(",");
        match (&self.socket, self.base.strip_prefix("http://")) {
            (Some(path), _) => {
                let path = path.display().to_string().replace('%', "%25").replace('?', "%3F");
                format!("arangodb+unix://{path}?database={databases}")
            }
            (None, Some(rest)) => format!("arangodb://{rest}/{databases}"),
            (None, None) => format!("arangodb+{}/{databases}", self.base),
        }
    }

    pub(super) fn label(&self) -> String {
        match &self.socket {
            Some(_) => "arangodb".to_owned(),
            None => self.base.split("://").nth(1).unwrap_or_default().to_owned(),
        }
    }
}

/// A server and some of its databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArangoSource {
    pub server: ArangoServer,
    /// All that the user may read where none is named.
    pub databases: Vec<String>,
}

impl ArangoSource {
    /// `arangodb://[USER@]HOST[:PORT]/[DATABASE[,DATABASE…]]`; `arangodb+https://` for TLS;
    /// `arangodb+unix:///PATH?database=DATABASE` for a socket, whose path would else run into the database's name.
    pub fn parse(url: &str) -> Result<Self, SourceError> {
        let (server, names) = match url.split_once("://") {
            Some(("arangodb" | "arangodb+http", rest)) => Self::on_host(url, "http", rest)?,
            Some(("arangodb+https" | "arangodb+ssl", rest)) => Self::on_host(url, "https", rest)?,
            Some(("arangodb+unix", rest)) => {
                let (path, query) = rest.split_once('?').unwrap_or((rest, "database="));
                let names = query.split('&').next().and_then(|it| it.strip_prefix("database="));
                let Some(names) = names else {
                    let what = "after ? comes the database: arangodb+unix:///PATH?database=NAME";
                    return Err(wrong(url, what));
                };
                (ArangoServer::on_socket(url, path)?, names)
            }
            _ => return Err(wrong(url, "say arangodb://HOST:8529/DATABASE")),
        };
        let databases = names_of(url, names)?;
        Ok(Self { server, databases })
    }

    /// Databases as they stand in a URL: names between commas, with `%XX` for a comma in one.
    pub fn databases(names: &str) -> Result<Vec<String>, SourceError> {
        names_of(names, names)
    }

    fn on_host<'u>(
        url: &str,
        scheme: &str,
        rest: &'u str,
    ) -> Result<(ArangoServer, &'u str), SourceError> {
        let (authority, names) = rest.split_once('/').unwrap_or((rest, ""));
        // As a manifest has it: what was selected follows.
        let names = names.split('?').next().unwrap_or_default();
        if names.contains(['#', '/']) || authority.contains(['?', '#']) {
            return Err(wrong(url, "after the host comes /DATABASE and nothing else"));
        }
        Ok((ArangoServer::on_host(url, scheme, authority)?, names))
    }
}

/// Names between commas, each once.
fn names_of(url: &str, names: &str) -> Result<Vec<String>, SourceError> {
    let names = names.split(',').filter(|name| !name.is_empty());
    let wrong = || wrong(url, "the %-escapes in it are not UTF-8");
    let mut names =
        names.map(|name| unescaped(name).ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

fn user_of<'a>(url: &str, authority: &'a str) -> Result<(Option<String>, &'a str), SourceError> {
    let Some((user, host)) = authority.rsplit_once('@') else { return Ok((None, authority)) };
    if user.contains(':') {
        return Err(wrong(url, "no password belongs into a URL: set ARANGO_PASSWORD"));
    }
    let user = unescaped(user).filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| wrong(url, "the user before @ is empty or not UTF-8"))?;
    Ok((Some(user), host))
}

fn wrong(url: &str, what: &str) -> SourceError {
    let path = without_secrets(url);
    SourceError::Refused { kind: ErrorKind::Usage, path, message: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let of = |url: &str| ArangoServer::new(url).map(|server| server.base);
        assert_eq!(of("http://Localhost").unwrap(), "http://localhost:8529");
        assert_eq!(of("http+tcp://127.0.0.1:1/").unwrap(), "http://127.0.0.1:1");
        assert_eq!(of("ssl://[::1]").unwrap(), "https://[::1]:8529");
        let socket = ArangoServer::new("unix:///run/arangodb3/arangod.sock").unwrap();
        assert_eq!(socket.socket, Some("/run/arangodb3/arangod.sock".into()));
        assert_eq!(socket.shown(), "unix:///run/arangodb3/arangod.sock");
        for bad in ["localhost", "ftp://h", "http://", "http://h:x", "http://h/db", "unix://run/x"]
        {
            assert_eq!(of(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
        for bad in ["http://root:s3cret@h", "http://root:s3/cret@h", "unix://root:s3cret@/run/x"] {
            let error = of(bad).unwrap_err().to_string();
            assert!(!error.contains("s3"), "{error}");
        }
    }

    #[test]
    fn sources() {
        let of = |url: &str| ArangoSource::parse(url).unwrap();
        let shop = of("arangodb://anna@h/shop");
        assert_eq!(shop.server.user(), Some("anna"));
        assert_eq!(shop.databases, ["shop"]);
        assert_eq!(shop.server.source_url(&shop.databases), "arangodb://h:8529/shop");
        let two = of("arangodb+https://h:1/b%2Cc%3f,a,a");
        assert_eq!(two.databases, ["a", "b,c?"]);
        assert_eq!(two.server.source_url(&[]), "arangodb+https://h:1/");
        let socket = of("arangodb+unix://anna@/run/a%20b.sock?database=shop");
        assert_eq!(socket.server.socket, Some("/run/a b.sock".into()));
        assert_eq!(socket.server.user(), Some("anna"));
        assert_eq!(socket.databases, ["shop"]);
        // What a manifest calls a source names the same source.
        for source in [&two, &socket, &shop] {
            let url = source.server.source_url(&source.databases);
            for url in
                [url.clone(), format!("{url}{}system", if url.contains('?') { '&' } else { '?' })]
            {
                let again = of(&url);
                assert_eq!(
                    (&again.databases, again.server.url()),
                    (&source.databases, source.server.url())
                );
                assert_eq!(again.server.socket, source.server.socket);
            }
        }
        assert!(of("arangodb://h").databases.is_empty());
        assert!(of("arangodb+unix:///run/x").databases.is_empty());
        for bad in ["mysql://h/x", "arangodb://h/a/b", "arangodb://h/%zz", "arangodb+unix:///x?y=z"]
        {
            assert_eq!(ArangoSource::parse(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
        let error = ArangoSource::parse("arangodb://root:s3cret@h/x").unwrap_err().to_string();
        assert!(error.contains("ARANGO_PASSWORD") && !error.contains("s3cret"), "{error}");
    }
}
