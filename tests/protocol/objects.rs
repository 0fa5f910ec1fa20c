//! What packs hold in the model, and which chunks can be decoded from which packs.

/// A set of packs, by number.
pub type Packs = u16;
/// A set of chunks, by number.
pub type Chunks = u8;
/// A set of actors, by number.
pub type Actors = u8;

pub const PACKS: usize = 16;
pub const CHUNKS: usize = 4;
/// Deeper blocks are not written.
pub const DEPTH_MAX: u8 = 3;
/// Above every depth: for a chunk that no block needs.
pub const ANY_DEPTH: u8 = DEPTH_MAX + 1;

/// One block: one chunk, plain or a delta against one base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    pub base: Option<u8>,
    pub depth: u8,
}

impl Block {
    pub const PLAIN: Self = Self { base: None, depth: 0 };

    pub const fn delta(base: u8, depth: u8) -> Self {
        Self { base: Some(base), depth }
    }
}

/// The blocks of a pack: eight bits for each chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Pack(u32);

impl Pack {
    pub const EMPTY: Self = Self(0);

    pub fn of(blocks: &[(u8, Block)]) -> Self {
        let mut pack = Self::EMPTY;
        blocks.iter().for_each(|(chunk, block)| pack.put(*chunk, *block));
        pack
    }

    pub fn get(&self, chunk: u8) -> Option<Block> {
        let bits = (self.0 >> (8 * chunk)) & 0xff;
        let block = Block {
            base: (bits & 7).checked_sub(1).map(|base| base as u8),
            depth: ((bits >> 3) & 7) as u8,
        };
        (bits != 0).then_some(block)
    }

    pub fn put(&mut self, chunk: u8, block: Block) {
        self.remove(chunk);
        let bits =
            0x80 | u32::from(block.depth) << 3 | block.base.map_or(0, |base| u32::from(base) + 1);
        self.0 |= bits << (8 * chunk);
    }

    pub fn remove(&mut self, chunk: u8) {
        self.0 &= !(0xff << (8 * chunk));
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub fn blocks(self) -> impl Iterator<Item = (u8, Block)> {
        (0..CHUNKS as u8).filter_map(move |chunk| Some((chunk, self.get(chunk)?)))
    }

    pub fn chunks(self) -> Chunks {
        self.blocks().fold(0, |chunks, (chunk, _)| chunks | 1 << chunk)
    }
}

/// The packs ever put, by number: names are never used twice.
pub type Contents = [Pack; PACKS];

pub fn members(set: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |member| set & (1 << member) != 0)
}

/// Whether a chunk can be decoded from these packs by fewer decodes than `below`.
pub fn decodes(contents: &Contents, chunk: u8, below: u8, from: Packs) -> bool {
    shallowest(contents, chunk, below, from).is_some()
}

/// The copy of a chunk that takes the fewest decodes, of those that can be decoded from these packs; of equals the
/// one put last.
pub fn shallowest(contents: &Contents, chunk: u8, below: u8, from: Packs) -> Option<(u8, Block)> {
    let mut found: Option<(u8, Block)> = None;
    for pack in members(from) {
        let Some(block) = contents[usize::from(pack)].get(chunk) else { continue };
        let better = found.is_none_or(|(_, best)| block.depth <= best.depth);
        if block.depth < below && better && block_decodes(contents, block, from) {
            found = Some((pack, block));
        }
    }
    found
}

/// The deepest one instead: what a prune must not go by.
pub fn deepest(contents: &Contents, chunk: u8, from: Packs) -> Option<(u8, Block)> {
    let copies = members(from).filter_map(|pack| {
        let block = contents[usize::from(pack)].get(chunk)?;
        block_decodes(contents, block, from).then_some((pack, block))
    });
    copies.max_by_key(|(_, block)| block.depth)
}

pub fn block_decodes(contents: &Contents, block: Block, from: Packs) -> bool {
    block.base.is_none_or(|base| decodes(contents, base, block.depth, from))
}
