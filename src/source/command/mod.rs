//! What a command prints, and what comes in on standard input: sources of one stream, read once.
//!
//! Nothing of either is committed unless it ended well: the child's exit status, an empty output and a read
//! error are known to the session before the engine asks it to finish.

mod child;
mod export;
mod kind;
mod stdin;
mod stream;
mod tail;

pub use export::{CommandExporter, CommandOptions};
pub(super) use kind::{command, stdin};
pub use stdin::StdinExporter;
