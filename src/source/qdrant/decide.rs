//! What becomes of a collection that is to be restored. Pure.

use serde_json::Value;

/// What the snapshot holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    pub collection: String,
    /// `config.params` of its collection, where they are known.
    pub params: Option<Value>,
}

/// What is at the server under that name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Existing {
    pub points: Option<u64>,
    pub params: Option<Value>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Leave a collection that is there alone, and call that a success.
    pub if_missing: bool,
    pub overwrite: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The server makes it from the snapshot.
    Create,
    /// What is there, in words.
    Replace(String),
    /// Why nothing is done.
    Skip(String),
    /// Why it cannot be done, and what can.
    Refuse(String),
}

/// The server itself takes a snapshot into a collection only with the same vectors and number of shards.
pub fn decide(wanted: &Wanted, existing: Option<&Existing>, policy: Policy) -> Decision {
    let Some(existing) = existing else { return Decision::Create };
    let name = &wanted.collection;
    let what = match existing.points {
        Some(points) => format!("collection {name} with {points} points"),
        None => format!("collection {name}"),
    };
    if policy.if_missing {
        return Decision::Skip(format!("{what} is there"));
    }
    if let Some(differs) = difference(wanted.params.as_ref(), existing.params.as_ref()) {
        return Decision::Refuse(format!(
            "{what} is there, and has {differs}; restore under another name, or delete it first"
        ));
    }
    match policy.overwrite {
        true => Decision::Replace(what),
        false => Decision::Refuse(format!(
            "{what} is there; --overwrite replaces it, --if-missing leaves it alone"
        )),
    }
}

fn difference(wanted: Option<&Value>, existing: Option<&Value>) -> Option<String> {
    let (wanted, existing) = (wanted?, existing?);
    [("vectors", "other vectors"), ("shard_number", "another number of shards")]
        .into_iter()
        .find(|(key, _)| {
            let (ours, theirs) = (wanted.get(key), existing.get(key));
            ours.is_some() && theirs.is_some() && ours != theirs
        })
        .map(|(key, what)| {
            let shown = |value: &Value| value.get(key).map(Value::to_string).unwrap_or_default();
            format!("{what} ({}, the snapshot {})", shown(existing), shown(wanted))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(size: u64, shards: u64) -> Wanted {
        let params =
            json!({"vectors": {"size": size, "distance": "Cosine"}, "shard_number": shards});
        Wanted { collection: "notes".into(), params: Some(params) }
    }

    fn existing(size: u64, shards: u64) -> Existing {
        Existing { points: Some(7), params: wanted(size, shards).params }
    }

    #[test]
    fn every_case() {
        let (plain, over) = (Policy::default(), Policy { overwrite: true, ..Policy::default() });
        let missing = Policy { if_missing: true, ..Policy::default() };
        let there = existing(48, 1);
        for policy in [plain, over, missing] {
            assert_eq!(decide(&wanted(48, 1), None, policy), Decision::Create);
        }
        let what = "collection notes with 7 points".to_owned();
        assert_eq!(decide(&wanted(48, 1), Some(&there), over), Decision::Replace(what.clone()));
        let skipped = Decision::Skip(format!("{what} is there"));
        assert_eq!(decide(&wanted(48, 1), Some(&there), missing), skipped);
        // It is there, whatever it is like.
        assert_eq!(decide(&wanted(9, 1), Some(&there), missing), skipped);
        let refused = |wanted: &Wanted, policy| match decide(wanted, Some(&there), policy) {
            Decision::Refuse(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(&wanted(48, 1), plain).contains("--overwrite"));
        assert!(refused(&wanted(9, 1), over).contains("other vectors"));
        assert!(refused(&wanted(48, 2), over).contains("number of shards"));
        // What is not known is the server's to judge.
        let unknown = Wanted { params: None, ..wanted(48, 1) };
        assert_eq!(decide(&unknown, Some(&there), over), Decision::Replace(what));
    }
}
