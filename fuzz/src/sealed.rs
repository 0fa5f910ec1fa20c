//! Sealed single objects, whole or sealed here.

use std::fmt::Debug;

use restow::format::{
    ActorRecord, CondemnedRecord, ConfigRecord, Header, IndexRecord, Manifest, Note, ObjectKind,
    Record, SealedPart, TAG_LEN, WHOLE_ORDINAL,
};
use restow::store::Vault;

use crate::{Input, vault};

/// Sealed single objects. First byte: the kind. Second: even, the rest is the whole object; odd, the rest
/// is codec, raw length and plaintext, sealed here as only a holder of the key could.
pub fn sealed(data: &[u8]) {
    let vault = vault();
    let mut input = Input(data);
    let (kind, inside) = (input.u8(), input.u8() % 2 == 1);
    match kind % 8 {
        0 => open::<ConfigRecord>(&vault, ObjectKind::Config, inside, input),
        1 => open::<IndexRecord>(&vault, ObjectKind::Index, inside, input),
        2 => open::<Manifest>(&vault, ObjectKind::Manifest, inside, input),
        3 => open::<Note>(&vault, ObjectKind::Note, inside, input),
        4 => open::<ActorRecord>(&vault, ObjectKind::Active, inside, input),
        5 => open::<ActorRecord>(&vault, ObjectKind::Beat, inside, input),
        6 => open::<ActorRecord>(&vault, ObjectKind::Void, inside, input),
        _ => open::<CondemnedRecord>(&vault, ObjectKind::Condemned, inside, input),
    }
}

fn open<R: Record + PartialEq + Debug>(
    vault: &Vault,
    kind: ObjectKind,
    inside: bool,
    mut input: Input<'_>,
) {
    let built;
    let bytes = if inside {
        let (codec, raw_len) = (input.u8(), input.u32());
        built = seal(vault, kind, codec, raw_len, input.0);
        &*built
    } else {
        input.0
    };
    let Ok(record) = vault.open::<R>(kind, "fuzzed", bytes) else { return };
    let again = vault.seal(kind, &record).expect("what opens seals");
    assert_eq!(vault.open::<R>(kind, "again", &again.bytes).expect("opens"), record);
}

/// A sealed object around any coded bytes.
pub fn seal(vault: &Vault, kind: ObjectKind, codec: u8, raw_len: u32, coded: &[u8]) -> Vec<u8> {
    let salt = [9; 32];
    let sealed_len = u32::try_from(coded.len() + TAG_LEN).expect("short");
    let part = SealedPart { kind, ordinal: WHOLE_ORDINAL, codec, raw_len, sealed_len };
    let mut body = coded.to_vec();
    let key = vault.object_key(kind, &salt).expect("a key");
    key.seal(part.nonce(), &part.associated_data(), &mut body).expect("seals");
    let mut bytes = Header { kind, salt }.encode().to_vec();
    bytes.push(codec);
    bytes.extend_from_slice(&raw_len.to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}
