//! ArangoDB servers: databases read from one state that the server holds, and written back in the order that it
//! needs.

mod api;
mod auth;
mod batch;
mod cluster;
mod export;
mod inventory;
mod name;
mod parallel;
mod section;
mod supply;
mod trouble;

pub use api::ArangoConnection;
pub use auth::ArangoLogin;
pub use export::{ArangoExporter, ArangoOptions};
pub use inventory::ArangoSelection;
pub use name::{ArangoServer, ArangoSource};

/// What a source is called, whatever its databases came from.
const KIND: &str = "arangodb";
