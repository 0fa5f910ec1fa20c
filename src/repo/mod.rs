//! A repository: opened with a key, its index loaded, its snapshots listed, new ones committed.

mod actor;
mod condemned;
mod create;
mod error;
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
pub use create::{CreateOptions, create, create_with_key};
pub use error::RepoError;
pub use key_change::KeyOptions;
pub use keys::{KeyInfo, KeyListing, add_key};
pub use lookup::{Filter, Selector};
pub use notes::{NoteChange, Notes};
pub use open::{OpenOptions, Repository, cache_folder};
pub use peers::Peer;
pub use prune_session::{Begun, PruneSession, Root, Sight};
pub use rebuild::Stock;
pub use session::WriteSession;
pub use snapshots::{Listing, Snapshot, Standing};
pub use sync::{IndexState, PackObject};
pub use view::SnapshotView;
