//! What hangs on collections by their names: views and graphs. Both follow a collection that is renamed, and views
//! forget one that is dropped.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::target::Target;
use crate::source::SourceError;
use crate::source::http::{Call, escaped};
use crate::source::tables::Stop;

/// A view at the server that stands on collections that are to be replaced.
pub(super) struct Touched {
    pub name: String,
    properties: Value,
    /// Those of them.
    pub collections: Vec<String>,
}

impl Touched {
    fn is_alias(&self) -> bool {
        self.properties.get("type").is_some_and(|it| it == "search-alias")
    }
}

/// The collections that a view stands on.
pub(super) fn linked(view: &Value) -> BTreeSet<String> {
    let links = view.get("links").and_then(Value::as_object).into_iter().flatten();
    let indexes = view.get("indexes").and_then(Value::as_array).into_iter().flatten();
    let indexed = indexes.filter_map(|index| index.get("collection")?.as_str());
    links.map(|(name, _)| name.clone()).chain(indexed.map(str::to_owned)).collect()
}

/// What graphs say of collections, by their keys.
pub(super) type Graphs = BTreeMap<String, Value>;

impl Target {
    /// Of `views` those that stand on one of `collections`.
    pub fn touched(
        &self,
        views: &BTreeSet<String>,
        collections: &BTreeSet<String>,
    ) -> Result<Vec<Touched>, SourceError> {
        let mut touched = Vec::new();
        for name in views {
            let Some(properties) = self.api.optional(Call::get(self.view_url(name)))? else {
                continue;
            };
            let on: Vec<_> = linked(&properties).intersection(collections).cloned().collect();
            if !on.is_empty() {
                touched.push(Touched { name: name.clone(), properties, collections: on });
            }
        }
        Ok(touched)
    }

    fn view_url(&self, name: &str) -> String {
        self.api.url(&self.database, &format!("/_api/view/{}/properties", escaped(name)))
    }

    /// Has a view stand on `replaced` as it did, and no longer on `kept`, as the old collection is called now.
    pub fn relink(&self, view: &Touched, replaced: &str, kept: Option<&str>) -> Result<(), Stop> {
        if view.is_alias() {
            let indexes = view.properties.get("indexes").cloned().unwrap_or_default();
            return self
                .done(Call::put(self.view_url(&view.name)).json(&json!({"indexes": indexes})));
        }
        let mut links = Map::new();
        let link = view.properties.get("links").and_then(|links| links.get(replaced));
        links.insert(replaced.to_owned(), link.cloned().unwrap_or_default());
        links.extend(kept.map(|kept| (kept.to_owned(), Value::Null)));
        self.done(Call::patch(self.view_url(&view.name)).json(&json!({"links": links})))
    }

    pub fn graphs(&self) -> Result<Graphs, SourceError> {
        let answer = self.api.json(Call::get(self.api.url(&self.database, "/_api/gharial")))?;
        let graphs = answer.get("graphs").and_then(Value::as_array).into_iter().flatten();
        let mut found = Graphs::new();
        for graph in graphs {
            let key = graph.get("_key").or_else(|| graph.get("name")).and_then(Value::as_str);
            let part = |name: &str| Some((name.to_owned(), graph.get(name)?.clone()));
            if let Some(key) = key {
                let parts = ["edgeDefinitions", "orphanCollections"].into_iter().filter_map(part);
                found.insert(key.to_owned(), Value::Object(parts.collect()));
            }
        }
        Ok(found)
    }

    /// Has graphs name the collections that they named before one was renamed.
    pub fn put_graphs_back(&self, before: &Graphs) -> Result<(), String> {
        let now = self.graphs().map_err(|error| error.to_string())?;
        let changed =
            before.iter().filter(|(key, was)| now.get(*key).is_some_and(|now| now != *was));
        let mut failed = Vec::new();
        for (key, was) in changed {
            let path = format!("/_api/document/_graphs/{}", escaped(key));
            let call = Call::patch(self.api.url(&self.database, &path)).json(was);
            if let Err(Stop::One(message)) | Err(Stop::All(SourceError::Refused { message, .. })) =
                self.done(call)
            {
                failed.push(format!("{key} ({message})"));
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(failed.join(", ")),
        }
    }
}
