//! Gives verified chunks back: where copies lie, their chains of bases, decoding, caches.

pub(in crate::store) mod block_cache;
pub(in crate::store) mod buffer;
pub(in crate::store) mod chain;
pub(in crate::store) mod decoded;
pub(in crate::store) mod decoder;
pub(in crate::store) mod fetch;
pub(in crate::store) mod locator;
pub(in crate::store) mod pack_check;
pub(in crate::store) mod packs;
pub(in crate::store) mod prefetch;
pub(in crate::store) mod readahead;
pub(in crate::store) mod reader;
pub(in crate::store) mod refresh;
pub(in crate::store) mod trailer_cache;
pub(in crate::store) mod unreadable;
