//! Clusters: every shard is read from the server that leads it. There is no state that all of them share.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::api::Api;
use super::batch::Batch;
use super::inventory::Described;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::arangodb::Collector;
use crate::source::arangodb::failure::refused;
use crate::source::http::Call;

/// Batches at all servers that lead a shard.
pub(super) struct Shards {
    api: Api,
    database: String,
    ttl: Duration,
    batches: BTreeMap<String, Batch>,
}

impl Shards {
    pub fn new(api: &Api, database: &str, ttl: Duration) -> Self {
        let (api, database) = (api.clone(), database.to_owned());
        Self { api, database, ttl, batches: BTreeMap::new() }
    }

    pub fn inventory(&self) -> Result<Value, SourceError> {
        let path = "/_api/replication/clusterInventory?includeSystem=true";
        self.api.json(Call::get(self.api.url(&self.database, path)))
    }

    /// As close to one moment as it goes: all batches before the first document.
    pub fn begin(&mut self, collections: &[Described]) -> Result<(), SourceError> {
        if let Some(bare) = collections.iter().find(|one| one.shards.is_empty()) {
            let message = "the cluster's inventory names no shards of it, so its documents cannot be found: name \
                           other collections with --collection, or use arangodump for it";
            let shown = self.api.shown(&self.database, &bare.name);
            return Err(refused(ErrorKind::Unreachable, &shown, message));
        }
        for (_, leader) in collections.iter().flat_map(|one| &one.shards) {
            if !self.batches.contains_key(leader) {
                let batch = Batch::begin(&self.api, &self.database, Some(leader), self.ttl)?;
                self.batches.insert(leader.clone(), batch);
            }
        }
        Ok(())
    }

    pub fn collect(&self, one: &Described, into: &mut Collector) -> Result<(), SourceError> {
        for (shard, leader) in &one.shards {
            let Some(batch) = self.batches.get(leader) else {
                let message = format!("shard {shard} is led by {leader}, whose state is not held");
                let shown = self.api.shown(&self.database, &one.name);
                return Err(refused(ErrorKind::Failed, &shown, message));
            };
            batch.dump(shard, into)?;
        }
        Ok(())
    }

    pub fn release(self) -> Result<(), SourceError> {
        self.batches.into_values().try_for_each(|mut batch| batch.release())
    }
}
