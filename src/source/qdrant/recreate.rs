//! A collection made anew from what its server said of it.

use serde_json::{Map, Value, json};

use super::api::Api;
use super::failure::refused;
use crate::fault::ErrorKind;
use crate::source::SourceError;

/// Makes an empty collection like the one of which its server said this, as `<collection>.info.json` has it.
pub(super) fn create(api: &Api, collection: &str, about: &Value) -> Result<(), SourceError> {
    let info = about.get("info").unwrap_or(&Value::Null);
    let body = recreate_body(info);
    if body.get("vectors").is_none() && body.get("sparse_vectors").is_none() {
        let message = "what was recorded of the collection does not say which vectors it has";
        return Err(refused(ErrorKind::Damage, collection, message));
    }
    api.create_collection(collection, &body)?;
    for key in about.get("cluster").map(shard_keys).unwrap_or_default() {
        api.create_shard_key(collection, &key)?;
    }
    // Before there are points: the vectors' index then knows of the fields.
    for index in index_bodies(info) {
        api.create_index(collection, &index)?;
    }
    Ok(())
}

/// Of `config.params`, what a new collection is told.
const PARAMS: &[&str] = &[
    "vectors",
    "sparse_vectors",
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
];
/// Of `config`, and what it is called then.
const CONFIGS: &[(&str, &str)] = &[
    ("hnsw_config", "hnsw_config"),
    ("wal_config", "wal_config"),
    ("optimizer_config", "optimizers_config"),
    ("quantization_config", "quantization_config"),
    ("strict_mode_config", "strict_mode_config"),
];

/// The body of `PUT /collections/{c}` that makes a collection like the one whose `GET /collections/{c}` answered
/// `info`. What `info` does not say is left to the server; without vectors in it no server takes it.
pub fn recreate_body(info: &Value) -> Value {
    let config = info.get("config");
    let params = config.and_then(|config| config.get("params"));
    let said = |from: Option<&Value>, key: &str| {
        from.and_then(|from| from.get(key)).filter(|value| !value.is_null()).cloned()
    };
    let mut body = Map::new();
    for key in PARAMS {
        body.extend(said(params, key).map(|value| ((*key).to_owned(), value)));
    }
    for (key, name) in CONFIGS {
        let value = said(config, key).map(without_nulls);
        body.extend(value.map(|value| ((*name).to_owned(), value)));
    }
    // Whose nulls are its owner's.
    body.extend(said(config, "metadata").map(|value| ("metadata".to_owned(), value)));
    Value::Object(body)
}

/// The bodies of `PUT /collections/{c}/index`, one for each field of payloads that is indexed.
pub fn index_bodies(info: &Value) -> Vec<Value> {
    let fields = info.get("payload_schema").and_then(Value::as_object).into_iter().flatten();
    let body = |(field, schema): (&String, &Value)| {
        let params = schema.get("params").filter(|params| !params.is_null());
        let schema = params.or_else(|| schema.get("data_type"))?;
        Some(json!({"field_name": field, "field_schema": schema}))
    };
    fields.filter_map(body).collect()
}

/// The shard keys of a collection that is sharded by its users: `cluster` is the answer to
/// `GET /collections/{c}/cluster`.
pub fn shard_keys(cluster: &Value) -> Vec<Value> {
    let list = |key: &str| cluster.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut keys: Vec<Value> = Vec::new();
    for shard in list("local_shards").chain(list("remote_shards")) {
        if let Some(key) = shard.get("shard_key").filter(|key| !key.is_null())
            && !keys.contains(key)
        {
            keys.push(key.clone());
        }
    }
    keys
}

/// A setting that is null is one that nobody made.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let set = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> Value {
        let text = include_str!("../../../tests/data/qdrant/notes.info.json");
        serde_json::from_str::<Value>(text).unwrap()["result"].take()
    }

    #[test]
    fn of_a_real_collection() {
        assert_eq!(
            recreate_body(&real()),
            json!({
                "vectors": {"size": 48, "distance": "Cosine"},
                "shard_number": 1,
                "replication_factor": 1,
                "write_consistency_factor": 1,
                "on_disk_payload": true,
                "hnsw_config": {
                    "m": 16, "ef_construct": 100, "full_scan_threshold": 10000,
                    "max_indexing_threads": 0, "on_disk": false,
                },
                "wal_config": {"wal_capacity_mb": 1, "wal_segments_ahead": 0, "wal_retain_closed": 1},
                "optimizers_config": {
                    "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000,
                    "default_segment_number": 2, "indexing_threshold": 1000, "flush_interval_sec": 5,
                },
            })
        );
        assert_eq!(
            index_bodies(&real()),
            [json!({"field_name": "cat", "field_schema": "keyword"})]
        );
    }

    #[test]
    fn of_one_with_everything() {
        let info = json!({
            "config": {
                "params": {
                    "vectors": {"text": {"size": 4, "distance": "Dot", "multivector_config": null}},
                    "sparse_vectors": {"words": {"modifier": "idf"}},
                    "sharding_method": "custom", "shard_number": 2, "read_fan_out_factor": 2,
                },
                "quantization_config": {"scalar": {"type": "int8", "quantile": null}},
                "strict_mode_config": {"enabled": true, "max_query_limit": null},
                "metadata": {"owner": null, "team": "search"},
                "hnsw_config": null,
            },
            "payload_schema": {
                "title": {"data_type": "text", "params": {"type": "text", "lowercase": true}},
                "at": {"data_type": "datetime", "params": null, "points": 3},
                "odd": {},
            },
        });
        let body = recreate_body(&info);
        assert_eq!(body["sparse_vectors"], json!({"words": {"modifier": "idf"}}));
        assert_eq!(body["sharding_method"], "custom");
        assert_eq!(body["quantization_config"], json!({"scalar": {"type": "int8"}}));
        assert_eq!(body["strict_mode_config"], json!({"enabled": true}));
        assert_eq!(body["metadata"], json!({"owner": null, "team": "search"}));
        assert!(body.get("hnsw_config").is_none() && body.get("read_fan_out_factor").is_none());
        assert_eq!(
            index_bodies(&info),
            [
                json!({"field_name": "at", "field_schema": "datetime"}),
                json!({"field_name": "title", "field_schema": {"type": "text", "lowercase": true}}),
            ]
        );
    }

    #[test]
    fn of_what_is_no_info() {
        for odd in [json!(null), json!([]), json!({"config": 3}), json!({"payload_schema": []})] {
            assert_eq!(recreate_body(&odd), json!({}));
            assert!(index_bodies(&odd).is_empty());
        }
    }

    #[test]
    fn keys_of_shards_once_each() {
        let cluster = json!({
            "local_shards": [{"shard_id": 0, "shard_key": "eu"}, {"shard_id": 1, "shard_key": 7}],
            "remote_shards": [{"shard_id": 0, "shard_key": "eu"}, {"shard_id": 2}],
        });
        assert_eq!(shard_keys(&cluster), [json!("eu"), json!(7)]);
    }
}
