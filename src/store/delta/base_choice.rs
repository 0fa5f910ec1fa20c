//! What a new chunk is coded against: the bytes of old chunks, verified, from copies that are not too deep.
//!
//! A chain of deltas costs one decode a link. Where one is as long as it may get, the new chunk is coded
//! against an ancestor further back: that delta is larger, but the chain is short again.

use std::sync::Arc;

use crate::id::BaseId;
use crate::index::Base;
use crate::store::StoreError;
use crate::store::write::dedup::Known;

use super::base_range::{
    BASES_MAX, Gathered, OldPart, deepest, depth_of, gather, join, leave_out_slivers, part_of,
};
use super::old_stream::Piece;

/// Finds and reads bases. Shared by all threads.
pub(in crate::store) struct Bases {
    known: Arc<Known>,
    /// How many decodes a new block may take before its own; 0 for no deltas at all.
    depth_max: u8,
}

/// How far ahead the cost of going further back is spread. Simulated over 30, 60, 120 and 365 nights
/// (docs/DELTAS.md): less makes too many small steps back, more pays too much too early.
const NIGHTS: u8 = 12;

impl Bases {
    pub fn new(known: Arc<Known>, depth_max: u8) -> Self {
        Self { known, depth_max }
    }

    /// What to code against where these pieces of an old stream stand in the place of something new. `None`: by
    /// itself. `lineage` is the same for what takes the same place night by night.
    pub fn gather(
        &self,
        pieces: &[Piece],
        lineage: [u8; 4],
    ) -> Result<Option<Gathered>, StoreError> {
        if self.depth_max == 0 {
            return Ok(None);
        }
        let mut found = Vec::new();
        for piece in pieces.iter().take(BASES_MAX) {
            if piece.len == 0 {
                continue;
            }
            let base = Base { name: BaseId::of(&piece.id), skip: piece.skip, len: piece.len };
            let shallowest = self.known.shallowest_base(&base.name)?;
            if let Some((_, at)) = shallowest.filter(|(id, _)| *id == piece.id) {
                found.extend(OldPart::new(piece.id, &base, at));
            }
        }
        leave_out_slivers(&mut found);
        let limit = self.limit_for(lineage);
        if depth_of(&found) >= limit {
            found = match self.further_back(found, limit)? {
                Some(found) => found,
                None => return Ok(None),
            };
        }
        match gather(self.known.reader(), &found) {
            // Chains may also be too wide.
            Err(StoreError::CostlyChain { .. }) => {
                let depth = depth_of(&found);
                let shallower = self.further_back(found, depth)?;
                shallower.map_or(Ok(None), |found| {
                    gather(self.known.reader(), &found).or_else(|error| match error {
                        StoreError::CostlyChain { .. } => Ok(None),
                        error => Err(error),
                    })
                })
            }
            read => read,
        }
    }

    /// Chains are not allowed the same depth everywhere, or all would have to be begun anew on the same night.
    fn limit_for(&self, [a, ..]: [u8; 4]) -> u8 {
        self.depth_max - a % (self.depth_max / 4 + 1)
    }

    /// The ancestors that cost least over the nights a chain can then go on: `limit` less their depth, as far as
    /// we look ahead. What a delta against them costs is about what the deltas since then cost together.
    fn further_back(
        &self,
        from: Vec<OldPart>,
        limit: u8,
    ) -> Result<Option<Vec<OldPart>>, StoreError> {
        let hop = deepest(&from).map(|found| u64::from(found.at.sealed_len)).sum::<u64>();
        let (mut current, mut cost) = (from, hop);
        let mut best: Option<(f64, Vec<OldPart>)> = None;
        loop {
            let depth = depth_of(&current);
            if depth < limit {
                let nights = f64::from((limit - depth).min(NIGHTS));
                let rate = (cost as f64 + hop as f64 * (nights - 1.0)) / nights;
                if best.as_ref().is_none_or(|(least, _)| rate < *least) {
                    best = Some((rate, current.clone()));
                }
            }
            if depth == 0 {
                break;
            }
            let older = self.one_hop_back(&current, depth)?;
            if older.is_empty() || older.len() > BASES_MAX || depth_of(&older) >= depth {
                break;
            }
            cost += deepest(&current).map(|found| u64::from(found.at.sealed_len)).sum::<u64>();
            current = older;
        }
        Ok(best.map(|(_, found)| found))
    }

    /// The same place one decode earlier: the deepest are replaced by what they are coded against.
    fn one_hop_back(&self, from: &[OldPart], depth: u8) -> Result<Vec<OldPart>, StoreError> {
        let mut older: Vec<OldPart> = Vec::new();
        for found in from {
            if found.at.depth < depth {
                join(&mut older, *found);
                continue;
            }
            let mut bases = Vec::new();
            for base in self.known.reader().locator().bases_near(&found.at)? {
                let shallowest = self.known.shallowest_base(&base.name)?;
                if let Some((chunk, at)) = shallowest.filter(|(_, at)| at.depth < depth) {
                    bases.extend(OldPart::new(chunk, &base, at));
                }
            }
            for part in part_of(&bases, found) {
                join(&mut older, part);
            }
        }
        leave_out_slivers(&mut older);
        Ok(older)
    }
}
