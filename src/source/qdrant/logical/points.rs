//! Points read page by page, ordered by id. Whoever writes meanwhile is seen in part: that is no consistent state.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::point::{PageAnswer, PointId};
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::source::SourceError;
use crate::source::http::Trouble;
use crate::source::qdrant::api::Api;
use crate::source::qdrant::failure::refused;
use crate::source::qdrant::origin::{Facts, Origin, Stream, Whole};

/// Points asked for at once: at first, and at most.
const FIRST: usize = 100;
const MOST: usize = 10_000;
/// Bytes of a page that is neither too small nor too large.
const PAGE: std::ops::Range<usize> = 2 * MIB..8 * MIB;

pub(in crate::source::qdrant) struct Points {
    api: Api,
    collection: String,
    before: u64,
    began: Option<Timestamp>,
    given: Arc<Mutex<u64>>,
}

impl Points {
    pub fn new(api: &Api, collection: &str) -> Self {
        let (api, collection) = (api.clone(), collection.to_owned());
        Self { api, collection, before: 0, began: None, given: Arc::default() }
    }
}

impl Origin for Points {
    fn size(&self) -> u64 {
        0
    }

    fn has_members(&self) -> bool {
        false
    }

    fn begin(&mut self) -> Result<Box<dyn Stream>, SourceError> {
        self.before = self.api.count(&self.collection)?;
        self.began = Some(Timestamp::now());
        Ok(Box::new(Scroll {
            api: self.api.clone(),
            collection: self.collection.clone(),
            lines: Vec::new(),
            at: 0,
            offset: None,
            last: None,
            limit: FIRST,
            is_done: false,
            given: Arc::clone(&self.given),
        }))
    }

    fn conclude(&mut self, _: &Whole) -> Result<Facts, SourceError> {
        let after = self.api.count(&self.collection)?;
        let given = *self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if self.before == after && given != after {
            let collection = &self.collection;
            tracing::warn!("{collection} has {after} points, and gave {given}: was it written to?");
        }
        let times = self.began.into_iter().chain([Timestamp::now()]);
        let properties = vec![
            ("points", given.to_string()),
            ("points_before", self.before.to_string()),
            ("points_after", after.to_string()),
            ("consistent", "no: read page by page while others may write".to_owned()),
        ];
        Ok(Facts { times: times.map(|time| format!("{time:.0}")).collect(), properties })
    }
}

struct Scroll {
    api: Api,
    collection: String,
    /// Of the page before, what was not read yet.
    lines: Vec<u8>,
    at: usize,
    /// Where the next page begins, as the server said it.
    offset: Option<String>,
    last: Option<PointId>,
    limit: usize,
    is_done: bool,
    given: Arc<Mutex<u64>>,
}

impl Stream for Scroll {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        while self.at == self.lines.len() {
            if self.is_done || buffer.is_empty() {
                return Ok(0);
            }
            self.next_page()?;
        }
        let rest = self.lines.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.at += count;
        Ok(count)
    }
}

impl Scroll {
    fn next_page(&mut self) -> Result<(), SourceError> {
        let answer = self.ask()?;
        let wrong = |what: &str| {
            let url = self.api.collection_url(&self.collection);
            refused(ErrorKind::Unreachable, &url, format!("a page of its points {what}"))
        };
        let PageAnswer { result: page } = serde_json::from_slice(&answer)
            .map_err(|error| wrong(&format!("is not what Qdrant answers: {error}")))?;
        self.lines.clear();
        self.at = 0;
        for point in &page.points {
            let id = PointId::parse(point.id)
                .ok_or_else(|| wrong(&format!("has a point with the id {}", point.id)))?;
            if self.last.is_some_and(|last| last >= id) {
                return Err(wrong(&format!("is not ordered by id at point {}", point.id)));
            }
            self.last = Some(id);
            point.write_line(&mut self.lines);
        }
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) += page.points.len() as u64;
        self.is_done = page.next_page_offset.is_none();
        if let Some(offset) = page.next_page_offset {
            // The same page again, for ever.
            let is_on = PointId::parse(offset) > self.last && !page.points.is_empty();
            if !is_on {
                return Err(wrong(&format!("leads on to {offset}, which is not behind it")));
            }
            self.offset = Some(offset.get().to_owned());
        }
        self.limit = match answer.len() {
            len if len < PAGE.start => (self.limit * 2).min(MOST),
            len if len >= PAGE.end => (self.limit / 2).max(1),
            _ => self.limit,
        };
        Ok(())
    }

    /// One page. Where the answer is larger than any that is read, it is asked for fewer points.
    fn ask(&mut self) -> Result<Vec<u8>, SourceError> {
        loop {
            let offset = self.offset.as_deref().unwrap_or("null");
            let body = format!(
                "{{\"limit\":{},\"offset\":{offset},\"with_payload\":true,\"with_vector\":true}}",
                self.limit
            );
            match self.api.scroll(&self.collection, body.into_bytes()) {
                Err(error) if self.limit > 1 && matches!(error.trouble, Trouble::Unexpected(_)) => {
                    self.limit = (self.limit / 10).max(1);
                }
                answer => return answer.map_err(|error| self.api.plain(error)),
            }
        }
    }
}
