//! The first hundred bytes of a database file (sqlite.org/fileformat2.html, section 1.3).

pub(super) const LEN: usize = 100;

/// What a header says, as far as a manifest records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub page_size: u32,
    pub page_count: u32,
    pub is_wal: bool,
    pub user_version: u32,
    pub application_id: u32,
}

impl Header {
    /// `None` where it is no header.
    pub fn read(bytes: &[u8; LEN]) -> Option<Self> {
        bytes.starts_with(b"SQLite format 3\0").then_some(())?;
        let byte = |at: usize| bytes.get(at).copied().map(u32::from);
        let word = |at: usize| {
            let four = bytes.get(at..at.checked_add(4)?)?;
            Some(u32::from_be_bytes(four.try_into().ok()?))
        };
        let page_size = match (byte(16)? << 8) | byte(17)? {
            1 => 65_536,
            size => size,
        };
        Some(Self {
            page_size,
            page_count: word(28)?,
            is_wal: byte(18)? == 2,
            user_version: word(60)?,
            application_id: word(68)?,
        })
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        u64::from(self.page_size).saturating_mul(u64::from(self.page_count))
    }

    pub fn properties(&self) -> Vec<(String, String)> {
        let journal_mode = if self.is_wal { "wal" } else { "rollback" };
        let all = [
            ("sqlite_version", rusqlite::version().to_owned()),
            ("page_size", self.page_size.to_string()),
            ("page_count", self.page_count.to_string()),
            ("journal_mode", journal_mode.to_owned()),
            ("user_version", self.user_version.to_string()),
            ("application_id", self.application_id.to_string()),
        ];
        all.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_as_sqlite_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let database = rusqlite::Connection::open(&path).unwrap();
        database
            .execute_batch("PRAGMA page_size=65536; PRAGMA user_version=7; CREATE TABLE t (a)")
            .unwrap();
        let image = std::fs::read(&path).unwrap();
        let header = Header::read(image[..LEN].try_into().unwrap()).unwrap();
        assert_eq!((header.page_size, header.page_count, header.user_version), (65_536, 2, 7));
        assert!(!header.is_wal);
        assert_eq!(Header::read(&[0; LEN]), None);
    }
}
