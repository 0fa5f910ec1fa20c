//! What tests share: storages that fail, made-up records.

pub mod faulty;
pub mod index_records;
