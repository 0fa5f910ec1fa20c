//! HTTP/1.1 as plain bytes, over TCP and unix sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Either kind of connection.
pub trait Connection: Read + Write + Send {
    fn patient(&self);
}

impl Connection for TcpStream {
    fn patient(&self) {
        self.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    }
}

impl Connection for UnixStream {
    fn patient(&self) {
        self.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    }
}

pub struct Request {
    pub method: String,
    /// Path and query, without `/_db/NAME`.
    pub target: String,
    pub database: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn read(connection: &mut dyn Connection) -> Option<Self> {
        connection.patient();
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, whole) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (database, target) = match whole.strip_prefix("/_db/") {
            None => ("_system".to_owned(), whole.clone()),
            Some(rest) => {
                let at = rest.find('/')?;
                (unescaped(&rest[..at]), rest[at..].to_owned())
            }
        };
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut request = Self { method, target, database, headers, body: Vec::new() };
        let len = request.header("content-length").map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        reader.read_exact(&mut body).ok()?;
        request.body = body;
        Some(request)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Its parts, without escapes.
    pub fn path(&self) -> Vec<String> {
        self.target.split('?').next().unwrap().split('/').skip(1).map(unescaped).collect()
    }

    pub fn query(&self, key: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(found, _)| *found == key).map(|(_, value)| unescaped(value))
    }
}

/// An answer, and what becomes of it on its way.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
    /// Nobody says how long it is: it ends with its connection.
    pub unframed: bool,
    /// A pause before each 4 KiB.
    pub slow: Option<Duration>,
}

impl Reply {
    pub fn json(status: u16, document: &serde_json::Value) -> Self {
        let headers = "content-type: application/json; charset=utf-8\r\n".to_owned();
        Self { status, headers, body: document.to_string().into_bytes(), ..Self::default() }
    }

    pub fn send(&self, connection: &mut dyn Connection) {
        let mut head =
            format!("HTTP/1.1 {} X\r\nconnection: close\r\n{}", self.status, self.headers);
        if !self.unframed {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let body = &self.body[..self.cut.unwrap_or(self.body.len()).min(self.body.len())];
        // Whoever asked may have gone: that is theirs.
        let _ = connection.write_all(head.as_bytes());
        for piece in body.chunks(4096) {
            std::thread::sleep(self.slow.unwrap_or_default());
            if connection.write_all(piece).is_err() {
                return;
            }
        }
    }
}

pub fn unescaped(segment: &str) -> String {
    let mut parts = segment.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
