//! HTTP/1.1 as plain bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub reader: BufReader<TcpStream>,
}

impl Request {
    /// Up to its body.
    pub fn read(connection: &TcpStream) -> Option<Self> {
        connection.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Some(Self { method, target, headers, reader })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn query(&self, key: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == key))
            .map(|p| p.1)
    }

    /// The body, or what came of at most so many bytes of it, with a pause before each 64 KiB.
    pub fn body(&mut self, most: Option<usize>, slow: Option<Duration>) -> Option<Vec<u8>> {
        let len: usize = self.header("content-length")?.parse().ok()?;
        let mut body = vec![0; most.map_or(len, |most| most.min(len))];
        for piece in body.chunks_mut(64 * 1024) {
            std::thread::sleep(slow.unwrap_or_default());
            self.reader.read_exact(piece).ok()?;
        }
        Some(body)
    }
}

pub fn reply(mut connection: &TcpStream, status: u16, headers: &str, body: &[u8]) {
    let len = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {len}\r\nconnection: close\r\n{headers}\r\n"
    );
    // Whoever asked may have gone.
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body));
}
