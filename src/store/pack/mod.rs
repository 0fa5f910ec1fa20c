//! One pack or sealed object: built, sealed, and its trailer read back.

pub(in crate::store) mod builder;
pub(in crate::store) mod sealer;
pub(in crate::store) mod trailer;
