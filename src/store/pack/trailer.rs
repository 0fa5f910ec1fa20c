//! A pack's header and trailer, read without its blocks: what the blocks are, by the pack's own word.

use crate::fault::ErrorKind;
use crate::format::{FOOTER_LEN, Footer, FormatError, HEADER_LEN, Header, PackKind, name};
use crate::id::PackId;
use crate::limits::PACK_LEN_MAX;
use crate::storage::{Key, Listed, Storage, StorageError};
use crate::store::StoreError;

use super::builder::{PackView, open_trailer};
use super::sealer::Vault;

/// A pack's frame, authenticated.
pub struct PackFrame {
    pub kind: PackKind,
    pub view: PackView,
    /// Bytes that were read.
    pub read: u64,
}

/// Reads the frame of a pack of so many bytes. That its blocks are whole, or its name right, is not looked at.
pub fn read_frame(
    storage: &dyn Storage,
    vault: &Vault,
    id: &PackId,
    len: u64,
) -> Result<PackFrame, StoreError> {
    let key = Key::new(name::pack(id))?;
    let object = key.as_str();
    let damaged = |e| StoreError::format(object, e);
    let room = (HEADER_LEN + FOOTER_LEN) as u64;
    if !(room..=PACK_LEN_MAX).contains(&len) {
        let expected = format!("{room} to {PACK_LEN_MAX} bytes");
        return Err(StoreError::damaged(object, "pack", expected, format!("{len} bytes")));
    }
    let mut buffer = Vec::new();
    storage.get_range(&key, 0, HEADER_LEN, &mut buffer)?;
    // Whether it is no pack at all is said in terms of the commoner kind.
    let metadata = PackKind::Metadata;
    let (kind, header) = match Header::decode(metadata.object(), &buffer) {
        Ok((header, _)) => (metadata, header),
        Err(_) => {
            let data = PackKind::Data;
            let header = Header::decode(data.object(), &buffer);
            (data, header.map_err(|error| bad_header(storage, &key, error))?.0)
        }
    };
    let mut read = HEADER_LEN as u64;

    let tail_len = len.min(storage.hints().tail);
    let mut get_tail = |tail_len: u64, buffer: &mut Vec<u8>| {
        read += tail_len;
        // At most `PACK_LEN_MAX`.
        let bytes = usize::try_from(tail_len).unwrap_or(usize::MAX);
        storage.get_range(&key, len - tail_len, bytes, buffer)
    };
    get_tail(tail_len, &mut buffer)?;
    let footer = buffer.last_chunk::<FOOTER_LEN>().map_or(&[][..], |footer| footer);
    let footer = Footer::decode(footer, len).map_err(damaged)?;
    let frame_len = u64::from(footer.sealed_len) + FOOTER_LEN as u64;
    if frame_len > tail_len {
        get_tail(frame_len, &mut buffer)?;
    }
    buffer.truncate(buffer.len() - FOOTER_LEN);
    let start = buffer.len().saturating_sub(footer.sealed_len as usize);
    let sealed = buffer.split_off(start);
    let trailer_at = len - frame_len;

    let seal =
        vault.object_key(kind.object(), &header.salt).map_err(|e| StoreError::codec(object, e))?;
    let trailer = open_trailer(&seal, kind, &footer, sealed, object)?;
    let found = trailer.contents.blocks_end();
    if found > trailer_at {
        let expected = format!("blocks that end before byte {trailer_at}");
        return Err(StoreError::damaged(object, "pack", expected, found));
    }
    Ok(PackFrame { kind, view: PackView { key: seal, contents: trailer.contents }, read })
}

/// What is wrong with a pack whose header does not decode. The version is not sealed: where it is a newer one the pack's
/// bytes tell, which it is named after, whether somebody wrote it so or it has rotted.
pub(in crate::store) fn bad_header(
    storage: &dyn Storage,
    key: &Key,
    error: FormatError,
) -> StoreError {
    if error.kind() == ErrorKind::TooNew {
        match storage.stat(key).and_then(|listed| hash_object(storage, &listed, |_| {})) {
            Ok(found) if found.to_hex().as_str() != key.name() => {
                let (object, found) = (key.to_string(), found.to_string());
                return StoreError::WrongName { object, found };
            }
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
    StoreError::format(key, error)
}

/// The BLAKE3 of an object's bytes, read piece by piece. `each` takes the length of every piece.
pub fn hash_object(
    storage: &dyn Storage,
    object: &Listed,
    each: impl Fn(u64),
) -> Result<blake3::Hash, StorageError> {
    let (mut hasher, mut piece, mut offset) = (blake3::Hasher::new(), Vec::new(), 0);
    let most = storage.hints().scan_run;
    while offset < object.len {
        let len = most.min(object.len - offset);
        // A piece fits into memory.
        let bytes = usize::try_from(len).unwrap_or(usize::MAX);
        storage.get_range(&object.key, offset, bytes, &mut piece)?;
        hasher.update(&piece);
        offset += len;
        each(len);
    }
    Ok(hasher.finalize())
}
