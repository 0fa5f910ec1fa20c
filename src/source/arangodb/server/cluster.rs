//! Clusters: every shard is read from the server that leads it. There is no state that all of them share.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::api::Api;
use super::batch::Batch;
use super::inventory::Described;
use crate::source::SourceError;
use crate::source::arangodb::Collector;
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
            if let Some(batch) = self.batches.get(leader) {
                batch.dump(shard, into)?;
            }
        }
        Ok(())
    }

    pub fn release(self) -> Result<(), SourceError> {
        self.batches.into_values().try_for_each(|mut batch| batch.release())
    }
}
