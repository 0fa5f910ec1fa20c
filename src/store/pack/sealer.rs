//! Sealed objects that are no packs: record to bytes and back, under the repository's keys.

use crate::codec::{self, CodecError, Keys, SEAL_OVERHEAD, SealKey};
use crate::format::{
    self, Codec, FormatError, HEADER_LEN, Header, ObjectKind, Record, Salt, SealedPart,
    WHOLE_ORDINAL,
};
use crate::store::StoreError;

/// An object ready to be put.
pub struct SealedObject {
    pub bytes: Vec<u8>,
    /// BLAKE3 of the bytes: the name of content-named kinds.
    pub name: [u8; 32],
}

/// The keys of an opened repository, put to use.
pub struct Vault {
    keys: Keys,
}

/// Between the header and the sealed bytes: codec and raw length.
const PREFIX_LEN: usize = 5;
const LEVEL: i32 = 3;

impl Vault {
    pub fn new(keys: Keys) -> Self {
        Self { keys }
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The key of the object of `kind` with this salt.
    pub fn object_key(&self, kind: ObjectKind, salt: &Salt) -> Result<SealKey, CodecError> {
        self.keys.object(kind.name(), salt)
    }

    /// Encodes, compresses where that helps, and seals under a fresh salt.
    pub fn seal<R: Record>(
        &self,
        kind: ObjectKind,
        record: &R,
    ) -> Result<SealedObject, StoreError> {
        let plain = format::encode(record).map_err(|e| StoreError::format(kind.name(), e))?;
        self.seal_plain(kind, &plain).map_err(|e| StoreError::codec(kind.name(), e))
    }

    fn seal_plain(&self, kind: ObjectKind, plain: &[u8]) -> Result<SealedObject, CodecError> {
        let salt: Salt = codec::random()?;
        let mut coded = Vec::new();
        let codec = if codec::compress(LEVEL, plain, &mut coded)? {
            Codec::Zstd
        } else {
            coded = plain.to_vec();
            Codec::Raw
        };
        let too_long = |_| CodecError::Compress("record longer than 4 GiB".into());
        let raw_len = u32::try_from(plain.len()).map_err(too_long)?;
        let sealed_len = u32::try_from(coded.len() + SEAL_OVERHEAD).map_err(too_long)?;
        let part =
            SealedPart { kind, ordinal: WHOLE_ORDINAL, codec: codec as u8, raw_len, sealed_len };
        self.object_key(kind, &salt)?.seal(part.nonce(), &part.associated_data(), &mut coded)?;

        let mut bytes = Vec::with_capacity(HEADER_LEN + PREFIX_LEN + coded.len());
        bytes.extend_from_slice(&Header { kind, salt }.encode());
        bytes.push(codec as u8);
        bytes.extend_from_slice(&raw_len.to_le_bytes());
        bytes.extend_from_slice(&coded);
        let name = *blake3::hash(&bytes).as_bytes();
        Ok(SealedObject { bytes, name })
    }

    /// Opens what `seal` made. `object` is its key, for errors.
    pub fn open<R: Record>(
        &self,
        kind: ObjectKind,
        object: &str,
        bytes: &[u8],
    ) -> Result<R, StoreError> {
        let wrong = |e: FormatError| StoreError::format(object, e);
        let (header, rest) = Header::decode(kind, bytes).map_err(wrong)?;
        let Some((&[codec, a, b, c, d], sealed)) = rest.split_first_chunk::<PREFIX_LEN>() else {
            let expected = "a codec and a length";
            return Err(wrong(FormatError::damaged(
                kind.name(),
                HEADER_LEN,
                expected,
                format!("{} bytes", rest.len()),
            )));
        };
        let raw_len = u32::from_le_bytes([a, b, c, d]);
        if raw_len as usize > R::LIMIT {
            let expected = format!("at most {} bytes", R::LIMIT);
            return Err(wrong(FormatError::damaged(
                kind.name(),
                HEADER_LEN + 1,
                expected,
                raw_len,
            )));
        }
        let part = SealedPart {
            kind,
            ordinal: WHOLE_ORDINAL,
            codec,
            raw_len,
            sealed_len: u32::try_from(sealed.len()).unwrap_or(u32::MAX),
        };
        let plain = self
            .open_part(part, &header.salt, sealed.to_vec())
            .map_err(|e| StoreError::codec(object, e))?;
        format::decode(&plain).map_err(wrong)
    }

    fn open_part(
        &self,
        part: SealedPart,
        salt: &Salt,
        mut sealed: Vec<u8>,
    ) -> Result<Vec<u8>, CodecError> {
        let key = self.object_key(part.kind, salt)?;
        let opened = key.open(part.nonce(), &part.associated_data(), &mut sealed)?;
        decode_plain(part.codec, opened, part.raw_len as usize)
    }
}

/// Undoes `Raw` or `Zstd` for parts that are no blocks.
pub(in crate::store) fn decode_plain(
    codec: u8,
    opened: &[u8],
    raw_len: usize,
) -> Result<Vec<u8>, CodecError> {
    if codec == Codec::Zstd as u8 {
        let mut plain = Vec::new();
        codec::decompress(opened, raw_len, &mut plain)?;
        Ok(plain)
    } else if codec == Codec::Raw as u8 && opened.len() == raw_len {
        Ok(opened.to_vec())
    } else {
        let found = format!("codec {codec}, {} bytes", opened.len());
        Err(CodecError::Decompress { expected: raw_len, found })
    }
}
