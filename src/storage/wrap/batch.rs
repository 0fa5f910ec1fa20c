//! The items of one batched operation, and those of them that go around again.

use super::policy::{Policy, Request, Tries};
use crate::storage::StorageError;

pub(super) struct Batch<'b, I, P, R> {
    policy: &'b P,
    items: &'b [I],
    request: R,
    /// Numbers of the items that are sent next, and of those that were sent last.
    next: Vec<usize>,
    sent: Vec<usize>,
    failed: Vec<(usize, StorageError)>,
    tries: Tries,
}

impl<'b, I: Clone, P: Policy, R: Fn(&'b I) -> Request<'b>> Batch<'b, I, P, R> {
    pub fn new(policy: &'b P, items: &'b [I], request: R) -> Self {
        let next = (0..items.len()).collect();
        let (sent, failed, tries) = (Vec::new(), Vec::new(), Tries::default());
        Self { policy, items, request, next, sent, failed, tries }
    }

    /// The items to send now. `None`: each has its result. `fail` takes those that are not sent again.
    pub fn next(&mut self, mut fail: impl FnMut(usize, StorageError)) -> Option<Vec<I>> {
        let mut failed = std::mem::take(&mut self.failed).into_iter();
        if let Some((number, error)) = failed.next() {
            match self.policy.pause(&mut self.tries, error) {
                Ok(()) => {
                    self.next = std::iter::once(number).chain(failed.map(|(n, _)| n)).collect();
                }
                Err(error) => {
                    fail(number, error);
                    failed.for_each(|(number, error)| fail(number, error));
                }
            }
        }
        let mut part = Vec::new();
        self.sent = std::mem::take(&mut self.next);
        let (policy, items, request) = (self.policy, self.items, &self.request);
        self.sent.retain(|number| {
            let Some(item) = items.get(*number) else { return false };
            match policy.before(&request(item)) {
                Ok(()) => part.push(item.clone()),
                Err(error) => {
                    fail(*number, error);
                    return false;
                }
            }
            true
        });
        (!part.is_empty()).then_some(part)
    }

    /// After the item at this place in the part was sent.
    pub fn after(
        &self,
        at: usize,
        received: Result<usize, &StorageError>,
    ) -> Result<(), StorageError> {
        let item = self.sent.get(at).and_then(|number| self.items.get(*number));
        item.map_or(Ok(()), |item| self.policy.after(&(self.request)(item), received))
    }

    /// Passes a result on, unless its item goes around again.
    pub fn settle<T>(
        &mut self,
        at: usize,
        result: Result<T, StorageError>,
        each: &mut dyn FnMut(usize, Result<T, StorageError>),
    ) {
        let Some(number) = self.sent.get(at).copied() else { return };
        match result {
            Err(error) if self.policy.repeats(&error) => self.failed.push((number, error)),
            result => each(number, result),
        }
    }
}
