//! A delta coded anew: against what its bases are coded against, where those are kept for its sake only.

use crate::codec;
use crate::format::Codec;
use crate::id::{BaseId, ChunkId};
use crate::index::{Base, Location};
use crate::store::StoreError;
use crate::store::delta::base_range::{
    BASES_MAX, Gathered, OldPart, code_against, gather, join, leave_out_slivers, part_of,
};
use crate::store::read::reader::StoreReader;

/// A copy of a chunk that something is coded against.
#[derive(Debug, Clone, Copy)]
pub struct Ancestor {
    pub chunk: ChunkId,
    pub at: Location,
    /// How deep the chunk will lie where it is kept. `None`: it is not.
    pub kept: Option<u8>,
}

/// Finds the copy of a base that counts for a block of this depth.
pub type Ancestry<'a> = dyn Fn(&BaseId, u8) -> Result<Ancestor, StoreError> + Sync + 'a;

/// What a block becomes where it is copied.
#[derive(Debug, PartialEq, Eq)]
pub enum Recoded {
    /// Its bytes stay as they are. Its bases may lie less deep than before.
    AsItIs {
        depth: u8,
    },
    Anew {
        codec: Codec,
        depth: u8,
        bases: Vec<Base>,
        coded: Vec<u8>,
    },
}

impl Recoded {
    pub fn depth(&self) -> u8 {
        match self {
            Self::AsItIs { depth } | Self::Anew { depth, .. } => *depth,
        }
    }
}

/// Deltas gain little above this and take much longer (docs/DELTAS.md).
const DELTA_LEVEL_MAX: i32 = 9;

/// One place of something older, and how deep it will lie.
#[derive(Clone, Copy)]
struct BasePlace {
    part: OldPart,
    kept: Option<u8>,
}

/// Codes a delta against nothing but what is kept. Never deeper than it was.
pub fn rebase(
    reader: &StoreReader,
    level: i32,
    (id, at): (&ChunkId, &Location),
    ancestry: &Ancestry<'_>,
) -> Result<Recoded, StoreError> {
    let mut places = places_of(reader, at, ancestry)?;
    let is_kept = |place: &BasePlace| place.kept.is_some();
    if at.codec != Codec::ZstdDelta || places.iter().all(is_kept) {
        let depth = places.iter().filter_map(|place| place.kept).map(|depth| depth + 1).max();
        return Ok(Recoded::AsItIs { depth: depth.map_or(at.depth, |depth| depth.min(at.depth)) });
    }
    // Depths fall from round to round.
    while !places.iter().all(is_kept) {
        places = one_round_back(reader, places, ancestry)?;
    }
    let block = reader.chain(id).whole(id, at)?;
    let raw = reader.decoder.verified(at, id, &block.bytes)?;
    let recoded = code(reader, level, &places, raw)?;
    if recoded.depth() > at.depth {
        let expected = format!("a depth of at most {}", at.depth);
        return Err(StoreError::damaged(at.pack, "block coded anew", expected, recoded.depth()));
    }
    Ok(recoded)
}

/// What a copy is coded against, in its order.
fn places_of(
    reader: &StoreReader,
    at: &Location,
    ancestry: &Ancestry<'_>,
) -> Result<Vec<BasePlace>, StoreError> {
    let mut places = Vec::new();
    for base in reader.locator().bases(at)? {
        let Ancestor { chunk, at: of, kept } = ancestry(&base.name, at.depth)?;
        let part = OldPart::new(chunk, &base, of);
        places.extend(part.map(|part| BasePlace { part, kept }));
    }
    Ok(places)
}

/// What is not kept, replaced by what it is coded against. What is plain and not kept is left out.
fn one_round_back(
    reader: &StoreReader,
    places: Vec<BasePlace>,
    ancestry: &Ancestry<'_>,
) -> Result<Vec<BasePlace>, StoreError> {
    let mut older: Vec<BasePlace> = Vec::new();
    for place in places {
        if place.kept.is_some() {
            add(&mut older, place);
            continue;
        }
        let bases = places_of(reader, &place.part.at, ancestry)?;
        let parts: Vec<OldPart> = bases.iter().map(|base| base.part).collect();
        for part in part_of(&parts, &place.part) {
            let base = bases.iter().find(|base| base.part.chunk == part.chunk);
            if let Some(base) = base {
                add(&mut older, BasePlace { part, kept: base.kept });
            }
        }
    }
    let kept = |chunk: &ChunkId| {
        older.iter().find(|place| place.part.chunk == *chunk).and_then(|place| place.kept)
    };
    let mut parts: Vec<OldPart> = older.iter().map(|place| place.part).collect();
    leave_out_slivers(&mut parts);
    leave_out_shortest(&mut parts);
    Ok(parts.into_iter().map(|part| BasePlace { part, kept: kept(&part.chunk) }).collect())
}

fn add(to: &mut Vec<BasePlace>, place: BasePlace) {
    let mut parts: Vec<OldPart> = to.iter().map(|place| place.part).collect();
    join(&mut parts, place.part);
    let is_new = parts.len() > to.len();
    to.iter_mut().zip(parts).for_each(|(there, part)| there.part = part);
    if is_new {
        to.push(place);
    }
}

/// All but the longest, if there are more than a block may have.
fn leave_out_shortest(parts: &mut Vec<OldPart>) {
    let mut lens: Vec<u32> = parts.iter().map(|part| part.len).collect();
    lens.sort_unstable_by(|a, b| b.cmp(a));
    if let Some(least) = lens.get(BASES_MAX - 1) {
        parts.retain(|part| part.len >= *least);
        parts.truncate(BASES_MAX);
    }
}

fn code(
    reader: &StoreReader,
    level: i32,
    places: &[BasePlace],
    raw: &[u8],
) -> Result<Recoded, StoreError> {
    let parts: Vec<OldPart> = places.iter().map(|place| place.part).collect();
    let gathered = match gather(reader, &parts) {
        // Too wide for anybody to read: better by itself.
        Err(StoreError::CostlyChain { .. }) => None,
        gathered => gathered?,
    };
    let wrong = |e| StoreError::codec("block coded anew", e);
    let mut coded = Vec::new();
    if let Some(gathered) = &gathered
        && code_against(level.min(DELTA_LEVEL_MAX), gathered, raw, &mut coded)?
    {
        codec::decodes_to(raw, |out| {
            codec::decompress_against(&gathered.bytes, &coded, raw.len(), out)
        })
        .map_err(wrong)?;
        let depth = depth_on(places, gathered);
        let (codec, bases) = (Codec::ZstdDelta, gathered.bases.clone());
        return Ok(Recoded::Anew { codec, depth, bases, coded });
    }
    let codec = match codec::compress(level, raw, &mut coded).map_err(wrong)? {
        true => {
            codec::decodes_to(raw, |out| codec::decompress(&coded, raw.len(), out))
                .map_err(wrong)?;
            Codec::Zstd
        }
        false => {
            coded = raw.to_vec();
            Codec::Raw
        }
    };
    Ok(Recoded::Anew { codec, depth: 0, bases: Vec::new(), coded })
}

/// One more than the deepest of those that were used.
fn depth_on(places: &[BasePlace], gathered: &Gathered) -> u8 {
    let is_used = |place: &&BasePlace| {
        let name = BaseId::of(&place.part.chunk);
        gathered.bases.iter().any(|base| base.name == name)
    };
    let deepest = places.iter().filter(is_used).filter_map(|place| place.kept).max();
    deepest.unwrap_or(0) + 1
}
