//! What a server says a database consists of, and what of it is taken.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::api::SYSTEM;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::arangodb::CollectionKind;
use crate::source::arangodb::failure::refused;
use crate::source::tables::Counted;

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
    pub(super) fn takes(&self, database: &str, name: &str, is_system: bool) -> bool {
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
    /// What the server counted before its state was held. `None`: it was not there yet.
    pub counted: Option<Counted>,
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
        has_views: bool,
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
        let list = match (take("views"), selection.collections.is_empty()) {
            (_, false) => Vec::new(),
            (Some(Value::Array(list)), true) => list,
            (_, true) if has_views => return Err(wrong("it has no list of views")),
            (_, true) => Vec::new(),
        };
        for view in list {
            let name = view.get("name").and_then(Value::as_str).map(str::to_owned);
            views.push((name.ok_or_else(|| wrong("a view has no name"))?, view));
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
        Ok(Self { name, kind, parameters, indexes, shards, counted: None })
    }
}

/// What a server tells a thing by, whatever it is called. Two that can be compared and agree in nothing are two things.
pub(super) fn is_another(one: &Value, other: &Value) -> bool {
    let texts = |key: &str| Some((one.get(key)?.as_str()?, other.get(key)?.as_str()?));
    let pairs: Vec<_> = ["globallyUniqueId", "id"].into_iter().filter_map(texts).collect();
    !pairs.is_empty() && pairs.iter().all(|(one, other)| one != other)
}

/// What is only so at this moment.
const PASSING: &[&str] = &["selectivityEstimate", "figures", "isBuilding", "progress", "error"];

impl Inventory {
    /// The first thing that is not as it was in another inventory.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let collections = |it: &Self| {
            let one = |it: &Described| (it.name.clone(), it.shape());
            it.collections.iter().map(one).collect::<BTreeMap<_, _>>()
        };
        let views = |it: &Self| it.views.iter().cloned().collect::<BTreeMap<_, _>>();
        differs(&collections(self), &collections(other))
            .map(|name| format!("collection {name}"))
            .or_else(|| differs(&views(self), &views(other)).map(|name| format!("view {name}")))
    }
}

fn differs(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> Option<String> {
    one.keys().chain(other.keys()).find(|name| one.get(*name) != other.get(*name)).cloned()
}

impl Described {
    /// What its documents have to agree with.
    fn shape(&self) -> Value {
        let parameter = |key: &&str| self.parameters.get(*key).cloned().unwrap_or_default();
        let keys = ["id", "globallyUniqueId", "type", "schema", "computedValues", "keyOptions"];
        let mut indexes = self.indexes.clone();
        for index in indexes.as_array_mut().into_iter().flatten() {
            if let Some(members) = index.as_object_mut() {
                members.retain(|key, _| !PASSING.contains(&key.as_str()));
            }
        }
        json!([keys.iter().map(parameter).collect::<Vec<_>>(), indexes])
    }
}

#[cfg(test)]
mod tests {
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
        let found = Inventory::of("h", database, inventory(), selection, true).unwrap();
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
        let all = ArangoSelection::default();
        let of = |answer| Inventory::of("h", "d", answer, &all, true).map(drop);
        let blind = json!({"collections": []});
        assert!(of(blind.clone()).unwrap_err().to_string().contains("no list of views"));
        assert!(Inventory::of("h", "d", blind, &all, false).is_ok());
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

    #[test]
    fn what_is_another_thing_of_the_same_name() {
        let thing = |id: &str, unique: &str| json!({"id": id, "globallyUniqueId": unique});
        assert!(is_another(&thing("1", "a"), &thing("2", "b")));
        assert!(!is_another(&thing("1", "a"), &thing("2", "a")));
        assert!(!is_another(&thing("1", "a"), &json!({"count": 7})));
        assert!(is_another(&json!({"id": "1"}), &thing("2", "b")));
    }

    #[test]
    fn what_differs_between_two_moments() {
        let all = ArangoSelection::default();
        let of = |answer| Inventory::of("h", "shop", answer, &all, true).unwrap();
        let mut other = inventory();
        other["tick"] = json!("78");
        other["collections"][4]["indexes"] = json!([{"fields": ["n"]}]);
        let indexed = of(other.clone());
        other["collections"][4]["indexes"][0]["selectivityEstimate"] = json!(0.5);
        assert_eq!(indexed.difference(&of(other)), None);
        assert_eq!(of(inventory()).difference(&indexed).unwrap(), "collection a");
        let mut other = inventory();
        other["views"] = json!([]);
        assert_eq!(of(other).difference(&of(inventory())).unwrap(), "view v");
    }
}
