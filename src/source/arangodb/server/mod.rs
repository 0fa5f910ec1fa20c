//! ArangoDB servers: databases read from one state that the server holds, and written back in the order that it
//! needs.

mod allowance;
mod api;
mod auth;
mod batch;
mod cluster;
mod decide;
mod estimate;
mod export;
mod inventory;
mod load;
mod look;
mod name;
mod options;
mod parallel;
mod relink;
mod run;
mod session;
mod supply;
mod target;
mod trouble;
mod writer;

pub use api::ArangoConnection;
pub use auth::ArangoLogin;
pub use export::ArangoExporter;
pub use inventory::ArangoSelection;
pub use load::{ArangoLoader, ArangoRestore};
pub use name::{ArangoServer, ArangoSource};
pub use options::ArangoOptions;

/// What a source is called, whatever its databases came from.
const KIND: &str = "arangodb";
