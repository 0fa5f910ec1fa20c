//! What was used last, up to a number of bytes; and the last of all, however long.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// A cache for many threads. Its lock is held for no longer than it takes to look.
pub(in crate::store) struct Recent<K, V> {
    kept: Mutex<Kept<K, V>>,
    most: usize,
}

struct Kept<K, V> {
    values: LruCache<K, (V, usize)>,
    bytes: usize,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    pub fn new(most: usize) -> Self {
        Self { kept: Mutex::new(Kept { values: LruCache::unbounded(), bytes: 0 }), most }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.lock().values.get(key).map(|(value, _)| value.clone())
    }

    pub fn contains(&self, key: &K) -> bool {
        self.lock().values.contains(key)
    }

    /// Keeps a value of so many bytes; gives back one that had to go for it.
    pub fn keep(&self, key: K, value: V, bytes: usize) -> Option<V> {
        let mut kept = self.lock();
        kept.bytes += bytes;
        let mut gone = kept.values.push(key, (value, bytes)).map(|(_, old)| old);
        kept.bytes = kept.bytes.saturating_sub(gone.as_ref().map_or(0, |(_, bytes)| *bytes));
        while kept.bytes > self.most && kept.values.len() > 1 {
            let Some((_, old)) = kept.values.pop_lru() else { break };
            kept.bytes = kept.bytes.saturating_sub(old.1);
            gone = Some(old);
        }
        gone.map(|(value, _)| value)
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_bytes_stay_bounded() {
        let recent = Recent::new(100);
        assert_eq!(recent.keep(1, 'a', 40), None);
        assert_eq!(recent.keep(2, 'b', 40), None);
        assert_eq!(recent.get(&1), Some('a'));
        assert_eq!(recent.keep(3, 'c', 40), Some('b'));
        assert!(recent.contains(&1) && !recent.contains(&2));
        assert_eq!(recent.keep(1, 'd', 90), Some('c'));
        assert_eq!(recent.get(&1), Some('d'));
        assert_eq!(recent.keep(4, 'e', 101), Some('d'));
        assert_eq!(recent.get(&4), Some('e'));
        assert_eq!(recent.lock().bytes, 101);
    }
}
