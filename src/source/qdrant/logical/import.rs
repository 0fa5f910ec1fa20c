//! Points back into a collection that is there, batch by batch.

use std::io::{BufRead, Read};

use serde_json::value::RawValue;

use super::point::{Point, PointId};
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::source::SourceError;
use crate::source::qdrant::api::Api;
use crate::source::qdrant::failure::refused;

/// A server takes documents of 32 MB.
const LINE_MAX: usize = 30 * MIB;
const BATCH: usize = 8 * MIB;
const BATCH_POINTS: usize = 1000;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    pub points: u64,
    /// Each id came once, in order: so many points there must be more where there was none of them.
    pub is_ordered: bool,
}

/// Writes the points in `lines` into a collection. What was written before an error stays written.
pub(in crate::source::qdrant) fn import(
    api: &Api,
    collection: &str,
    lines: &mut dyn BufRead,
) -> Result<Imported, SourceError> {
    let name = format!("{collection}.points.jsonl");
    let mut batch = Batch::default();
    let mut imported = Imported { points: 0, is_ordered: true };
    let mut last = None;
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = (&mut *lines).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line);
        if read.map_err(|error| SourceError::of_read(&name, error))? == 0 {
            break;
        }
        let wrong =
            |what: String| refused(ErrorKind::Damage, &name, format!("line {number}: {what}"));
        if line.len() > LINE_MAX {
            let what = format!("more than {LINE_MAX} bytes: no server takes such a point");
            return Err(wrong(what));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let point: Point =
            serde_json::from_slice(&line).map_err(|error| wrong(format!("no point: {error}")))?;
        let Some(id) = PointId::parse(point.id) else {
            return Err(wrong(format!("{} is no id of a point", point.id)));
        };
        imported.is_ordered &= last.is_none_or(|last| last < id);
        last = Some(id);
        if !batch.takes(&point, line.len()) {
            batch.send(api, collection)?;
        }
        batch.add(&point);
        imported.points += 1;
    }
    batch.send(api, collection)?;
    Ok(imported)
}

/// Points that are written together: those of one shard key.
#[derive(Default)]
struct Batch {
    points: Vec<u8>,
    count: usize,
    shard_key: Option<Box<RawValue>>,
}

impl Batch {
    fn takes(&self, point: &Point, len: usize) -> bool {
        let key = |key: Option<&RawValue>| key.map(|key| key.get().to_owned());
        let is_alike = key(self.shard_key.as_deref()) == key(point.shard_key);
        let has_room = self.count < BATCH_POINTS && self.points.len() + len <= BATCH;
        self.count == 0 || (is_alike && has_room)
    }

    fn add(&mut self, point: &Point) {
        if self.count > 0 {
            self.points.push(b',');
        } else {
            self.shard_key = point.shard_key.map(ToOwned::to_owned);
        }
        point.write_for_upsert(&mut self.points);
        self.count += 1;
    }

    fn send(&mut self, api: &Api, collection: &str) -> Result<(), SourceError> {
        let Self { points, count, shard_key } = std::mem::take(self);
        if count == 0 {
            return Ok(());
        }
        let mut body = b"{\"points\":[".to_vec();
        body.extend_from_slice(&points);
        body.push(b']');
        if let Some(key) = shard_key {
            body.extend_from_slice(format!(",\"shard_key\":{key}").as_bytes());
        }
        body.push(b'}');
        api.put_points(collection, body)
    }
}
