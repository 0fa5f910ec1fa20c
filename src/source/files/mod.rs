//! Folders and files of a Unix file system.
