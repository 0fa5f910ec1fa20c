//! One line of a dump: out of its envelope, its `_rev` cut out, and put back.
//!
//! A document is never parsed into values and written again: numbers, escapes, the order of members, duplicate
//! members and white space stay as the server wrote them.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What replication calls a document, an edge, and the removal of either.
const DOCUMENT: u32 = 2300;
const EDGE: u32 = 2301;
const REMOVAL: u32 = 2302;

/// Longest `_key` that is taken: ArangoDB's own limit is 254 bytes.
const KEY_MAX: usize = 64 * 1024;

/// Why a line is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("is not UTF-8")]
    NotText,
    #[error("is not a JSON object")]
    NotAnObject,
    #[error("is broken JSON: {0}")]
    Broken(#[from] serde_json::Error),
    #[error("is a document over several lines")]
    SeveralLines,
    #[error("has no `_key` and is no marker")]
    NoKey,
    #[error("has a `{0}` that is not a string")]
    NotAString(&'static str),
    #[error("has an empty `_key`")]
    EmptyKey,
    #[error("has a `_key` of {0} bytes")]
    LongKey(usize),
    #[error("has two `_key`s that differ")]
    TwoKeys,
    #[error("is a marker of unknown type {0}")]
    UnknownMarker(String),
    #[error("is a marker without data")]
    NoData,
}

/// What a line says.
#[derive(Debug)]
pub enum Line<'a> {
    Document(Document<'a>),
    /// The document of this key is gone.
    Removal(Cow<'a, str>),
}

/// A document of a collection.
#[derive(Debug)]
pub struct Document<'a> {
    pub key: Cow<'a, str>,
    /// What stands between the quotes of `_rev`, escapes and all.
    revision: Option<&'a str>,
    text: &'a str,
    /// Where `_rev` stands, with a comma.
    cuts: Vec<Range<usize>>,
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        let line = str::from_utf8(line.trim_ascii()).map_err(|_| LineError::NotText)?;
        let object = Object::scan(line)?;
        if object.key.is_some() {
            return object.into_document().map(Self::Document);
        }
        let Some(marker) = object.marker else { return Err(LineError::NoKey) };
        match marker.get().parse() {
            Ok(DOCUMENT | EDGE) => {
                let data = object.data.ok_or(LineError::NoData)?;
                Object::scan(data.get())?.into_document().map(Self::Document)
            }
            Ok(REMOVAL) => Self::removal(&object),
            Ok(_) | Err(_) => {
                Err(LineError::UnknownMarker(marker.get().chars().take(40).collect()))
            }
        }
    }

    /// The key is in the data; before ArangoDB 3 it stood beside it.
    fn removal(object: &Object<'a>) -> Result<Self, LineError> {
        let key = match (object.data, object.outer_key) {
            (Some(data), _) => Object::scan(data.get())?.key,
            (None, Some(outer)) => Some(string(outer, "key")?),
            (None, None) => return Err(LineError::NoData),
        };
        Ok(Self::Removal(checked(key)?))
    }
}

impl Document<'_> {
    /// Appends the document without its `_rev`.
    pub fn write(&self, to: &mut Vec<u8>) {
        let mut from = 0;
        for cut in &self.cuts {
            to.extend_from_slice(self.text.get(from..cut.start).unwrap_or_default().as_bytes());
            from = cut.end;
        }
        to.extend_from_slice(self.text.get(from..).unwrap_or_default().as_bytes());
    }

    /// Appends the line that keeps its `_rev`: nothing where there was none.
    pub fn write_revision(&self, to: &mut Vec<u8>) {
        match self.revision {
            Some("") => to.extend_from_slice(EMPTY_REVISION),
            Some(revision) => to.extend_from_slice(revision.as_bytes()),
            None => {}
        }
    }
}

/// A `_rev` that is there and empty: no other has a quote in it that is not escaped.
const EMPTY_REVISION: &[u8] = b"\"\"";

/// Appends a document with the `_rev` that [`Document::write_revision`] made a line of.
pub fn join(document: &[u8], revision: &[u8], to: &mut Vec<u8>) -> Result<(), LineError> {
    let Some(rest) = document.strip_prefix(b"{") else { return Err(LineError::NotAnObject) };
    if revision.is_empty() {
        to.extend_from_slice(document);
        return Ok(());
    }
    to.extend_from_slice(b"{\"_rev\":\"");
    if revision != EMPTY_REVISION {
        to.extend_from_slice(revision);
    }
    to.extend_from_slice(b"\",");
    to.extend_from_slice(rest);
    Ok(())
}

