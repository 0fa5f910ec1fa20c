//! Folders and files of a Unix file system.
//!
//! Nothing here is done by path once the folder is open: every name is looked up in the directory that holds
//! it, by descriptor, and a symbolic link is never followed. So neither a tree that changes under a backup nor
//! a hostile snapshot under a restore leads out of the folder.
//!
//! A file is unchanged while its size, times, inode and device are; where a file system's inode numbers or
//! change times mean little, or the times are too fresh to be trusted, it is read again.
//!
//! Owners' names come from `/etc/passwd` and `/etc/group`, read once: accounts that only a directory service
//! knows are kept by id, with an empty name.

mod apply;
mod attributes;
mod beneath;
mod body;
mod databases;
mod exclude;
mod export;
mod failure;
mod filesystem;
mod import;
mod kind;
mod likeness;
mod links;
mod listing;
mod node;
mod place;
mod remove;
mod sink;
mod state;
mod walk;

pub(super) use apply::Context;
pub(super) use attributes::unix;
pub use exclude::{FolderOptions, PRESETS, SETTLE};
pub use export::FolderExporter;
pub use import::FolderImporter;
pub(super) use kind::FolderKind;

pub use super::{ImportReport, OwnerPolicy, RestoreOptions};
