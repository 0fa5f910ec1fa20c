//! What kinds of storage have of their own; `contracts` has what all of them keep.

mod custom;
mod local;
