//! A repository: opened with a key, its index loaded, its snapshots listed, new ones committed.

mod actor;
mod condemned;
mod create;
mod error;
mod filter;
mod key_change;
mod keys;
mod lookup;
mod notes;
mod objects;
mod open;
mod peers;
mod prune_session;
mod rebuild;
mod session;
mod snapshots;
mod sync;
mod view;

pub use actor::{Actor, Identity};
#[cfg(feature = "internals")]
pub use create::create_with_key;
pub use create::{CreateOptions, create};
pub use error::RepoError;
pub use filter::{Filter, SourceMatch};
pub use key_change::KeyOptions;
pub use keys::{KeyInfo, KeyListing};
pub use lookup::Selector;
pub use notes::NoteChange;
pub use open::{OpenOptions, Repository, cache_folder};
pub use peers::Peer;
pub use prune_session::{Begun, PruneSession, Root, Sight};
pub use rebuild::Stock;
pub use session::WriteSession;
pub use snapshots::{Snapshot, Standing};
pub use sync::IndexState;
pub use view::SnapshotView;
