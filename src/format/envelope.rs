//! The header of every object, and the associated data its sealed parts carry.

use super::FormatError;
use super::record::check_version;
use crate::limits::FORMAT_VERSION;

/// What an object is. On the wire, and in the key that seals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    Config = 1,
    Key = 2,
    DataPack = 3,
    MetadataPack = 4,
    Index = 5,
    Manifest = 6,
    Note = 7,
    Active = 8,
    Condemned = 9,
    Beat = 10,
    Void = 11,
}

impl ObjectKind {
    pub const ALL: [Self; 11] = [
        Self::Config,
        Self::Key,
        Self::DataPack,
        Self::MetadataPack,
        Self::Index,
        Self::Manifest,
        Self::Note,
        Self::Active,
        Self::Condemned,
        Self::Beat,
        Self::Void,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Key => "key",
            Self::DataPack => "data pack",
            Self::MetadataPack => "metadata pack",
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Note => "note",
            Self::Active => "active",
            Self::Condemned => "condemned",
            Self::Beat => "beat",
            Self::Void => "void",
        }
    }
}

/// Fresh bytes of OS randomness, never used for two objects.
pub type Salt = [u8; 32];

const MAGIC: &[u8; 6] = b"RESTOW";
pub const HEADER_LEN: usize = 40;
/// Bytes AES-256-GCM adds.
pub const TAG_LEN: usize = 16;
/// The ordinal of the only part of an object that is no pack.
pub const WHOLE_ORDINAL: u64 = 0;

/// The first 40 bytes of every object but `restow.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: ObjectKind,
    pub salt: Salt,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0u8; HEADER_LEN];
        let fields =
            MAGIC.iter().copied().chain([FORMAT_VERSION, self.kind as u8]).chain(self.salt);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// The header of an object that must be of `kind`, and the bytes after it.
    pub fn decode(kind: ObjectKind, bytes: &[u8]) -> Result<(Self, &[u8]), FormatError> {
        let what = kind.name();
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            let expected = format!("a header of {HEADER_LEN} bytes");
            return Err(FormatError::damaged(what, 0, expected, bytes.len()));
        };
        let [a, b, c, d, e, f, version, found, salt @ ..] = header;
        if [*a, *b, *c, *d, *e, *f] != *MAGIC {
            let found = [*a, *b, *c, *d, *e, *f].escape_ascii().to_string();
            return Err(FormatError::damaged(what, 0, "magic RESTOW", found));
        }
        check_version(what, 6, *version)?;
        if *found != kind as u8 {
            let expected = format!("kind {} ({what})", kind as u8);
            return Err(FormatError::damaged(what, 7, expected, found));
        }
        Ok((Self { kind, salt: *salt }, rest))
    }
}

/// A sealed part of an object: what is authenticated besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPart {
    pub kind: ObjectKind,
    /// The block's number, or a reserved one. Also the nonce.
    pub ordinal: u64,
    /// How the plaintext is coded (`Codec` on the wire).
    pub codec: u8,
    /// Length before coding.
    pub raw_len: u32,
    /// Length as stored, tag included.
    pub sealed_len: u32,
}

impl SealedPart {
    /// AES-GCM associated data: version, kind, codec, ordinal, lengths.
    pub fn associated_data(&self) -> [u8; 19] {
        let mut bytes = [0u8; 19];
        let fields = [FORMAT_VERSION, self.kind as u8, self.codec]
            .into_iter()
            .chain(self.ordinal.to_le_bytes())
            .chain(self.raw_len.to_le_bytes())
            .chain(self.sealed_len.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// AES-GCM nonce: four zero bytes and the ordinal. The key is the object's own, so none repeats.
    pub fn nonce(&self) -> [u8; 12] {
        let [a, b, c, d, e, f, g, h] = self.ordinal.to_le_bytes();
        [0, 0, 0, 0, a, b, c, d, e, f, g, h]
    }
}
