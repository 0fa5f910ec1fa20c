//! A run: sorted records in a temporary file that has no name.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::merge::Merge;
use super::{Record, Value};
use crate::limits::KIB;
use crate::progress::Cancel;
use crate::source::SourceError;
use crate::source::arangodb::failure::temporary;
use crate::source::sealed::{SealedFile, SealedReader};

/// Runs are written and read once or twice: speed is what counts.
const LEVEL: i32 = 1;
const BUFFER: usize = 64 * KIB;
/// Stands for the length of a revision where the record is a removal.
const REMOVAL: u32 = u32::MAX;
const HEAD: usize = 16;

pub(super) struct Run {
    file: Arc<SealedFile>,
    records: u64,
    pub level: u32,
}

/// What a record begins with.
#[derive(Default)]
pub(super) struct Head {
    pub key: Vec<u8>,
    pub revision: u64,
    pub document: u64,
    pub is_removal: bool,
}

impl Run {
    pub fn write(
        mut merge: Merge,
        level: u32,
        folder: &Path,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let failed = temporary(folder);
        let file = tempfile::tempfile_in(folder).map_err(&failed)?;
        let mut to = zstd::Encoder::new(file, LEVEL).map_err(&failed)?;
        to.include_checksum(true).map_err(&failed)?;
        let (mut record, mut records) = (Record::default(), 0);
        while merge.next().map_err(&failed)? {
            if cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            let is_removal = merge.is_removal();
            merge.read(&mut record).map_err(&failed)?;
            let Record { key, revision, document } = &record;
            let value = (!is_removal).then_some(Value { revision, document });
            put(&mut to, key, value).map_err(&failed)?;
            records += 1;
        }
        let file = to.finish().and_then(SealedFile::new).map_err(&failed)?;
        let file = Arc::new(file);
        Ok(Self { file, records, level })
    }

    #[cfg(test)]
    pub fn file_for_test(&self) -> &std::fs::File {
        self.file.file_for_test()
    }

    pub fn read(&self) -> io::Result<RunReader> {
        let from = zstd::Decoder::with_buffer(self.file.reader())?;
        let from = BufReader::with_capacity(BUFFER, from);
        Ok(RunReader { from, left: self.records, unread: 0 })
    }
}

fn put(to: &mut impl Write, key: &[u8], value: Option<Value<'_>>) -> io::Result<()> {
    let too_long = |_| io::Error::other("a key or revision of 4 GiB");
    let revision = match value {
        None => REMOVAL,
        Some(value) => u32::try_from(value.revision.len()).map_err(too_long)?,
    };
    let Value { revision: bytes, document } =
        value.unwrap_or(Value { revision: b"", document: b"" });
    to.write_all(&u32::try_from(key.len()).map_err(too_long)?.to_le_bytes())?;
    to.write_all(&revision.to_le_bytes())?;
    to.write_all(&(document.len() as u64).to_le_bytes())?;
    to.write_all(key)?;
    to.write_all(bytes)?;
    to.write_all(document)
}

/// Reads a run from its beginning. Several may read one file: each has its own place in it.
pub(super) struct RunReader {
    from: BufReader<zstd::Decoder<'static, SealedReader>>,
    left: u64,
    /// Bytes of the record before that nobody wanted.
    unread: u64,
}

impl RunReader {
    /// The next record's beginning; false at the end, which the run's checksum confirms.
    pub fn next(&mut self, head: &mut Head) -> io::Result<bool> {
        let skipped = io::copy(&mut (&mut self.from).take(self.unread), &mut io::sink())?;
        if skipped != self.unread {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread = 0;
        if self.left == 0 {
            return match self.from.read(&mut [0])? {
                0 => Ok(false),
                _ => Err(io::Error::other("more than was written")),
            };
        }
        self.left -= 1;
        let mut bytes = [0; HEAD];
        self.from.read_exact(&mut bytes)?;
        let [a, b, c, d, e, f, g, h, document @ ..] = bytes;
        let (key, revision) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        head.is_removal = revision == REMOVAL;
        head.revision = if head.is_removal { 0 } else { u64::from(revision) };
        head.document = u64::from_le_bytes(document);
        fill(&mut self.from, u64::from(key), &mut head.key)?;
        self.unread = head.revision.saturating_add(head.document);
        Ok(true)
    }

    /// The rest of the record.
    pub fn read(&mut self, head: &Head, record: &mut Record) -> io::Result<()> {
        self.unread = 0;
        fill(&mut self.from, head.revision, &mut record.revision)?;
        fill(&mut self.from, head.document, &mut record.document)
    }
}

fn fill(from: &mut impl Read, len: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    let read = from.take(len).read_to_end(bytes)?;
    if read as u64 == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
