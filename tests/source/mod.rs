//! What all kinds of sources have in common.

mod custom;
