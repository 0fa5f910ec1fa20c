//! Repositories as a whole: opened, refused, shared by processes, written by earlier versions.

mod concurrency;
mod golden;
mod refusals;
mod trust;
