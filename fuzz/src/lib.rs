//! What every fuzz target asserts, and the fixed keys they share.

use std::fmt::Debug;

use restow::codec::{Keys, MasterKey};
use restow::format::{Record, decode, encode};
use restow::id::RepositoryId;
use restow::store::Vault;

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
