//! The one integration test binary: one link, one set of helpers.
// A test that cannot go on should say where it stopped: panics are the right thing here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice)]

mod cli;
mod damage;
mod engine;
mod hostile;
mod layers;
mod refusals;
mod support;
