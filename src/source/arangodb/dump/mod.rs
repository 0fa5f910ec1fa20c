//! What arangodump writes and arangorestore reads: a folder of files for each database, or an archive of such.

mod archive;
mod export;
mod folder;
mod names;
mod output;
mod session;
mod write;

pub use export::{ArangodumpExporter, ArangodumpOptions, is_arangodump};
pub use write::{ArangodumpReport, write_arangodump};

/// The file that says what a dump is, and the one that says what it is encrypted with.
const DUMP: &str = "dump.json";
const ENCRYPTION: &str = "ENCRYPTION";
const STRUCTURE_FILE: &str = ".structure.json";
const VIEW_FILE: &str = ".view.json";
const DATA_FILE: &str = ".data.json";
const VPACK_FILE: &str = ".data.vpack";
const GZIP: &str = ".gz";
