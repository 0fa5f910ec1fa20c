//! What is explored: the repository at first, who is at work, and which rules of the protocol hold.

use super::objects::{Chunks, Contents, Pack, Packs};
use super::state::{
    ACTORS, BEFORE, Index, IndexObject, PRUNES, Prune, Reader, SECOND, State, WRITERS, Writer,
};

/// A writer's source: the chunks of its snapshot, and against what each is coded where that is possible.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub chunks: Chunks,
    pub bases: [Option<u8>; super::objects::CHUNKS],
    /// Puts each new chunk in a pack of its own, and an index object behind each.
    pub two_packs: bool,
    /// Takes over a parent's chunks without look-up where docs/PRUNE.md allows it.
    pub parent: bool,
}

/// The rules of the protocol as mended. Each broken variant turns one around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub writer_lists_condemned: bool,
    pub writer_checks_void: bool,
    /// Index objects of void writers give no hit and no base.
    pub void_gives_nothing: bool,
    /// A copy counts only where everything it is coded against counts, too.
    pub hits_closed_over_bases: bool,
    pub prune_waits_for_writers: bool,
    pub prune_relists: bool,
    /// No chunk listed in a kept pack has its base only in what is condemned.
    pub closure_at_4: bool,
    /// What kept packs need is copied at 6.
    pub closure_at_6: bool,
    /// What manifests need is closed over bases, at 2 and at 6.
    pub bases_are_live: bool,
    pub copies_indexed_before_deleting: bool,
    pub shallowest_kept: bool,
    /// At 6 what others condemned does not count as kept.
    pub others_condemned_count_as_gone: bool,
    pub prune_checks_void: bool,
    pub both_prunes_withdraw: bool,
    /// Prune lists the index until two listings agree.
    pub settled_listings: bool,
    /// What is needed is copied, never spared.
    pub condemned_is_irrevocable: bool,
    /// Packs stored since the oldest live writer began are not condemned.
    pub young_packs_stay: bool,
    /// A chunk that a manifest needs and no listed pack holds stops a prune.
    pub unlocated_stops: bool,
    /// Index objects that list packs that are gone are put anew without those.
    pub stale_entries_go: bool,
    /// Readers refresh until the index no longer changes, not once only.
    pub readers_refresh_until_settled: bool,
    pub void_listed_last: bool,
    pub parent_only_if_whole: bool,
    /// A chunk collapses only if whatever is needed and coded against it is coded anew.
    pub dependents_coded_anew: bool,
    /// What is coded anew is no deeper than it was.
    pub never_deeper: bool,
    /// What is coded anew keeps its new base.
    pub new_bases_kept: bool,
    /// What collapses does not count as kept when step 4 closes over bases.
    pub collapsed_before_4: bool,
    /// Copies of step 3 are in the index before packs are condemned.
    pub copies_indexed_before_4: bool,
    /// They are in the index before step 7, at the latest.
    pub copies_indexed_before_7: bool,
    /// Step 6 keeps what copies of step 3 are coded against.
    pub copies_closed_at_6: bool,
}

impl Rules {
    pub const ALL: Self = Self {
        writer_lists_condemned: true,
        writer_checks_void: true,
        void_gives_nothing: true,
        hits_closed_over_bases: true,
        prune_waits_for_writers: true,
        prune_relists: true,
        closure_at_4: true,
        closure_at_6: true,
        bases_are_live: true,
        copies_indexed_before_deleting: true,
        shallowest_kept: true,
        others_condemned_count_as_gone: true,
        prune_checks_void: true,
        both_prunes_withdraw: true,
        settled_listings: true,
        condemned_is_irrevocable: true,
        young_packs_stay: true,
        unlocated_stops: true,
        stale_entries_go: true,
        readers_refresh_until_settled: true,
        void_listed_last: true,
        parent_only_if_whole: true,
        dependents_coded_anew: true,
        never_deeper: true,
        new_bases_kept: true,
        collapsed_before_4: true,
        copies_indexed_before_4: true,
        copies_indexed_before_7: true,
        copies_closed_at_6: true,
    };

    /// Section 8 as it was written, with no more than the three mends it needs: prune lists the index until two
    /// listings agree, index objects of packs that are gone are put anew, and readers refresh until the index no
    /// longer changes.
    pub const LETTER: Self = Self {
        hits_closed_over_bases: false,
        others_condemned_count_as_gone: false,
        unlocated_stops: false,
        ..Self::ALL
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// Lists what no index object lists.
    Unlisted,
    /// Replaces index objects, too, and lists also what is condemned.
    All,
}

#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub packs: [&'static [(u8, super::objects::Block)]; 4],
    /// The packs each index object lists.
    pub index: [Packs; 3],
    /// Chunks of the snapshot that is there; none: there is none.
    pub snapshot: Chunks,
    /// Those of another.
    pub second: Chunks,
    /// So many snapshots are deleted by somebody.
    pub deletes: u8,
    pub writers: &'static [Source],
    pub prunes: usize,
    /// Prune copies live chunks out of packs that hold others, too.
    pub repacks: bool,
    /// A prune may be one that compacts: it empties these packs, whatever waste they hold, and re-bases. None: none does.
    pub compacts: Packs,
    /// What it codes anew is in the index before what it copies as it is.
    pub copies_apart: bool,
    /// The first of the prunes is none, but makes the index from the packs.
    pub rebuild: Option<Rebuild>,
    /// Listings of packs, index and manifests take two steps.
    pub two_parts: bool,
    pub reader: bool,
    pub crashes: u8,
    /// How often an actor that lives is taken for dead.
    pub expiries: u8,
}

impl Scenario {
    pub fn initial(&self) -> State {
        let mut contents: Contents = Default::default();
        let (mut packs, mut index) = (0, Index::default());
        for (number, blocks) in self.packs.iter().enumerate() {
            contents[number] = Pack::of(blocks);
            packs |= u16::from(!blocks.is_empty()) << number;
        }
        for (origin, packs) in (0u8..).zip(self.index) {
            if packs != 0 {
                index.put(IndexObject { origin, version: 0, writer: BEFORE, packs });
            }
        }
        State {
            packs,
            contents,
            index,
            manifests: u8::from(self.snapshot != 0) | u8::from(self.second != 0) << SECOND,
            active: 0,
            void: 0,
            condemned: [0; PRUNES],
            noted: [None; PRUNES],
            older: [0; ACTORS],
            done: 0,
            deletes_left: self.deletes,
            writers: [Writer::NEW; WRITERS],
            prunes: [Prune::NEW; PRUNES],
            reader: Reader::NEW,
            crashes_left: self.crashes,
            expiries_left: self.expiries,
        }
    }

    /// The chunks a manifest names.
    pub fn chunks_of(&self, manifest: u8) -> Chunks {
        match manifest {
            0 => self.snapshot,
            SECOND => self.second,
            writer => self.writers[usize::from(writer) - 1].chunks,
        }
    }

    /// The chunks of all these manifests.
    pub fn needed_by(&self, manifests: u8) -> Chunks {
        let named = super::objects::members(u16::from(manifests));
        named.fold(0, |chunks, manifest| chunks | self.chunks_of(manifest))
    }
}
