//! Wrapping the master key under a passphrase or a key file.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{CodecError, MasterKey, SealKey};
use crate::limits::KEY_FILE_MIN;
use crate::text::lines;

/// What a user holds.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub enum Secret {
    /// A passphrase that a person remembers.
    Passphrase(String),
    /// The bytes of a key file, at least [`KEY_FILE_MIN`] of them.
    KeyFile(Vec<u8>),
}

/// Why a text holds no passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPassphrase {
    /// It has no character.
    #[error("the passphrase is empty")]
    Empty,
    /// It is not UTF-8.
    #[error("the passphrase is not UTF-8")]
    NotUtf8,
}

impl Secret {
    /// The passphrase in a text: its first line, without the line's end and without a byte order mark. A file, a
    /// variable, a command's output and a typed line that show the same words hold the same passphrase.
    pub fn in_text(text: &[u8]) -> Result<Self, NoPassphrase> {
        let line = lines(text).next().unwrap_or_default();
        let passphrase = str::from_utf8(line).map_err(|_| NoPassphrase::NotUtf8)?;
        match passphrase.is_empty() {
            true => Err(NoPassphrase::Empty),
            false => Ok(Self::Passphrase(passphrase.to_owned())),
        }
    }
}

/// Argon2id parameters; callers bound them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// A wrapped master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    pub commitment: [u8; 32],
    pub sealed: Vec<u8>,
}

type WrappingKey = Zeroizing<[u8; 32]>;

/// The wrapping key a secret comes to. `cost` matters for passphrases only.
pub fn derive(secret: &Secret, cost: KdfCost, salt: &[u8; 32]) -> Result<WrappingKey, CodecError> {
    let mut key = Zeroizing::new([0u8; 32]);
    match secret {
        Secret::Passphrase(passphrase) => {
            let failed = |error: argon2::Error| CodecError::Kdf(error.to_string());
            let params =
                Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(failed)?;
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
                .map_err(failed)?;
        }
        Secret::KeyFile(bytes) if bytes.len() < KEY_FILE_MIN => {
            return Err(CodecError::ShortKeyFile { found: bytes.len() });
        }
        Secret::KeyFile(bytes) => {
            let mut hasher = blake3::Hasher::new_derive_key("restow 2026 v1 key file");
            *key = *hasher.update(salt).update(bytes).finalize().as_bytes();
        }
    }
    Ok(key)
}

/// Whether `key` is the one that made `commitment`.
pub fn commit_matches(key: &WrappingKey, commitment: &[u8; 32]) -> bool {
    // blake3::Hash compares in constant time.
    commit(key) == blake3::Hash::from_bytes(*commitment)
}

fn commit(key: &WrappingKey) -> blake3::Hash {
    blake3::keyed_hash(key, b"restow 2026 v1 key commitment")
}

// A wrapping key comes of a fresh salt and seals exactly one thing, so one fixed nonce is right.
const NONCE: [u8; 12] = [0; 12];

pub fn wrap(
    key: &WrappingKey,
    associated: &[u8],
    master: &MasterKey,
) -> Result<Wrapped, CodecError> {
    let mut sealed = master.as_bytes().to_vec();
    SealKey::new(key)?.seal(NONCE, associated, &mut sealed)?;
    Ok(Wrapped { commitment: *commit(key).as_bytes(), sealed })
}

pub fn unwrap(
    key: &WrappingKey,
    associated: &[u8],
    sealed: &[u8],
) -> Result<MasterKey, CodecError> {
    let mut copy = Zeroizing::new(sealed.to_vec());
    let plain = SealKey::new(key)?.open(NONCE, associated, &mut copy)?;
    let bytes =
        <[u8; 32]>::try_from(&*plain).map_err(|_| CodecError::Forged { len: sealed.len() })?;
    Ok(MasterKey::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };

    #[test]
    fn only_the_right_secret_unwraps() {
        let secret = |text: &str| Secret::Passphrase(text.into());
        let master = MasterKey::from_bytes([42; 32]);
        let right = derive(&secret("correct horse"), CHEAP, &[1; 32]).unwrap();
        let wrapped = wrap(&right, b"repository", &master).unwrap();
        assert!(commit_matches(&right, &wrapped.commitment));
        let back = unwrap(&right, b"repository", &wrapped.sealed).unwrap();
        assert_eq!(back.as_bytes(), master.as_bytes());
        assert!(unwrap(&right, b"another", &wrapped.sealed).is_err());

        let others = [
            derive(&secret("correct horsf"), CHEAP, &[1; 32]).unwrap(),
            derive(&secret("correct horse"), CHEAP, &[2; 32]).unwrap(),
            derive(&Secret::KeyFile(b"correct horse".repeat(3)), CHEAP, &[1; 32]).unwrap(),
        ];
        for wrong in others {
            assert!(!commit_matches(&wrong, &wrapped.commitment));
            assert!(unwrap(&wrong, b"repository", &wrapped.sealed).is_err());
        }
    }
}
