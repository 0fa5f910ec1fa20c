//! Key objects: the master key, wrapped. The only objects besides `restow.json` that are read before any
//! key is known, so every parameter is bounded.

use serde::{Deserialize, Serialize};

use super::record::{Extension, Record};
use super::{Bytes, FormatError, Time};
use crate::limits::{ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, PLAIN_RECORD_MAX};

/// How the wrapping key comes about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kdf {
    /// From a passphrase, by Argon2id version 1.3.
    Argon2id { memory_kib: u32, passes: u32, lanes: u32, salt: [u8; 32] },
    /// From the bytes of a key file.
    KeyFile { salt: [u8; 32] },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    pub kdf: Kdf,
    /// Keyed BLAKE3 of the wrapping key: AES-GCM alone lets one ciphertext open under two keys.
    pub commitment: [u8; 32],
    /// The master key under AES-256-GCM.
    pub wrapped: Bytes,
    pub label: String,
    pub created: Time,
    pub host: String,
    pub user: String,
    pub ext: Vec<Extension>,
}

impl Record for KeyRecord {
    const TAG: u8 = 7;
    const WHAT: &'static str = "key";
    const LIMIT: usize = PLAIN_RECORD_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        let Kdf::Argon2id { memory_kib, passes, lanes, .. } = self.kdf else {
            return Ok(());
        };
        let good = (8..=ARGON2_MEMORY_KIB_MAX).contains(&memory_kib)
            && (1..=ARGON2_PASSES_MAX).contains(&passes)
            && (1..=ARGON2_LANES_MAX).contains(&lanes)
            && memory_kib >= 8 * lanes;
        if good {
            return Ok(());
        }
        let expected = format!(
            "Argon2id with at most {ARGON2_MEMORY_KIB_MAX} KiB, {ARGON2_PASSES_MAX} passes, {ARGON2_LANES_MAX} lanes"
        );
        let found = format!("{memory_kib} KiB, {passes} passes, {lanes} lanes");
        Err(FormatError::damaged(Self::WHAT, 2, expected, found))
    }
}
