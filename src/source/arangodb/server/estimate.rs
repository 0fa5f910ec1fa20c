//! What a backup will come to: the server counts documents, and tells how long some of them are.

use serde_json::{Value, json};

use super::api::Api;
use super::inventory::ArangoSelection;
use crate::limits::MIB;
use crate::progress::Cancel;
use crate::source::http::{Call, Repeat};
use crate::source::{Estimate, SourceError};

/// Documents that stand for the others of their collection.
const SAMPLE: u32 = 100;
/// A collection's folder, documents, revisions and structure.
const OF_A_COLLECTION: u64 = 4;
/// A database's folder, its collections' and its views', and `database.json`.
const OF_A_DATABASE: u64 = 4;

/// Two small questions a collection.
pub(super) fn estimate(
    api: &Api,
    databases: &[String],
    selection: &ArangoSelection,
    cancel: &Cancel,
) -> Result<Estimate, SourceError> {
    let mut estimate = Estimate::default();
    for database in databases {
        estimate.entries += OF_A_DATABASE;
        for name in api.collections(database)? {
            if cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            if !selection.takes(database, &name, name.starts_with('_')) {
                continue;
            }
            let Some(count) = api.count(database, &name)? else { continue };
            estimate.entries += OF_A_COLLECTION;
            if count > 0 {
                let each = length(api, database, &name)?;
                let bytes = (count as f64 * each) as u64;
                estimate.bytes = estimate.bytes.saturating_add(bytes);
            }
        }
        if selection.collections.is_empty() {
            estimate.entries += api.views(database)?.len() as u64;
        }
    }
    Ok(estimate)
}

/// Of a document as JSON, about. It is stored without its `_rev`, which is stored beside it.
fn length(api: &Api, database: &str, collection: &str) -> Result<f64, SourceError> {
    let query = format!(
        "RETURN AVERAGE(FOR one IN @@collection LIMIT {SAMPLE} RETURN LENGTH(TO_STRING(one)))"
    );
    let body = json!({"query": query, "bindVars": {"@collection": collection}, "batchSize": 1});
    let url = api.url(database, "/_api/cursor");
    let answer = api.exchange(Call::post(url, Repeat::Always).json(&body), MIB);
    let answer = answer.map_err(|error| api.plain(error))?;
    let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(answer.pointer("/result/0").and_then(Value::as_f64).unwrap_or_default())
}
