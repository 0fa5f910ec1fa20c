//! Index objects, each read from the storage whatever a cache has of it.

use std::time::SystemTime;

use rayon::prelude::*;

use crate::fault::ErrorKind;
use crate::format::Extension;
use crate::id::{ActorId, ObjectId};
use crate::index::PackEntry;
use crate::progress::Cancel;
use crate::repo::{RepoError, Repository, Stock};

use super::super::OpError;

/// Index objects decoded at once: some 5 MiB each.
const BATCH: usize = 8;

/// Most bytes of what is not known that are taken along: all objects' are in memory, and each new object has room for it
/// beside its packs. Of more nothing is.
const UNKNOWN_MAX: usize = 64 * 1024;
/// What such a field takes besides its value, at most.
const FIELD: usize = 16;

/// An index object that says what packs hold.
pub(super) struct Readable {
    pub id: ObjectId,
    pub stored: SystemTime,
    pub writer: ActorId,
    /// The level its packs were compacted at.
    pub level: Option<i32>,
    /// What a newer restow says of each of its packs.
    pub unknown: Vec<Extension>,
    pub packs: Vec<PackEntry>,
}

/// One that says nothing: its bytes are not what was put.
pub(super) struct Damaged {
    pub id: ObjectId,
    pub stored: SystemTime,
    pub error: RepoError,
}

pub(super) struct Look {
    pub stock: Stock,
    pub readable: Vec<Readable>,
    pub damaged: Vec<Damaged>,
    /// Those that may be as they should be, and cannot be had at the moment.
    pub unread: Vec<(ObjectId, RepoError)>,
}

/// Everything there is. Where something went while it was read, what stands for it is there by now, and it is looked again.
pub(super) fn look(repository: &Repository, cancel: &Cancel) -> Result<Look, OpError> {
    loop {
        if let Some(look) = look_once(repository, cancel)? {
            return Ok(look);
        }
    }
}

fn look_once(repository: &Repository, cancel: &Cancel) -> Result<Option<Look>, OpError> {
    let stock = repository.stock()?;
    let (mut readable, mut damaged, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    let all: Vec<_> = stock.objects.iter().map(|(id, stored)| (*id, *stored)).collect();
    for batch in all.chunks(rayon::current_num_threads().clamp(1, BATCH)) {
        if cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        let read: Vec<_> =
            batch.par_iter().map(|(id, stored)| read(repository, *id, *stored)).collect();
        for ((id, stored), object) in batch.iter().zip(read) {
            let (id, stored) = (*id, *stored);
            match object {
                Ok(object) => readable.push(object),
                Err(error) if error.is_missing_object() => return Ok(None),
                Err(error) => match error.kind() {
                    ErrorKind::Damage => damaged.push(Damaged { id, stored, error }),
                    ErrorKind::Failed => unread.push((id, error)),
                    // A newer restow can read it; a storage that is not there says nothing of it.
                    _ => return Err(error.into()),
                },
            }
        }
    }
    Ok(Some(Look { stock, readable, damaged, unread }))
}

fn read(repository: &Repository, id: ObjectId, stored: SystemTime) -> Result<Readable, RepoError> {
    let record = repository.index_object(&id)?;
    let (writer, level, mut unknown) = (record.writer, record.compacted(), Vec::new());
    if record.unknown().map(|field| field.value.len() + FIELD).sum::<usize>() <= UNKNOWN_MAX {
        unknown.extend(record.unknown().cloned());
    }
    let packs = record.packs.iter().map(PackEntry::of).collect();
    Ok(Readable { id, stored, writer, level, unknown, packs })
}
