//! The protocol by which writers, prunes and readers share a repository, as a small model that is explored
//! exhaustively, and checked against what backups really do. `docs/PRUNE.md` tells of it.
//!
//! `objects`, `state`: what there is. `writer`, `prune`, `model`: the steps. `plan`, `collapse`: what prune decides.
//! `rebuild`: a rebuild of the index. `scenario`, `scenarios`, `compactions`, `variants`: what is explored. `search`, `properties`,
//! `explore`, `explore_rebasing`: how, and what must hold.
//! `events`, `accepts`: the order of operations that traces of real runs are held against.

mod accepts;
mod accepts_bases;
mod accepts_prune;
mod accepts_rebuild;
mod accepts_writer;
mod backups;
mod collapse;
mod compactions;
mod events;
mod explore;
mod explore_rebasing;
mod faults;
mod model;
mod objects;
mod plan;
mod projected;
mod properties;
mod prune;
mod prune_deletes;
mod prune_lists;
mod prunes;
mod real;
mod rebuild;
mod rebuild_traces;
mod rebuilds;
mod scenario;
mod scenarios;
mod search;
mod state;
mod traces;
mod traces_rebasing;
mod variants;
mod writer;
