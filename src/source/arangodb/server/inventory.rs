//! What a server says a database consists of, and what of it is taken.

use serde_json::Value;

use super::api::SYSTEM;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::arangodb::CollectionKind;
use crate::source::arangodb::failure::refused;

/// System collections that belong to the data: definitions of graphs and analyzers.
pub(super) const GRAPHS: &str = "_graphs";
pub(super) const ANALYZERS: &str = "_analyzers";
/// The users of a server, with what proves their passwords.
pub(super) const USERS: &str = "_users";

/// What of a database is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArangoSelection {
    /// These alone, and no views. All where none is named.
    pub collections: Vec<String>,
    /// System collections besides those of graphs and analyzers.
    pub include_system: bool,
    /// The users of the server, from database `_system`.
    pub include_users: bool,
}

impl ArangoSelection {
    fn takes(&self, database: &str, name: &str, is_system: bool) -> bool {
        if name == USERS {
            return self.include_users && database == SYSTEM;
        }
        if !self.collections.is_empty() {
            return self.collections.iter().any(|wanted| wanted == name);
        }
        !is_system || self.include_system || [GRAPHS, ANALYZERS].contains(&name)
    }

    /// What a source's name says of it: what was taken of less than all is not the same source.
    pub(super) fn suffix(&self) -> String {
        let mut parts = Vec::new();
        if !self.collections.is_empty() {
            parts.push(format!("collections={}", self.collections.join(",")));
        }
        if self.include_system {
            parts.push("system".to_owned());
        }
        if self.include_users {
            parts.push("users".to_owned());
        }
        parts.join("&")
    }
}

/// A collection as the server describes it.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub name: String,
    pub kind: CollectionKind,
    pub parameters: Value,
    pub indexes: Value,
    /// In a cluster: its shards and the server that leads each.
    pub shards: Vec<(String, String)>,
}

/// A database as the server describes it.
pub(super) struct Inventory {
    /// By name, only those that are taken.
    pub collections: Vec<Described>,
    /// By name.
    pub views: Vec<(String, Value)>,
    pub properties: Option<Value>,
    pub tick: Option<String>,
    /// Names of all collections, taken or not.
    pub all: Vec<String>,
}

impl Inventory {
    pub fn of(
        shown: &str,
        database: &str,
        mut answer: Value,
        selection: &ArangoSelection,
    ) -> Result<Self, SourceError> {
        let wrong = |what: &str| {
            let message = format!("its inventory is not as ArangoDB's: {what}");
            refused(ErrorKind::Unreachable, shown, message)
        };
        let mut take = |key: &str| answer.get_mut(key).map(Value::take);
        let Some(Value::Array(list)) = take("collections") else {
            return Err(wrong("it has no list of collections"));
        };
        let (mut collections, mut all) = (Vec::new(), Vec::new());
        for item in list {
            let described = Described::of(shown, item)?;
            let is = |key: &str| described.parameters.get(key) == Some(&Value::Bool(true));
            if is("deleted") {
                continue;
            }
            all.push(described.name.clone());
            let is_system = is("isSystem") || described.name.starts_with('_');
            if !selection.takes(database, &described.name, is_system) {
                continue;
            }
            if is("isSmart") && described.kind == CollectionKind::Edge {
                let message = format!(
                    "{} is a smart edge collection of ArangoDB's Enterprise Edition, whose parts this restow \
                     cannot read: name other collections with --collection, or use arangodump for it",
                    described.name
                );
                return Err(refused(ErrorKind::Unreachable, shown, message));
            }
            collections.push(described);
        }
        collections.sort_by(|a, b| a.name.cmp(&b.name));
        all.sort();
        let mut views = Vec::new();
        if let (Some(Value::Array(list)), true) = (take("views"), selection.collections.is_empty())
        {
            for view in list {
                let name = view.get("name").and_then(Value::as_str).map(str::to_owned);
                views.push((name.ok_or_else(|| wrong("a view has no name"))?, view));
            }
        }
        views.sort_by(|(a, _), (b, _)| a.cmp(b));
        let tick = match take("tick") {
            Some(Value::String(tick)) => Some(tick),
            Some(Value::Number(tick)) => Some(tick.to_string()),
            _ => None,
        };
        let properties = take("properties").filter(Value::is_object);
        Ok(Self { collections, views, properties, tick, all })
    }
}

