//! Where the documents of a database come from.

use super::api::{Api, Version};
use super::batch::Batch;
use super::cluster::Shards;
use super::export::{ArangoOptions, Role};
use super::inventory::{Described, Inventory};
use super::parallel::Spool;
use crate::source::SourceError;
use crate::source::arangodb::Collector;

pub(super) enum Supply {
    /// Collection by collection, from one state that the server holds.
    Batch(Batch),
    /// All of them at once, from one state; read already.
    Spool(Spool),
    /// Shard by shard, each from a state of its own.
    Shards(Shards),
}

impl Supply {
    /// Takes hold of a database, and says what it consists of.
    pub fn open(
        api: &Api,
        database: &str,
        role: Role,
        version: &Version,
        options: &ArangoOptions,
    ) -> Result<(Self, Inventory), SourceError> {
        let shown = api.shown(database, "");
        let inventory = |answer| Inventory::of(&shown, database, answer, &options.selection);
        if role == Role::Cluster {
            let mut shards = Shards::new(api, database, options.ttl);
            let inventory = inventory(shards.inventory()?)?;
            shards.begin(&inventory.collections)?;
            return Ok((Self::Shards(shards), inventory));
        }
        let batch = Batch::begin(api, database, None, options.ttl)?;
        let inventory = inventory(batch.inventory()?)?;
        if options.workers > 0 && version.is_at_least(3, 12) && !inventory.collections.is_empty() {
            let names: Vec<_> = inventory.collections.iter().map(|one| one.name.clone()).collect();
            let (workers, folder) = (options.workers, options.folder());
            if let Some(spool) = Spool::fill(api, database, &names, workers, options.ttl, folder)? {
                return Ok((Self::Spool(spool), inventory));
            }
        }
        Ok((Self::Batch(batch), inventory))
    }

    pub fn method(&self) -> &'static str {
        match self {
            Self::Batch(_) => "replication batch",
            Self::Spool(_) => "parallel dump",
            Self::Shards(_) => "replication batches of shards",
        }
    }

    pub fn collect(&mut self, one: &Described, into: &mut Collector) -> Result<(), SourceError> {
        match self {
            Self::Batch(batch) => batch.dump(&one.name, into),
            Self::Spool(spool) => spool.collect(&one.name, into),
            Self::Shards(shards) => shards.collect(one, into),
        }
    }

    pub fn release(self) -> Result<(), SourceError> {
        match self {
            Self::Batch(mut batch) => batch.release(),
            Self::Spool(_) => Ok(()),
            Self::Shards(shards) => shards.release(),
        }
    }
}
