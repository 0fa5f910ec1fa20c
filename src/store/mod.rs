//! The store: chunks in, verified chunks out.
//!
//! Out: [`Encoder`] names, looks up and codes the chunks of a segment on any thread; [`StoreWriter`] puts
//! what is new into packs in order; its uploader makes packs and index objects durable. In: [`StoreReader`]
//! locates, opens, decodes and verifies. Nothing unverified leaves it.

mod ahead;
mod align;
mod base;
mod block_copy;
mod buffer;
mod catalog;
mod chain;
mod contents;
mod decoded;
mod encode;
mod error;
mod fetch;
mod frame;
mod known;
mod lost;
mod old_stream;
mod opened;
mod pack;
mod part;
mod reader;
mod rebase;
mod recent;
mod recipe;
mod refresh;
mod scan;
mod tree;
mod upload;
mod vault;
mod window;
mod writer;

pub use align::{Aligned, Aligner};
pub use block_copy::{BlockCopier, Copied, put_index};
pub use catalog::{CatalogBuilder, CatalogCursor, CatalogItem, Lost, check_child};
pub use encode::{CodedSegment, Encoder, NamedSegment, Segment, SegmentChunk};
pub use error::StoreError;
pub use fetch::{Deliver, Want};
pub use frame::{PackFrame, read_frame};
pub use known::{Claim, Known};
pub use old_stream::{OldRefs, OldStream, Piece};
pub use opened::{Recode, Wanted};
pub use pack::{PackView, verify_name};
pub use reader::{ChunkBytes, StoreReader};
pub use rebase::{Ancestor, Ancestry, Recoded, rebase};
pub use recipe::{RecipeBuilder, RecipeCursor, RecipePart, check_level, check_total};
pub use refresh::Refresh;
pub use scan::{BlockDamage, PackReport, scan_pack};
pub use upload::Uploads;
pub use vault::{SealedObject, Vault};
pub use writer::{StoreWriter, Written};
