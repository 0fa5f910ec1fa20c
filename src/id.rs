//! Identifiers. Every id is a fixed number of bytes, shown as lowercase hex.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// A string that is not the hex form of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected} lowercase hex digits, found {found:?}")]
pub struct ParseIdError {
    pub expected: usize,
    pub found: String,
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let wrong = || ParseIdError { expected: N * 2, found: text.chars().take(N * 2 + 8).collect() };
    if text.len() != N * 2 {
        return Err(wrong());
    }
    let mut bytes = [0; N];
    HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| wrong())?;
    Ok(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// How many bytes an id of this kind has.
            pub const LEN: usize = $bytes;

            /// Makes an id of its bytes.
            pub const fn new(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// The id as lowercase hex digits.
            pub fn to_hex(self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// The first eight hex digits: what people read in a list.
            pub fn short(&self) -> String {
                self.to_hex().chars().take(8).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({})", stringify!($name), self.short())
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                from_hex(text).map(Self)
            }
        }
    };
}

id!(
    /// Keyed BLAKE3-256 of a chunk's bytes: what deduplication compares.
    ChunkId,
    32
);
id!(
    /// The first 16 bytes of a chunk's id: what names it where others are coded against it.
    BaseId,
    16
);
id!(
    /// BLAKE3-256 of a pack's bytes: its name in the repository.
    PackId,
    32
);
id!(
    /// BLAKE3-256 of a manifest's bytes: the snapshot's name everywhere.
    SnapshotId,
    32
);
id!(
    /// BLAKE3-256 of any other object named by its content: index, key, note, condemned.
    ObjectId,
    32
);
id!(
    /// Random name of a repository, drawn once by `init`.
    RepositoryId,
    16
);
id!(
    /// Random name of a writer or a prune at work.
    ActorId,
    16
);

impl BaseId {
    pub fn of(chunk: &ChunkId) -> Self {
        Self::split(chunk).0
    }

    pub fn names(&self, chunk: &ChunkId) -> bool {
        Self::of(chunk) == *self
    }

    /// The name of a chunk, and the rest of its id.
    pub(crate) fn split(chunk: &ChunkId) -> (Self, [u8; 16]) {
        let (mut name, mut rest) = ([0; 16], [0; 16]);
        let bytes = chunk.as_bytes().iter();
        name.iter_mut().chain(&mut rest).zip(bytes).for_each(|(to, from)| *to = *from);
        (Self(name), rest)
    }

    /// The chunk of which this is the name and that the rest.
    pub(crate) fn with(&self, rest: &[u8; 16]) -> ChunkId {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(self.0.iter().chain(rest)).for_each(|(to, from)| *to = *from);
        ChunkId(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trip() {
        let id = ActorId::new([0x0f; 16]);
        assert_eq!(id.to_hex().parse::<ActorId>(), Ok(id));
        assert_eq!(id.short(), "0f0f0f0f");
    }

    #[test]
    fn a_base_is_named_by_the_front_half_of_its_id() {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(0..).for_each(|(byte, number)| *byte = number);
        let chunk = ChunkId::new(bytes);
        let (name, rest) = BaseId::split(&chunk);
        assert_eq!(name.to_hex(), "000102030405060708090a0b0c0d0e0f");
        assert_eq!(name.with(&rest), chunk);
        bytes[31] = 99;
        assert!(name.names(&chunk) && name.names(&ChunkId::new(bytes)));
        bytes[15] = 99;
        assert!(!name.names(&ChunkId::new(bytes)));
    }

    #[test]
    fn bad_hex_is_refused() {
        for text in ["", "0F0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "zz", "0f"] {
            assert!(text.parse::<ActorId>().is_err(), "{text}");
        }
    }
}
