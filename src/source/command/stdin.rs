//! Standard input as a source.

use std::io::{self, IsTerminal};

use super::stream::{Producer, StreamName, StreamSession, read_patiently, refused};
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::{Description, Exporter, Session, SourceError};

/// Reads standard input to its end. What wrote it cannot be asked how it ended: prefer
/// [`CommandExporter`](super::CommandExporter), which can.
pub struct StdinExporter {
    name: StreamName,
}

impl StdinExporter {
    /// `name` is what the stream is called in the snapshot, and the file it is restored to.
    pub fn new(name: &str, allow_empty: bool) -> Result<Self, SourceError> {
        let name = StreamName::new("stdin", name, allow_empty)?;
        if io::stdin().is_terminal() {
            let message = "standard input is a terminal: pipe something into restow";
            return Err(refused(ErrorKind::Usage, &name.url, message));
        }
        Ok(Self { name })
    }
}

impl Exporter for StdinExporter {
    fn describe(&self) -> Description {
        self.name.describe("stdin")
    }

    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let cancel = cancel.clone();
        let start = move || Ok(Box::new(Stdin { cancel }) as Box<dyn Producer>);
        Ok(Box::new(StreamSession::new(self.name.clone(), Box::new(start))))
    }
}

struct Stdin {
    cancel: Cancel,
}

impl Producer for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = read_patiently(io::stdin(), buffer, &self.cancel)? {
                return Ok(count);
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<(String, String)>, SourceError> {
        Ok(Vec::new())
    }
}
