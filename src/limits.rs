//! Every limit in one place. A decoder refuses what exceeds them before it allocates.

pub const KIB: usize = 1024;
pub const MIB: usize = 1024 * KIB;

/// Newest repository format this build reads and writes.
pub const FORMAT_VERSION: u8 = 1;

/// Chunk sizes a new repository gets.
pub const CHUNK_MIN: u32 = 64 * 1024;
pub const CHUNK_AVG: u32 = 128 * 1024;
pub const CHUNK_MAX: u32 = 512 * 1024;
/// A chunk reference keeps its length in 22 bits.
pub const CHUNK_MAX_LIMIT: u32 = 4 * 1024 * 1024;
/// Below this the cost of a reference outweighs any saving.
pub const CHUNK_MIN_LIMIT: u32 = 64;

/// Bytes before a cut that its end fingerprint covers.
pub const FINGERPRINT_WINDOW: usize = 64;

/// Consecutive small new chunks share a block up to this many raw bytes.
pub const BLOCK_RAW_TARGET: usize = 128 * KIB;
/// No block decodes to more than this.
pub const BLOCK_RAW_MAX: usize = 8 * MIB;
/// No block names more bases than this.
pub const BLOCK_BASES_MAX: usize = 1024;
/// A writer's default delta depth, and the most a reader follows.
pub const DELTA_DEPTH_DEFAULT: u8 = 24;
pub const DELTA_DEPTH_MAX: u8 = 64;
/// What reading one chunk may cost: the bytes of all blocks decoded on the way, and for each base that is
/// looked for as if it had this many more. A chain as deep and with chunks as long as can be takes a quarter.
pub const CHAIN_WORK_MAX: u64 = 1024 * MIB as u64;
pub const CHAIN_STEP_WORK: u64 = 64 * KIB as u64;
/// Bytes of bases in hand at once while one chunk is decoded.
pub const CHAIN_HELD_MAX: u64 = 64 * MIB as u64;

pub const PACK_TARGET: u32 = 32 * 1024 * 1024;
pub const PACK_TARGET_MIN: u32 = 8 * 1024 * 1024;
pub const PACK_TARGET_MAX: u32 = 128 * 1024 * 1024;
/// A pack closes once it is past its target; one block and the trailer may lie beyond.
pub const PACK_LEN_MAX: u64 = 256 * 1024 * 1024;
/// Chunks a pack may list: bounds the trailer when chunks are tiny.
pub const PACK_CHUNKS_MAX: usize = 64 * 1024;
/// A pack closes at so many: readers keep the trailers of packs that chains lead to, one or two a link.
pub const PACK_CHUNKS_TARGET: usize = 8 * 1024;

/// Decoded size of a pack trailer, an index object, a manifest and of small records.
pub const TRAILER_MAX: usize = 32 * MIB;
pub const INDEX_MAX: usize = 32 * MIB;
pub const MANIFEST_MAX: usize = 16 * MIB;
pub const SMALL_RECORD_MAX: usize = MIB;
/// `restow.json` and key objects are read whole before anything is trusted.
pub const PLAIN_RECORD_MAX: usize = 64 * KIB;

/// An index object is flushed at this many chunks, or this many bytes of packs.
pub const INDEX_FLUSH_CHUNKS: usize = 16 * 1024;
pub const INDEX_FLUSH_BYTES: u64 = 256 * 1024 * 1024;

/// Catalog and recipe nodes are cut between these sizes.
pub const NODE_MIN: usize = 16 * KIB;
pub const NODE_MAX: usize = 256 * KIB;
/// One item (an entry with all its attributes) may exceed `NODE_MAX`; a node never exceeds this.
pub const NODE_LIMIT: usize = 4 * MIB;
/// Entries of a catalog leaf: the smallest entry takes 48 bytes of a leaf's size.
pub const LEAF_ENTRIES_MAX: usize = 16 * 1024;
/// Levels of a catalog or recipe tree above its leaves.
pub const TREE_LEVELS_MAX: u8 = 8;
/// Recipes up to this many chunk references stand in the catalog entry itself (about 1 KiB).
pub const INLINE_REFS_MAX: usize = 26;

/// Problems a manifest lists one by one; more are counted.
pub const PROBLEMS_MAX: usize = 10_000;
/// Bytes of paths and messages they may come to together.
pub const PROBLEM_BYTES_MAX: usize = 4 * MIB;
/// Unreadable chunks that are remembered, to be stored again.
pub const LOST_MAX: usize = 64 * 1024;
pub const PATH_MAX: usize = 64 * KIB;
/// Bytes of a tag.
pub const TAG_LEN_MAX: usize = 256;

/// Most memory and passes a key object may ask of Argon2id.
pub const ARGON2_MEMORY_KIB: u32 = 64 * 1024;
pub const ARGON2_MEMORY_KIB_MAX: u32 = 1024 * 1024;
pub const ARGON2_PASSES: u32 = 3;
pub const ARGON2_PASSES_MAX: u32 = 64;
pub const ARGON2_LANES_MAX: u32 = 16;
/// A key file holds at least this much.
pub const KEY_FILE_MIN: usize = 32;
/// Key objects that are looked at, and what trying them may cost together, in KiB of memory times passes:
/// some 700 keys of default cost. A host that adds costly keys can stall nobody for longer.
pub const KEYS_MAX: usize = 1024;
pub const KDF_WORK_MAX: u64 = 128 * 1024 * 1024;
