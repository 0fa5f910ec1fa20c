//! What a chunk is called, and how its end is recognised after an edit inside it.

use crate::id::ChunkId;
use crate::limits::FINGERPRINT_WINDOW;

/// The id of a chunk: keyed BLAKE3-256 of its bytes.
pub fn chunk_id(key: &[u8; 32], chunk: &[u8]) -> ChunkId {
    ChunkId::new(*blake3::keyed_hash(key, chunk).as_bytes())
}

/// 32 bits of a keyed BLAKE3 of a chunk's last 64 bytes (all of a shorter chunk).
pub fn end_fingerprint(key: &[u8; 32], chunk: &[u8]) -> [u8; 4] {
    let start = chunk.len().saturating_sub(FINGERPRINT_WINDOW);
    let hash = blake3::keyed_hash(key, chunk.get(start..).unwrap_or_default());
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_survives_edits_inside() {
        let (mut one, key) = (vec![1u8; 200], [5; 32]);
        let before = end_fingerprint(&key, &one);
        one[100] = 9;
        assert_eq!(end_fingerprint(&key, &one), before);
        one[199] = 9;
        assert_ne!(end_fingerprint(&key, &one), before);
        assert_ne!(end_fingerprint(&[6; 32], &[1; 200]), before);
        assert_eq!(end_fingerprint(&key, &[1; 64]), before);
        assert_ne!(end_fingerprint(&key, &[1; 63]), before);
    }
}
