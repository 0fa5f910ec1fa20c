//! Where the documents of a database come from.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::{Api, Version};
use super::batch::Batch;
use super::cluster::Shards;
use super::inventory::{Described, Inventory};
use super::options::{ArangoOptions, Role};
use super::parallel::{Context, Spool};
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::arangodb::Collector;
use crate::source::arangodb::failure::refused;
use crate::source::tables::Counted;

/// How often a dump is begun whose database changes at that moment.
const STARTS: u32 = 3;

/// A dump of this kind has no tick.
pub(super) const PARALLEL: &str = "parallel dump";

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
        let look = Look { api, database, version, options };
        let mut counts = look.counts()?;
        let (supply, mut inventory) = look.open(role)?;
        for one in &mut inventory.collections {
            one.counted = counts.remove(&one.name);
        }
        Ok((supply, inventory))
    }

    pub fn method(&self) -> &'static str {
        match self {
            Self::Batch(_) => "replication batch",
            Self::Spool(_) => PARALLEL,
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

/// How a database is taken hold of.
struct Look<'a> {
    api: &'a Api,
    database: &'a str,
    version: &'a Version,
    options: &'a ArangoOptions,
}

impl Look<'_> {
    fn open(&self, role: Role) -> Result<(Supply, Inventory), SourceError> {
        let (api, database, ttl) = (self.api, self.database, self.options.ttl);
        if role == Role::Cluster {
            let mut shards = Shards::new(api, database, ttl);
            let inventory = self.inventory(shards.inventory()?)?;
            shards.begin(&inventory.collections)?;
            return Ok((Supply::Shards(shards), inventory));
        }
        let batch = Batch::begin(api, database, None, ttl)?;
        let inventory = self.inventory(batch.inventory()?)?;
        let is_parallel = self.options.workers > 0 && self.version.is_at_least(3, 12);
        match is_parallel {
            true => self.parallel(batch, inventory),
            false => Ok((Supply::Batch(batch), inventory)),
        }
    }

    fn inventory(&self, answer: Value) -> Result<Inventory, SourceError> {
        let shown = self.api.shown(self.database, "");
        let has_views = self.version.is_at_least(3, 4);
        Inventory::of(&shown, self.database, answer, &self.options.selection, has_views)
    }

    /// What each collection has before anything is held: what comes is weighed against it.
    fn counts(&self) -> Result<BTreeMap<String, Counted>, SourceError> {
        let mut counts = BTreeMap::new();
        for name in self.api.collections(self.database)? {
            if !self.options.selection.takes(self.database, &name, name.starts_with('_')) {
                continue;
            }
            let revision = self.api.revision(self.database, &name)?;
            if let Some(count) = self.api.count(self.database, &name)? {
                counts.insert(name, Counted { count, revision });
            }
        }
        Ok(counts)
    }

    /// A dump has a moment of its own: only where nothing is otherwise before and after that moment do
    /// definitions and documents belong together.
    fn parallel(
        &self,
        mut batch: Batch,
        mut inventory: Inventory,
    ) -> Result<(Supply, Inventory), SourceError> {
        let (api, database, options) = (self.api, self.database, self.options);
        let mut changed = String::new();
        for _ in 0..STARTS {
            let names: Vec<_> = inventory.collections.iter().map(|one| one.name.clone()).collect();
            let begun = match names.is_empty() {
                true => None,
                false => Context::start(api, database, &names, options.workers, options.ttl)?,
            };
            let Some(context) = begun else {
                return Ok((Supply::Batch(batch), inventory));
            };
            let second = Batch::begin(api, database, None, options.ttl)?;
            let now = self.inventory(second.inventory()?)?;
            match inventory.difference(&now) {
                None => {
                    drop((batch, second));
                    let spool = Spool::fill(context, &names, options.workers, options.folder())?;
                    inventory.tick = Some(PARALLEL.to_owned());
                    return Ok((Supply::Spool(spool), inventory));
                }
                Some(difference) => {
                    tracing::info!("{difference} changed while its dump began: begun again");
                    (changed, batch, inventory) = (difference, second, now);
                }
            }
        }
        let message = format!(
            "{changed} changed while the dump began, {STARTS} times: run the backup again when nobody changes \
             collections, indexes or views"
        );
        Err(refused(ErrorKind::Unreachable, &api.shown(database, ""), message))
    }
}
