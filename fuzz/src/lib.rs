//! What every fuzz target asserts, and the fixed keys they share.

mod packs;
mod sealed;

use std::fmt::Debug;

use restow::codec::{Keys, MasterKey};
use restow::format::{Record, decode, encode};
use restow::id::RepositoryId;
use restow::store::Vault;

pub use packs::{blocks, pack};
pub use sealed::{seal, sealed};

/// Hostile bytes decode to an error or to a record that encodes and decodes to itself.
pub fn record<R: Record + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(found) = decode::<R>(bytes) {
        let again = encode(&found).expect("what was decoded can be encoded");
        assert_eq!(decode::<R>(&again).expect("and decoded again"), found);
    }
}

/// Keys a fuzzer may know: authentication is then no obstacle to it.
pub fn vault() -> Vault {
    Vault::new(Keys::new(RepositoryId::new([7; 16]), MasterKey::from_bytes([9; 32])))
}

/// Takes integers off the front of the input; zero when it ends.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        front
    }

    pub fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }
}
