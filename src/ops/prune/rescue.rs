//! Step 6: what is needed of packs that go, and is nowhere else. It is copied, never spared.

use std::collections::HashSet;

use crate::id::{BaseId, PackId};
use crate::progress::{Cancel, Observer};
use crate::repo::{Repository, Sight};

use super::super::OpError;
use super::keep::Keeper;
use super::mark::mark;
use super::packs::{Packs, Place};
use super::plan::Emptied;
use super::weigh::{each_pack, named};

/// The blocks of `going` to copy: snapshots need them, or blocks in packs that stay do, and what `theirs` hold of them
/// will be gone, too.
pub(super) fn rescue(
    repository: &Repository,
    sight: &Sight,
    going: &HashSet<PackId>,
    theirs: &HashSet<PackId>,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Vec<Emptied>, OpError> {
    // Ages do not matter any more.
    let packs = Packs::new(sight, std::time::SystemTime::UNIX_EPOCH, going, theirs);
    let mut keeper = Keeper::new(repository.reader(&sight.index), packs);
    mark(&mut keeper, &sight.roots, observer, cancel)?;
    keep_bases(repository, sight, &mut keeper, cancel)?;
    let copied = keeper
        .packs
        .iter()
        .filter(|(_, pack)| pack.place == Place::Going && !pack.rescued.is_empty())
        .map(|(_, pack)| Emptied::of(pack, pack.rescued.clone()));
    Ok(copied.collect())
}

/// What blocks that stay are coded against, whoever needs them: as long as they are there they may be hit.
fn keep_bases(
    repository: &Repository,
    sight: &Sight,
    keeper: &mut Keeper,
    cancel: &Cancel,
) -> Result<(), OpError> {
    let mut going = Names::new();
    each_pack(repository, &sight.objects, cancel, |listed, _| {
        let place = keeper.packs.find(&listed.id).and_then(|number| keeper.packs.get(number));
        if place.is_some_and(|pack| matches!(pack.place, Place::Going | Place::Theirs)) {
            let chunks = listed.contents.blocks.iter().flat_map(|block| &block.chunks);
            chunks.for_each(|chunk| going.add(&BaseId::of(&chunk.id)));
        }
        Ok(())
    })?;
    each_pack(repository, &sight.objects, cancel, |listed, _| {
        let place = keeper.packs.find(&listed.id).and_then(|number| keeper.packs.get(number));
        if place.is_some_and(|pack| matches!(pack.place, Place::Here | Place::Theirs)) {
            for block in &listed.contents.blocks {
                for base in named(&listed.contents, block).filter(|base| going.may_have(base)) {
                    keeper.keep_base(&base, block.depth)?;
                }
            }
        }
        Ok(())
    })
}

/// Names of chunks in a fixed room: it may say of one that it has it though it has not, never the other way round.
struct Names {
    bits: Vec<u64>,
}

/// 32 MiB: of 20 million names one in a hundred is taken for one of as many others.
const WORDS: usize = 1 << 22;

impl Names {
    fn new() -> Self {
        Self { bits: vec![0; WORDS] }
    }

    /// Names are parts of hashes: their own bytes say where to look.
    fn places(base: &BaseId) -> [(usize, u64); 3] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *base.as_bytes();
        [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(|part| {
            let number = u32::from_le_bytes(part);
            ((number >> 6) as usize % WORDS, 1 << (number & 63))
        })
    }

    fn add(&mut self, base: &BaseId) {
        for (word, bit) in Self::places(base) {
            if let Some(word) = self.bits.get_mut(word) {
                *word |= bit;
            }
        }
    }

    fn may_have(&self, base: &BaseId) -> bool {
        let has =
            |(word, bit): (usize, u64)| self.bits.get(word).is_some_and(|word| word & bit != 0);
        Self::places(base).into_iter().all(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChunkId;

    #[test]
    fn no_name_is_forgotten() {
        let name = |number: u32| {
            BaseId::of(&ChunkId::new(*blake3::hash(&number.to_le_bytes()).as_bytes()))
        };
        let mut names = Names::new();
        (0..50_000).for_each(|number| names.add(&name(number)));
        assert!((0..50_000).all(|number| names.may_have(&name(number))));
        let wrong = (50_000..100_000).filter(|number| names.may_have(&name(*number))).count();
        assert!(wrong < 50, "{wrong}");
    }
}
