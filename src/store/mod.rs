//! The store: chunks in, verified chunks out.
//!
//! Out: [`Encoder`] names, looks up and codes the chunks of a segment on any thread; [`StoreWriter`] puts
//! what is new into packs in order; its uploader makes packs and index objects durable. In: [`StoreReader`]
//! locates, opens, decodes and verifies. Nothing unverified leaves it.

mod delta;
mod error;
mod pack;
mod read;
mod repack;
mod tree;
mod write;

pub use delta::aligner::{Aligned, Aligner};
pub use delta::old_stream::OldStream;
pub use error::StoreError;
#[cfg(feature = "internals")]
pub use pack::builder::PackView;
pub use pack::builder::verify_name;
pub use pack::sealer::Vault;
pub use pack::trailer::{PackFrame, hash_object, read_frame};
pub use read::fetch::Want;
pub use read::pack_check::scan_pack;
pub use read::reader::StoreReader;
pub use read::refresh::Refresh;
pub use repack::block::Wanted;
pub use repack::copier::{BlockCopier, Copied, put_index};
pub use repack::rebase::{Ancestor, Recoded, rebase};
pub use tree::catalog::{CatalogBuilder, CatalogCursor, CatalogItem, Lost, check_child};
pub use tree::recipe::{RecipeBuilder, RecipeCursor, RecipePart, check_level, check_total};
pub use write::dedup::Known;
pub use write::encoder::{CodedSegment, Encoder, NamedSegment, Segment, SegmentChunk};
pub use write::uploader::Uploads;
pub use write::writer::{StoreWriter, Written};
