//! Step 6: what is needed of packs that go, and is nowhere else. It is copied, never spared.

use std::collections::HashSet;

use crate::id::{BaseId, PackId};
use crate::progress::{Cancel, Observer};
use crate::repo::{Repository, Sight};

use super::super::OpError;
use super::keep::Keeper;
use super::mark::mark;
use super::names::Names;
use super::packs::{PackPlace, Packs};
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
        .filter(|(_, pack)| pack.place == PackPlace::Going && !pack.rescued.is_empty())
        .map(|(_, pack)| Emptied::of(pack, pack.rescued.clone(), None));
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
        if place.is_some_and(|pack| matches!(pack.place, PackPlace::Going | PackPlace::Theirs)) {
            let chunks = listed.contents.blocks.iter().flat_map(|block| &block.chunks);
            chunks.for_each(|chunk| going.add(&BaseId::of(&chunk.id)));
        }
        Ok(())
    })?;
    each_pack(repository, &sight.objects, cancel, |listed, _| {
        let place = keeper.packs.find(&listed.id).and_then(|number| keeper.packs.get(number));
        if place.is_some_and(|pack| matches!(pack.place, PackPlace::Here | PackPlace::Theirs)) {
            for block in &listed.contents.blocks {
                for base in named(&listed.contents, block).filter(|base| going.may_have(base)) {
                    keeper.keep_base(&base, block.depth)?;
                }
            }
        }
        Ok(())
    })
}
