//! Servers and collections as they are named.

use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::http::{host_and_port, unescaped, without_secrets};

/// The port of Qdrant's REST interface.
const PORT: u16 = 6333;

/// A server's REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QdrantServer {
    /// `http://host:port`, perhaps with a path, without a slash at the end.
    base: String,
}

impl QdrantServer {
    /// `http://host`, `https://host:port/path`, as `QDRANT_URL` has it. The port is 6333 where none is given.
    pub fn new(url: &str) -> Result<Self, SourceError> {
        let wrong = |what: &str| wrong(url, what);
        let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else {
            return Err(wrong("a Qdrant server is named http://HOST:6333 or https://HOST:6333"));
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path.trim_matches('/')),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(wrong("no key belongs into a URL: set QDRANT_API_KEY"));
        }
        if rest.contains(['?', '#']) {
            return Err(wrong("a server's URL has no ? and no #"));
        }
        let authority = host_and_port(authority, PORT).map_err(|what| wrong(&what))?;
        Ok(Self { base: format!("{scheme}://{authority}/{path}").trim_end_matches('/').to_owned() })
    }

    pub fn url(&self) -> &str {
        &self.base
    }

    /// Its name among sources: `qdrant://host:port` or `qdrant+https://host:port`.
    pub(super) fn source_url(&self) -> String {
        match self.base.strip_prefix("http://") {
            Some(rest) => format!("qdrant://{rest}"),
            None => format!("qdrant+{}", self.base),
        }
    }

    pub(super) fn host(&self) -> &str {
        let rest = self.base.split("://").nth(1).unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }
}

/// A server and some of its collections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QdrantSource {
    pub server: QdrantServer,
    /// All where none is named.
    pub collections: Vec<String>,
}

impl QdrantSource {
    /// `qdrant://HOST[:PORT]/[COLLECTION[,COLLECTION…]]`; `qdrant+https://` for TLS.
    pub fn parse(url: &str) -> Result<Self, SourceError> {
        let rest = match url.split_once("://") {
            Some(("qdrant" | "qdrant+http", rest)) => ("http", rest),
            Some(("qdrant+https", rest)) => ("https", rest),
            _ => return Err(wrong(url, "say qdrant://HOST:6333/COLLECTION")),
        };
        let (scheme, rest) = rest;
        if url.contains(['?', '#']) {
            return Err(wrong(
                url,
                "a source has no ? and no #: a key belongs into QDRANT_API_KEY, and in names \
                                   they are %3F and %23",
            ));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // What stands before the last / is where a proxy has the server.
        let (folder, names) = path.rsplit_once('/').unwrap_or(("", path));
        let server = QdrantServer::new(&format!("{scheme}://{authority}/{folder}"))?;
        Ok(Self { server, collections: Self::collections(names)? })
    }

    /// `COLLECTION[,COLLECTION…]`, with %-escapes.
    pub fn collections(names: &str) -> Result<Vec<String>, SourceError> {
        let named = |name: &str| {
            let name =
                unescaped(name).ok_or_else(|| wrong(name, "the %-escapes in it are not UTF-8"))?;
            match is_name(&name) {
                true => Ok(name),
                false => Err(wrong(&name, "is no name of a collection")),
            }
        };
        names.split(',').filter(|name| !name.is_empty()).map(named).collect()
    }
}

/// Whether it can be one segment of a URL's path: `.` and `..` would lead elsewhere.
pub(super) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(|c: char| c == '/' || c.is_control())
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
        let of = |url: &str| QdrantServer::new(url).map(|server| server.base);
        assert_eq!(of("http://Localhost").unwrap(), "http://localhost:6333");
        assert_eq!(of("https://a.b:443/").unwrap(), "https://a.b:443");
        assert_eq!(of("http://[::1]").unwrap(), "http://[::1]:6333");
        assert_eq!(of("http://h:80/qdrant/").unwrap(), "http://h:80/qdrant");
        for bad in
            ["localhost:6333", "ftp://h", "http://", "http://h:x", "http://h/?a", "http://h/#a"]
        {
            assert_eq!(of(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
        let error = of("http://:s3cret@h").unwrap_err().to_string();
        assert!(error.contains("QDRANT_API_KEY") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn sources() {
        let of = |url: &str| QdrantSource::parse(url).unwrap();
        let notes = of("qdrant://h/notes");
        assert_eq!(notes.server.url(), "http://h:6333");
        assert_eq!(notes.server.source_url(), "qdrant://h:6333");
        assert_eq!(notes.collections, ["notes"]);
        let both = of("qdrant+https://h:1/a%20b,c");
        assert_eq!(both.server.source_url(), "qdrant+https://h:1");
        assert_eq!(both.server.host(), "h:1");
        assert_eq!(both.collections, ["a b", "c"]);
        assert!(of("qdrant://h").collections.is_empty());
        let behind = of("qdrant://h:80/proxy/q/notes");
        assert_eq!(behind.server.url(), "http://h:80/proxy/q");
        assert_eq!(
            (behind.collections.as_slice(), of("qdrant://h:80/q/").server.url()),
            (["notes".to_owned()].as_slice(), "http://h:80/q")
        );
        for bad in [
            "qdrant://h/notes?api_key=s3cret",
            "qdrant://h/a#s3cret",
            "qdrant://h/..",
            "qdrant://h/a%2Fb",
        ] {
            let error = QdrantSource::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{bad}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        let error = QdrantServer::new("https://h:6333?api_key=s3cret").unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(QdrantSource::parse("qdrant://h/%zz").is_err());
        assert!(QdrantSource::parse("mysql://h/x").is_err());
    }
}
