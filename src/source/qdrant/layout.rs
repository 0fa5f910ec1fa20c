//! Where a collection's shards are. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What one node says of a collection's shards.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layout {
    pub peer: Option<u64>,
    pub local: Vec<LocalShard>,
    /// Shard and the peer that has it, where that copy is whole.
    pub remote: Vec<(u64, u64)>,
    /// All that were named, wherever and whatever their state.
    pub all: BTreeSet<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct LocalShard {
    pub id: u64,
    pub key: Option<Value>,
    /// Nothing is missing from it.
    pub is_whole: bool,
}

impl Layout {
    /// From the answer to `GET /collections/{c}/cluster`.
    pub fn of(answer: &Value) -> Self {
        let list = |key: &str| answer.get(key).and_then(Value::as_array).into_iter().flatten();
        let id = |shard: &Value| shard.get("shard_id").and_then(Value::as_u64);
        let is_whole = |shard: &Value| {
            shard.get("state").and_then(Value::as_str).is_none_or(|state| state == "Active")
        };
        let local = list("local_shards").filter_map(|shard| {
            let key = shard.get("shard_key").filter(|key| !key.is_null()).cloned();
            Some(LocalShard { id: id(shard)?, key, is_whole: is_whole(shard) })
        });
        let remote = list("remote_shards").filter(|shard| is_whole(shard));
        let remote = remote.filter_map(|shard| Some((id(shard)?, shard.get("peer_id")?.as_u64()?)));
        let all = list("local_shards").chain(list("remote_shards")).filter_map(id).collect();
        Self {
            peer: answer.get("peer_id").and_then(Value::as_u64),
            local: local.collect(),
            remote: remote.collect(),
            all,
        }
    }
}

/// For each shard the first of these nodes that has it whole, by its place in the list.
pub(super) fn whole_copies(layouts: &[&Layout]) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    for (at, layout) in layouts.iter().enumerate() {
        for shard in layout.local.iter().filter(|shard| shard.is_whole) {
            found.entry(shard.id).or_insert(at);
        }
    }
    found
}

/// Shards of which none of these nodes has a whole copy, and the peers that do have one.
pub(super) fn missing(layouts: &[&Layout]) -> BTreeMap<u64, BTreeSet<u64>> {
    let found = whole_copies(layouts);
    let all = layouts.iter().flat_map(|layout| &layout.all);
    let mut missing: BTreeMap<u64, BTreeSet<u64>> =
        all.filter(|id| !found.contains_key(id)).map(|id| (*id, BTreeSet::new())).collect();
    for (id, peer) in layouts.iter().flat_map(|layout| &layout.remote) {
        if let Some(peers) = missing.get_mut(id) {
            peers.insert(*peer);
        }
    }
    missing
}

/// In words: `shard 1 (whole on peer 7 at http://10.0.0.2:6335/, 8), shard 2 (whole on no peer they know of)`.
/// `cluster` is the answer to `GET /cluster`, where there is one.
pub(super) fn in_words(missing: &BTreeMap<u64, BTreeSet<u64>>, cluster: Option<&Value>) -> String {
    let known = cluster.and_then(|cluster| cluster.get("peers"));
    let peer = |id: &u64| {
        let id = id.to_string();
        let uri = known.and_then(|peers| peers.get(&id)?.get("uri")?.as_str());
        match uri {
            Some(uri) => format!("{id} at {uri}"),
            None => id,
        }
    };
    let one = |(id, peers): (&u64, &BTreeSet<u64>)| {
        let peers: Vec<_> = peers.iter().map(peer).collect();
        match peers.is_empty() {
            true => format!("shard {id} (whole on no peer they know of)"),
            false => format!("shard {id} (whole on peer {})", peers.join(", ")),
        }
    };
    missing.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(peer: u64, local: &[(u64, &str)], remote: &[(u64, u64)]) -> Layout {
        let local = local.iter().map(|(id, state)| json!({"shard_id": id, "state": state}));
        let remote = remote
            .iter()
            .map(|(id, peer)| json!({"shard_id": id, "peer_id": peer, "state": "Active"}));
        Layout::of(&json!({
            "peer_id": peer,
            "local_shards": local.collect::<Vec<_>>(),
            "remote_shards": remote.collect::<Vec<_>>(),
        }))
    }

    #[test]
    fn a_shard_counts_where_a_whole_copy_is() {
        let a = node(7, &[(0, "Active"), (1, "Partial")], &[(1, 8), (2, 9), (2, 8)]);
        assert_eq!(whole_copies(&[&a]), BTreeMap::from([(0, 0)]));
        assert_eq!(
            in_words(&missing(&[&a]), None),
            "shard 1 (whole on peer 8), shard 2 (whole on peer 8, 9)"
        );
        let cluster = json!({"peers": {"8": {"uri": "http://10.0.0.2:6335/"}}});
        let words = in_words(&missing(&[&a]), Some(&cluster));
        assert!(words.ends_with("whole on peer 8 at http://10.0.0.2:6335/, 9)"), "{words}");
        let b = node(8, &[(1, "Active"), (2, "Active")], &[(0, 7)]);
        assert_eq!(whole_copies(&[&a, &b]), BTreeMap::from([(0, 0), (1, 1), (2, 1)]));
        assert!(missing(&[&a, &b]).is_empty());
    }

    #[test]
    fn a_shard_that_is_whole_nowhere() {
        let a = node(7, &[(0, "Dead")], &[]);
        assert_eq!(in_words(&missing(&[&a]), None), "shard 0 (whole on no peer they know of)");
    }

    #[test]
    fn a_node_that_says_nothing() {
        let nothing = Layout::of(&json!({}));
        assert_eq!(nothing, Layout::default());
        assert!(missing(&[&nothing]).is_empty());
        let plain = Layout::of(&json!({"local_shards": [{"shard_id": 3, "shard_key": "eu"}]}));
        assert_eq!(plain.local, [LocalShard { id: 3, key: Some(json!("eu")), is_whole: true }]);
    }
}
