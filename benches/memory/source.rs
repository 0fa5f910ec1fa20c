//! Sources that are made up as they are read: their size is no memory.

use std::io::Read;

use restow::format::{Bytes, Entry, EntryKind, EntryPath};
use restow::progress::Cancel;
use restow::source::{
    Body, BodyEnd, Description, Exporter, Item, OpenBody, Outcome, Session, SourceEntry,
    SourceError,
};

/// `files` files of `len` bytes each, a thousand to a folder.
#[derive(Clone, Copy)]
pub struct Made {
    pub files: u64,
    pub len: u64,
}

impl Exporter for Made {
    fn describe(&self) -> Description {
        Description { kind: "made".into(), url: "made:up".into(), label: "made".into() }
    }

    fn open(&self, _: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        Ok(Box::new(Files { made: *self, next: 0 }))
    }
}

struct Files {
    made: Made,
    next: u64,
}

impl Session for Files {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        if self.next == self.made.files {
            return Ok(None);
        }
        let number = self.next;
        self.next += 1;
        let path = format!("folder-{:06}/a-file-of-some-name-{number:09}", number / 1000);
        let entry = Entry {
            path: EntryPath::new(path).unwrap(),
            kind: EntryKind::File,
            unix: None,
            token: Bytes::default(),
            content: None,
            properties: Vec::new(),
            ext: Vec::new(),
        };
        let body = Rows { number: number << 40, left: self.made.len };
        Ok(Some(SourceEntry::whole(entry, Box::new(body), self.made.len).into()))
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        Ok(Outcome::default())
    }
}

/// Lines of 32 bytes that are never the same twice, and shrink to about a third.
struct Rows {
    number: u64,
    left: u64,
}

impl OpenBody for Rows {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        // Whole lines, but where less room or less of the file is left.
        let len = if wanted > 32 { wanted / 32 * 32 } else { wanted };
        for line in buffer[..len].chunks_mut(32) {
            self.number += 1;
            let mixed = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut text = *b"row ........ of the table orders";
            text[4..12].copy_from_slice(&mixed.to_le_bytes());
            line.copy_from_slice(&text[..line.len()]);
        }
        self.left -= len as u64;
        Ok(len)
    }
}

impl Body for Rows {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        Ok(BodyEnd::good())
    }
}
