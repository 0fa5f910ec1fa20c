//! A body that is known already: what is told of a source beside its data.

use std::io::{self, Cursor, Read};

use super::{Body, BodyEnd, OpenBody, SourceError};

pub(super) struct TextBody(Cursor<Vec<u8>>);

impl TextBody {
    /// The body, and its bytes.
    pub fn of(text: Vec<u8>) -> (Box<dyn OpenBody>, u64) {
        let len = text.len() as u64;
        (Box::new(Self(Cursor::new(text))), len)
    }
}

impl OpenBody for TextBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for TextBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Body for TextBody {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        Ok(BodyEnd::good())
    }
}