fn checked(key: Option<Cow<'_, str>>) -> Result<Cow<'_, str>, LineError> {
    match key {
        None => Err(LineError::NoKey),
        Some(key) if key.is_empty() => Err(LineError::EmptyKey),
        Some(key) if key.len() > KEY_MAX => Err(LineError::LongKey(key.len())),
        Some(key) => Ok(key),
    }
}

fn string<'a>(raw: &'a RawValue, name: &'static str) -> Result<Cow<'a, str>, LineError> {
    let inside = quoted(raw).ok_or(LineError::NotAString(name))?;
    match inside.contains('\\') {
        false => Ok(Cow::Borrowed(inside)),
        true => Ok(Cow::Owned(serde_json::from_str(raw.get())?)),
    }
}

/// What stands between a string's quotes.
fn quoted(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

/// The members of an object that matter here, and where its `_rev`s stand.
#[derive(Default)]
struct Object<'a> {
    text: &'a str,
    key: Option<Cow<'a, str>>,
    revision: Option<&'a str>,
    marker: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    outer_key: Option<&'a RawValue>,
    cuts: Vec<Range<usize>>,
    /// Where the member before ended; behind the brace at first.
    before: usize,
    /// Whether all members so far were `_rev`s, and at least one was.
    is_leading: bool,
    members: usize,
    failure: Option<LineError>,
}

impl<'a> Object<'a> {
    fn scan(text: &'a str) -> Result<Self, LineError> {
        if !text.starts_with('{') {
            // What is not JSON at all is told as that.
            serde_json::from_str::<&RawValue>(text)?;
            return Err(LineError::NotAnObject);
        }
        let mut from = serde_json::Deserializer::from_str(text);
        let object = (&mut from).deserialize_map(Scan(text))?;
        from.end()?;
        // Checked last: a line cut short inside a string is broken, not two lines.
        if text.contains('\n') {
            return Err(LineError::SeveralLines);
        }
        match object.failure {
            Some(failure) => Err(failure),
            None => Ok(object),
        }
    }

    fn into_document(self) -> Result<Document<'a>, LineError> {
        let key = checked(self.key)?;
        Ok(Document { key, revision: self.revision, text: self.text, cuts: self.cuts })
    }

    fn member(&mut self, name: Name, value: &'a RawValue) -> Result<(), LineError> {
        let start = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let end = start.saturating_add(value.get().len());
        match name {
            Name::Revision => {
                self.revision = Some(quoted(value).ok_or(LineError::NotAString("_rev"))?);
                self.cut(end);
            }
            _ if self.is_leading => self.close_leading(),
            _ => {}
        }
        match name {
            Name::Key => {
                let key = string(value, "_key")?;
                if self.key.as_ref().is_some_and(|other| *other != key) {
                    return Err(LineError::TwoKeys);
                }
                self.key = Some(key);
            }
            Name::Marker => self.marker = Some(value),
            Name::Data => self.data = Some(value),
            Name::OuterKey => self.outer_key = Some(value),
            Name::Revision | Name::Other => {}
        }
        self.before = end;
        self.members += 1;
        Ok(())
    }

    /// Cuts the member that ends at `end`, and the comma before it. The first member has none: its comma
    /// comes after it, if there is one.
    fn cut(&mut self, end: usize) {
        let start = match self.members {
            0 => {
                self.is_leading = true;
                let white = self.text.get(1..).unwrap_or_default();
                1 + (white.len() - white.trim_ascii_start().len())
            }
            _ => self.before,
        };
        match self.cuts.last_mut().filter(|last| last.end == start) {
            Some(last) => last.end = end,
            None => self.cuts.push(start..end),
        }
    }

    /// A member follows those that were cut at the beginning: the comma between goes with them.
    fn close_leading(&mut self) {
        self.is_leading = false;
        let rest = self.text.get(self.before..).unwrap_or_default();
        if let (Some(comma), Some(last)) = (rest.find(','), self.cuts.last_mut()) {
            last.end = self.before + comma + 1;
        }
    }
}

struct Scan<'a>(&'a str);

impl<'a> Visitor<'a> for Scan<'a> {
    type Value = Object<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut members: M) -> Result<Object<'a>, M::Error> {
        let mut object = Object { text: self.0, before: 1, ..Object::default() };
        while let Some(name) = members.next_key_seed(Name::Other)? {
            let value = members.next_value()?;
            // The rest is read all the same: broken JSON is the better thing to tell.
            if object.failure.is_none() {
                object.failure = object.member(name, value).err();
            }
        }
        Ok(object)
    }
}

#[derive(Clone, Copy)]
enum Name {
    Key,
    Revision,
    Marker,
    Data,
    OuterKey,
    Other,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Self;

    /// As bytes: a name may hold escapes that are half a character, which no string can.
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self, D::Error> {
        from.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self, E> {
        Ok(match name {
            b"_key" => Self::Key,
            b"_rev" => Self::Revision,
            b"type" => Self::Marker,
            b"data" => Self::Data,
            b"key" => Self::OuterKey,
            _ => Self::Other,
        })
    }
}
