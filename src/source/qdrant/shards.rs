//! A shard's snapshot as the server streams it: nothing is kept there, and nobody says how long it will be.

use jiff::Timestamp;

use super::api::Api;
use super::failure::refused;
use super::origin::{Downloaded, Facts, Origin, Stream, Whole};
use crate::fault::ErrorKind;
use crate::source::SourceError;

pub(super) struct ShardStream {
    api: Api,
    collection: String,
    shard: u64,
    begun: Option<Timestamp>,
}

impl ShardStream {
    pub fn new(api: &Api, collection: &str, shard: u64) -> Self {
        Self { api: api.clone(), collection: collection.to_owned(), shard, begun: None }
    }
}

impl Origin for ShardStream {
    fn size(&self) -> u64 {
        0
    }

    fn begin(&mut self) -> Result<Box<dyn Stream>, SourceError> {
        self.begun = Some(Timestamp::now());
        let begun = self.api.shard_stream(&self.collection, self.shard);
        let download = begun.map_err(|error| self.api.plain(error))?;
        Ok(Box::new(Downloaded { download, api: self.api.clone() }))
    }

    /// A server that fails while it streams just ends. Only the end of the archive tells that all of it came.
    fn conclude(&mut self, read: &Whole) -> Result<Facts, SourceError> {
        let Whole { len, contents, .. } = read;
        let url = self.api.collection_url(&self.collection);
        if !contents.is_whole {
            let odd = contents.odd.as_deref().unwrap_or("it is no archive");
            let message = format!(
                "the stream of shard {} broke off, or is no snapshot: after {len} bytes {odd}; nothing of it is \
                 kept. The server's log may say why; a server gives up when nobody reads for five minutes",
                self.shard
            );
            return Err(refused(ErrorKind::Unreachable, &url, message));
        }
        let times: Vec<String> = self.begun.iter().map(|begun| format!("{begun:.0}")).collect();
        let properties = times.iter().map(|time| ("begun", time.clone())).collect();
        Ok(Facts { times, properties })
    }
}