impl Described {
    fn of(shown: &str, mut item: Value) -> Result<Self, SourceError> {
        let mut take = |key: &str| item.get_mut(key).map(Value::take);
        let parameters = take("parameters").unwrap_or_default();
        let indexes = take("indexes").filter(Value::is_array).unwrap_or(Value::Array(Vec::new()));
        let name = parameters.get("name").and_then(Value::as_str).map(str::to_owned);
        let (Some(name), Some(kind)) = (name, CollectionKind::of_parameters(&parameters)) else {
            let message =
                "its inventory is not as ArangoDB's: a collection has no name or no known type";
            return Err(refused(ErrorKind::Unreachable, shown, message));
        };
        let mut shards = Vec::new();
        for (shard, servers) in
            parameters.get("shards").and_then(Value::as_object).into_iter().flatten()
        {
            // A leader that has resigned, and not yet been followed, is marked.
            let leader =
                servers.get(0).and_then(Value::as_str).map(|it| it.trim_start_matches('_'));
            let Some(leader) = leader.filter(|leader| !leader.is_empty()) else {
                let message = format!(
                    "shard {shard} of {name} has no leader: try again when the cluster is well"
                );
                return Err(refused(ErrorKind::Unreachable, shown, message));
            };
            shards.push((shard.clone(), leader.to_owned()));
        }
        shards.sort();
        Ok(Self { name, kind, parameters, indexes, shards })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inventory() -> Value {
        let one = |name: &str, number: u32| {
            let parameters =
                json!({"name": name, "type": number, "isSystem": name.starts_with('_')});
            json!({"parameters": parameters, "indexes": []})
        };
        json!({
            "collections": [one("b", 3), one("_jobs", 2), one("_graphs", 2), one("_users", 2), one("a", 2)],
            "views": [{"name": "v", "type": "arangosearch"}],
            "tick": "77",
        })
    }

    fn taken(database: &str, selection: &ArangoSelection) -> (Vec<String>, usize) {
        let found = Inventory::of("h", database, inventory(), selection).unwrap();
        assert_eq!(found.tick.as_deref(), Some("77"));
        assert_eq!(found.all.len(), 5);
        (found.collections.into_iter().map(|one| one.name).collect(), found.views.len())
    }

    #[test]
    fn what_is_taken() {
        let plain = ArangoSelection::default();
        let of = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(taken("shop", &plain), (of(&["_graphs", "a", "b"]), 1));
        let system = ArangoSelection { include_system: true, ..plain.clone() };
        assert_eq!(taken("shop", &system).0, of(&["_graphs", "_jobs", "a", "b"]));
        let users = ArangoSelection { include_users: true, ..plain.clone() };
        assert_eq!(taken("shop", &users).0, of(&["_graphs", "a", "b"]));
        assert_eq!(taken("_system", &users).0, of(&["_graphs", "_users", "a", "b"]));
        let one = ArangoSelection { collections: of(&["b"]), ..plain.clone() };
        assert_eq!(taken("shop", &one), (of(&["b"]), 0));
        assert_eq!([plain.suffix(), one.suffix()], ["", "collections=b"]);
    }

    #[test]
    fn what_is_not_an_inventory() {
        let of = |answer| Inventory::of("h", "d", answer, &ArangoSelection::default()).map(drop);
        assert!(of(json!({})).unwrap_err().to_string().contains("no list"));
        let nameless = json!({"collections": [{"parameters": {"type": 2}}]});
        assert!(of(nameless).unwrap_err().to_string().contains("no name"));
        let smart = json!({"name": "e", "type": 3, "isSmart": true});
        let smart = json!({"collections": [{"parameters": smart}]});
        assert!(of(smart).unwrap_err().to_string().contains("smart edge"));
        let headless = json!({"name": "e", "type": 3, "shards": {"s1": []}});
        let headless = json!({"collections": [{"parameters": headless}]});
        assert!(of(headless).unwrap_err().to_string().contains("no leader"));
    }
}
