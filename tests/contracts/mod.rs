//! One suite for each seam, which every implementation passes.

mod faulty;
mod index;
mod index_model;
mod storage;
mod wrappers;

pub use storage::keeps_the_contract;
