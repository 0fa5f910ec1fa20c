//! What a server says of a collection.

use serde_json::{Value, json};

use super::api::Api;
use super::failure::refused;
use super::{ALIASES, PARAMS, POINT_COUNT, property};
use crate::fault::ErrorKind;
use crate::format::Property;
use crate::source::SourceError;

/// What a server says of a collection.
pub(super) struct Known {
    pub name: String,
    pub info: Value,
    pub cluster: Option<Value>,
    pub aliases: Vec<String>,
}

impl Known {
    pub fn of(api: &Api, name: &str) -> Result<Self, SourceError> {
        let url = api.collection_url(name);
        if name.contains(['/', '\0']) {
            let message = "a collection's name has no / in it";
            return Err(refused(ErrorKind::Usage, &url, message));
        }
        let Some(info) = api.info(name)? else { return Err(missing(api, name)) };
        let cluster = api.cluster(name)?;
        let mut aliases: Vec<_> =
            api.aliases(Some(name))?.into_iter().map(|(alias, _)| alias).collect();
        aliases.sort();
        Ok(Self { name: name.to_owned(), info, cluster, aliases })
    }

    /// Of each of its entries.
    pub fn properties(&self) -> Vec<Property> {
        let mut properties = vec![property(ALIASES, &json!(self.aliases).to_string())];
        let params = self.info.get("config").and_then(|config| config.get("params"));
        properties.extend(params.map(|params| property(PARAMS, &params.to_string())));
        properties.extend(self.points().map(|points| property(POINT_COUNT, &points.to_string())));
        properties
    }

    pub fn points(&self) -> Option<u64> {
        self.info.get("points_count").and_then(Value::as_u64)
    }
}

/// The error names what there is instead.
fn missing(api: &Api, name: &str) -> SourceError {
    let there = match api.collections() {
        Ok(names) if names.is_empty() => "the server has none".to_owned(),
        Ok(names) => format!("there is {}", names.join(", ")),
        Err(error) => return error,
    };
    let message = format!("no collection {name}; {there}");
    refused(ErrorKind::NotFound, &api.collection_url(name), message)
}
