//! Catalogs and recipes: trees of nodes, written and read a leaf at a time.

pub(in crate::store) mod catalog;
pub(in crate::store) mod levels;
pub(in crate::store) mod recipe;
