//! Documents with their revisions again: what arangorestore and a server take.

use std::io::{self, BufRead, BufReader, Read};

use super::failure::refused;
use super::lines::join;
use crate::fault::ErrorKind;
use crate::limits::KIB;
use crate::source::SourceError;

const BUFFER: usize = 64 * KIB;

/// Joins the two streams of a collection. Also a reader of the lines.
pub struct Joined<R> {
    documents: BufReader<R>,
    /// `None` where they are not wanted, or not there.
    revisions: Option<BufReader<R>>,
    what: String,
    line_max: usize,
    count: u64,
    document: Vec<u8>,
    revision: Vec<u8>,
    line: Vec<u8>,
    given: usize,
    is_done: bool,
}

impl<R: Read> Joined<R> {
    /// `what` is for errors: the collection.
    pub fn new(
        documents: R,
        revisions: Option<R>,
        line_max: usize,
        what: impl Into<String>,
    ) -> Self {
        Self {
            documents: BufReader::with_capacity(BUFFER, documents),
            revisions: revisions.map(|it| BufReader::with_capacity(BUFFER, it)),
            what: what.into(),
            line_max,
            count: 0,
            document: Vec::new(),
            revision: Vec::new(),
            line: Vec::new(),
            given: 0,
            is_done: false,
        }
    }

    /// Lines so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next document, with `_rev` and a line break, in place of what `line` holds. False at the end: both
    /// streams have ended then.
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> Result<bool, SourceError> {
        line.clear();
        let is_there = self.part(Half::Document)?;
        let is_matched = match self.revisions {
            Some(_) => self.part(Half::Revision)? == is_there,
            None => true,
        };
        if !is_matched {
            let message = format!(
                "has not as many documents as revisions: they part at line {}",
                self.count + 1
            );
            return Err(refused(ErrorKind::Damage, &self.what, message));
        }
        if !is_there {
            return Ok(false);
        }
        self.count += 1;
        join(&self.document, &self.revision, line).map_err(|error| {
            let message = format!("line {} of its documents {error}", self.count);
            refused(ErrorKind::Damage, &self.what, message)
        })?;
        line.push(b'\n');
        Ok(true)
    }

    /// Reads a line of one stream, without its break. False at the end.
    fn part(&mut self, part: Half) -> Result<bool, SourceError> {
        let (from, to) = match (part, &mut self.revisions) {
            (Half::Revision, Some(revisions)) => (revisions, &mut self.revision),
            _ => (&mut self.documents, &mut self.document),
        };
        to.clear();
        let most = (self.line_max as u64).saturating_add(1);
        let read = from.by_ref().take(most).read_until(b'\n', to);
        read.map_err(|error| SourceError::of_read(&self.what, error))?;
        match to.pop() {
            None => Ok(false),
            Some(b'\n') => Ok(true),
            Some(_) => {
                let message = format!(
                    "line {} of its {} is cut short, or longer than {} bytes",
                    self.count + 1,
                    part.name(),
                    self.line_max
                );
                Err(refused(ErrorKind::Damage, &self.what, message))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Half {
    Document,
    Revision,
}

impl Half {
    fn name(self) -> &'static str {
        match self {
            Self::Document => "documents",
            Self::Revision => "revisions",
        }
    }
}

impl<R: Read> Read for Joined<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.line.len() && !self.is_done {
            let mut line = std::mem::take(&mut self.line);
            self.is_done = !self.next_line(&mut line).map_err(io::Error::other)?;
            (self.line, self.given) = (line, 0);
        }
        let mut rest = self.line.get(self.given..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.given += count;
        Ok(count)
    }
}
