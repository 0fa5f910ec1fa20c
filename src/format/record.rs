//! Records on the wire: version, tag, bincode body, extension fields. The one file that knows bincode.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Bytes, FormatError};
use crate::limits::{FORMAT_VERSION, INDEX_MAX};

/// A field added after a record's shape was fixed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Extension {
    pub tag: u32,
    /// A reader that does not know a required field must refuse the record.
    pub required: bool,
    pub value: Bytes,
}

/// Something stored: a struct that ends with its extension fields.
pub trait Record: Serialize + DeserializeOwned {
    /// Says on the wire what this is, so that one kind never decodes as another.
    const TAG: u8;
    const WHAT: &'static str;
    /// Most bytes of an encoded record of this kind.
    const LIMIT: usize;
    /// Extension tags this build understands.
    const KNOWN: &'static [u32] = &[];

    fn extensions(&self) -> &[Extension];

    /// What bincode cannot see: ranges, orders, sums.
    fn validate(&self) -> Result<(), FormatError> {
        Ok(())
    }
}

/// Bytes of a record.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, FormatError> {
    let mut bytes = vec![FORMAT_VERSION, R::TAG];
    bincode::serde::encode_into_std_write(record, &mut bytes, config()).map_err(|error| {
        FormatError::damaged(R::WHAT, bytes.len(), "an encodable record", error)
    })?;
    if bytes.len() > R::LIMIT {
        let expected = format!("at most {} bytes", R::LIMIT);
        return Err(FormatError::damaged(R::WHAT, 0, expected, bytes.len()));
    }
    Ok(bytes)
}

/// A record from untrusted bytes.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, FormatError> {
    if bytes.len() > R::LIMIT {
        let expected = format!("at most {} bytes", R::LIMIT);
        return Err(FormatError::damaged(R::WHAT, 0, expected, bytes.len()));
    }
    let [version, tag, body @ ..] = bytes else {
        return Err(FormatError::damaged(
            R::WHAT,
            0,
            "a version and a tag",
            format!("{} bytes", bytes.len()),
        ));
    };
    check_version(R::WHAT, 0, *version)?;
    if *tag != R::TAG {
        return Err(FormatError::damaged(R::WHAT, 1, format!("tag {}", R::TAG), tag));
    }
    let (record, used): (R, usize) = bincode::serde::decode_from_slice(body, config())
        .map_err(|error| FormatError::damaged(R::WHAT, 2, "a whole record", error))?;
    if used != body.len() {
        return Err(FormatError::damaged(
            R::WHAT,
            2 + used,
            "the end of the record",
            format!("{} more bytes", body.len() - used),
        ));
    }
    check_extensions(R::WHAT, R::KNOWN, record.extensions())?;
    record.validate()?;
    Ok(record)
}

/// Refuses versions this build does not know.
pub(super) fn check_version(
    what: &'static str,
    offset: usize,
    version: u8,
) -> Result<(), FormatError> {
    let expected = format!("format version {FORMAT_VERSION}");
    match version {
        FORMAT_VERSION => Ok(()),
        0 => Err(FormatError::damaged(what, offset, expected, "version 0")),
        newer => Err(FormatError::too_new(what, offset, expected, format!("version {newer}"))),
    }
}

pub(super) fn check_extensions(
    what: &'static str,
    known: &[u32],
    extensions: &[Extension],
) -> Result<(), FormatError> {
    let unknown = extensions.iter().find(|field| field.required && !known.contains(&field.tag));
    match unknown {
        None => Ok(()),
        Some(field) => Err(FormatError::too_new(
            what,
            0,
            "extension fields this restow knows",
            format!("required extension {}", field.tag),
        )),
    }
}

// The per-kind limit is checked on the slice; this one bounds what any single decode may claim.
fn config() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<INDEX_MAX>,
> {
    bincode::config::standard().with_limit::<INDEX_MAX>()
}
