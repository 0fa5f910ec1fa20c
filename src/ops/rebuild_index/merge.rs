//! Readable index objects replaced by fewer new ones, which say what the trailers say.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use crate::format::{IndexedPack, PackKind, name};
use crate::id::PackId;
use crate::index::PackEntry;
use crate::repo::Stock;

use super::super::OpError;
use super::fill::{Fill, Group};
use super::look::Readable;
use super::{READ_AT_ONCE, Rebuild};

/// Where the packs of index objects were put by now.
struct Moved {
    /// What those say of packs.
    said: BTreeSet<PackEntry>,
    /// Packs listed by their trailers.
    listed: HashSet<PackId>,
    /// What was taken over as it was.
    carried: BTreeSet<PackEntry>,
}

impl Rebuild<'_> {
    /// Each pack once, as its trailer has it. Where that cannot be read, or the pack is not there, what index objects say of
    /// it stays: its blocks may be readable all the same.
    pub(super) fn merge(
        &mut self,
        merged: &[Readable],
        stock: &Stock,
        fill: &mut Fill<'_>,
    ) -> Result<(), OpError> {
        let group = |object: &Readable| Group {
            void: Some(object.writer).filter(|writer| stock.void.contains(writer)),
            level: Reverse(object.level),
            unknown: Reverse(object.unknown.clone()),
        };
        // What a writer that counts lists, too, is listed as that one's.
        let mut order: Vec<_> =
            merged.iter().map(|object| (group(object), object.stored, object.id)).collect();
        order.sort_unstable();
        let said = merged.iter().flat_map(|object| &object.packs).copied().collect();
        let mut moved = Moved { said, listed: HashSet::new(), carried: BTreeSet::new() };
        for (group, _, id) in order {
            let mut packs = self.repository.index_object(&id)?.packs;
            packs.retain(|pack| !moved.listed.contains(&pack.id));
            for some in packs.chunks(READ_AT_ONCE) {
                self.move_over(some, &group, stock, &mut moved, fill)?;
            }
        }
        Ok(())
    }

    fn move_over(
        &mut self,
        packs: &[IndexedPack],
        group: &Group,
        stock: &Stock,
        moved: &mut Moved,
        fill: &mut Fill<'_>,
    ) -> Result<(), OpError> {
        let there = |pack: &IndexedPack| stock.packs.get(&pack.id).map(|there| there.len);
        let sized: Vec<_> = packs.iter().filter_map(|pack| Some((pack.id, there(pack)?))).collect();
        let mut read = self.read(&sized)?.into_iter();
        for pack in packs {
            let is_new = all_of(&moved.carried, &pack.id).next().is_none();
            match there(pack).and_then(|_| read.next()) {
                Some(Ok(found)) => {
                    if moved.listed.insert(found.id) {
                        let entry = PackEntry::of(&found);
                        let differs = all_of(&moved.said, &found.id).any(|other| *other != entry);
                        self.report.corrected += u64::from(differs);
                        match entry == PackEntry::of(pack) {
                            true => fill.turn_to(group)?,
                            false => fill.turn_to(&group.as_they_are())?,
                        }
                        fill.push(found)?;
                    }
                    continue;
                }
                Some(Err(error)) if is_new => {
                    let what = "its trailer cannot be read, it stays as index objects list it";
                    self.problem(&name::pack(&pack.id), format!("{what}: {error}"));
                }
                None if is_new && group.void.is_none() => self.differs(&PackEntry::of(pack), None),
                Some(Err(_)) | None => {}
            }
            if moved.carried.insert(PackEntry::of(pack)) {
                fill.turn_to(group)?;
                fill.push(pack.clone())?;
            }
        }
        Ok(())
    }
}

/// What a set says of one pack.
fn all_of<'s>(
    entries: &'s BTreeSet<PackEntry>,
    id: &PackId,
) -> impl Iterator<Item = &'s PackEntry> + use<'s> {
    let first = PackEntry { id: *id, kind: PackKind::Data, len: 0, contents: [0; 16] };
    let last = PackEntry { kind: PackKind::Metadata, len: u64::MAX, contents: [0xff; 16], ..first };
    entries.range(first..=last)
}
