//! The master key and what is derived from it. Every use has a key of its own.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{CodecError, SealKey, random};
use crate::id::RepositoryId;

/// What a repository's passphrases and key files unlock.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    pub fn generate() -> Result<Self, CodecError> {
        Ok(Self(random()?))
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(&format!("restow 2026 v1 {purpose}"), &self.0)
    }

    fn expand<const N: usize>(&self, purpose: &str) -> [u8; N] {
        let mut bytes = [0u8; N];
        blake3::Hasher::new_derive_key(&format!("restow 2026 v1 {purpose}"))
            .update(&self.0)
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }
}

/// The derived keys of one repository.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Keys {
    #[zeroize(skip)]
    repository: RepositoryId,
    master: MasterKey,
    chunk_id: [u8; 32],
    fingerprint: [u8; 32],
    node_cut: [u8; 32],
}

impl Keys {
    pub fn new(repository: RepositoryId, master: MasterKey) -> Self {
        Self {
            repository,
            chunk_id: master.derive("chunk id"),
            fingerprint: master.derive("end fingerprint"),
            node_cut: master.derive("node cut"),
            master,
        }
    }

    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    pub fn chunk_id(&self) -> &[u8; 32] {
        &self.chunk_id
    }

    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Decides where catalog leaves are cut.
    pub fn node_cut(&self) -> &[u8; 32] {
        &self.node_cut
    }

    /// The bytes of the gear table.
    pub fn gear<const N: usize>(&self) -> [u8; N] {
        self.master.expand("gear")
    }

    /// The key of one object: its kind, this repository and its salt fix it.
    pub fn object(&self, kind: &str, salt: &[u8; 32]) -> Result<SealKey, CodecError> {
        let mut of_kind = self.master.derive(&format!("seal {kind}"));
        let mut hasher = blake3::Hasher::new_keyed(&of_kind);
        hasher.update(self.repository.as_bytes()).update(salt);
        let mut key = *hasher.finalize().as_bytes();
        let sealing = SealKey::new(&key);
        of_kind.zeroize();
        key.zeroize();
        sealing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_has_its_own_key() {
        let keys = |repository| {
            Keys::new(RepositoryId::new([repository; 16]), MasterKey::from_bytes([3; 32]))
        };
        let one = keys(1);
        assert_ne!(one.chunk_id(), one.fingerprint());
        assert_ne!(one.chunk_id(), one.node_cut());
        let mut sealed = b"x".to_vec();
        one.object("note", &[0; 32]).unwrap().seal([0; 12], b"", &mut sealed).unwrap();
        let opens = |keys: Keys, kind: &str, salt: u8| {
            let key = keys.object(kind, &[salt; 32]).unwrap();
            key.open([0; 12], b"", &mut sealed.clone()).is_ok()
        };
        assert!(opens(keys(1), "note", 0));
        assert!(!opens(keys(2), "note", 0));
        assert!(!opens(keys(1), "index", 0));
        assert!(!opens(keys(1), "note", 1));
    }
}
