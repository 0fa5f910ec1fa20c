//! AES-256-GCM. Each key seals one object; its nonces are the ordinals of the object's parts.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::CodecError;

/// Bytes sealing adds.
pub const SEAL_OVERHEAD: usize = 16;

/// The key of one object.
pub struct SealKey(LessSafeKey);

impl SealKey {
    pub fn new(bytes: &[u8; 32]) -> Result<Self, CodecError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes)
            .map_err(|_| CodecError::Kdf("AES-256 key refused".into()))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `plain` in place and appends the tag.
    pub fn seal(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let tag = self.seal_slice(nonce, associated, plain)?;
        plain.extend_from_slice(&tag);
        Ok(())
    }

    /// Encrypts `plain` in place; the tag is returned.
    pub fn seal_slice(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        plain: &mut [u8],
    ) -> Result<[u8; SEAL_OVERHEAD], CodecError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(associated), plain)
            .map_err(|_| CodecError::Kdf("sealing failed".into()))?;
        tag.as_ref().try_into().map_err(|_| CodecError::Kdf("tag of a wrong length".into()))
    }

    /// Verifies and decrypts in place. Nothing of `sealed` may be used after an error.
    pub fn open<'a>(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], CodecError> {
        let len = sealed.len();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .open_in_place(nonce, Aad::from(associated), sealed)
            .map_err(|_| CodecError::Forged { len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_is_noticed() {
        let key = SealKey::new(&[1; 32]).unwrap();
        let mut sealed = b"attack at dawn".to_vec();
        key.seal([2; 12], b"context", &mut sealed).unwrap();
        assert_eq!(sealed.len(), 14 + SEAL_OVERHEAD);
        let open = |key: &SealKey, nonce, associated: &[u8], sealed: &[u8]| {
            key.open(nonce, associated, &mut sealed.to_vec()).map(|plain| plain.to_vec())
        };
        assert_eq!(open(&key, [2; 12], b"context", &sealed).unwrap(), b"attack at dawn");
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(open(&key, [2; 12], b"context", &bad).is_err(), "{at}");
        }
        assert!(open(&key, [3; 12], b"context", &sealed).is_err());
        assert!(open(&key, [2; 12], b"contexu", &sealed).is_err());
        assert!(open(&SealKey::new(&[9; 32]).unwrap(), [2; 12], b"context", &sealed).is_err());
        assert!(open(&key, [2; 12], b"context", &sealed[..15]).is_err());
    }
}
