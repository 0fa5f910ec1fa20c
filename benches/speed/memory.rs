//! A source and a storage that cost no more than a copy in memory: what is left is the engine.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use restow::format::{Bytes, Entry, EntryKind, EntryPath};
use restow::progress::Cancel;
use restow::source::{
    Body, BodyEnd, Description, Exporter, Item, OpenBody, Outcome, Session, SourceEntry,
    SourceError,
};
use restow::storage::{Key, Listed, Storage, StorageError};

/// One stream of these bytes.
pub struct Stream(pub &'static [u8]);

impl Exporter for Stream {
    fn describe(&self) -> Description {
        Description { kind: "memory".into(), url: "memory:".into(), label: "memory".into() }
    }

    fn open(&self, _: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        Ok(Box::new(One(Some(self.0))))
    }
}

struct One(Option<&'static [u8]>);

impl Session for One {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        let Some(bytes) = self.0.take() else { return Ok(None) };
        let entry = Entry {
            path: EntryPath::new("data").unwrap(),
            kind: EntryKind::File,
            unix: None,
            token: Bytes::default(),
            content: None,
            properties: Vec::new(),
            ext: Vec::new(),
        };
        let entry = SourceEntry::whole(entry, Box::new(Left(bytes)), bytes.len() as u64);
        Ok(Some(entry.into()))
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        Ok(Outcome::default())
    }
}

struct Left(&'static [u8]);

impl OpenBody for Left {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for Left {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Body for Left {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        Ok(BodyEnd::good())
    }
}

/// Keeps objects in memory that was there before, so that none has to be asked for while the clock runs.
pub struct Arena(RwLock<Kept>);

struct Kept {
    objects: BTreeMap<Key, Range<usize>>,
    bytes: Vec<u8>,
    used: usize,
}

impl Arena {
    pub fn new(len: usize) -> Self {
        Self(RwLock::new(Kept { objects: BTreeMap::new(), bytes: vec![1; len], used: 0 }))
    }

    fn with<T>(&self, key: &Key, act: impl FnOnce(&[u8]) -> T) -> Result<T, StorageError> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place = kept.objects.get(key).cloned();
        let place = place
            .ok_or_else(|| StorageError::Missing { place: self.describe(), key: key.clone() })?;
        Ok(act(&kept.bytes[place]))
    }
}

impl Storage for Arena {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let place = kept.used..kept.used + bytes.len();
        kept.used = place.end;
        kept.bytes[place.clone()].copy_from_slice(bytes);
        kept.objects.insert(key.clone(), place);
        Ok(())
    }

    fn get(&self, key: &Key, _: u64) -> Result<Vec<u8>, StorageError> {
        self.with(key, <[u8]>::to_vec)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        self.with(key, |bytes| {
            buffer.clear();
            buffer.extend_from_slice(&bytes[offset as usize..][..len]);
        })
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        let len = self.with(key, |bytes| bytes.len() as u64)?;
        Ok(Listed { key: key.clone(), len, stored: SystemTime::now() })
    }

    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let below = kept.objects.iter().filter(|(key, _)| key.is_under(prefix));
        let listed = below.map(|(key, place)| Listed {
            key: key.clone(),
            len: place.len() as u64,
            stored: SystemTime::now(),
        });
        let listed: Vec<_> = listed.collect();
        drop(kept);
        listed.into_iter().for_each(each);
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).objects.remove(key);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".into()
    }
}
