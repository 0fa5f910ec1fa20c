//! The index cache; `contracts` has what every index keeps.

#[cfg(feature = "rocksdb")]
mod cache;
