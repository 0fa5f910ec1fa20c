//! Points, as documents that are not read and written anew.

use serde_json::{Value, json};

use super::Api;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::http::{Call, HttpError, Repeat};
use crate::source::qdrant::failure::refused;

const JSON: &str = "application/json";

impl Api {
    fn points_url(&self, collection: &str) -> String {
        format!("{}/points", self.collection_url(collection))
    }

    /// All points, counted one by one.
    pub fn count(&self, collection: &str) -> Result<u64, SourceError> {
        let url = format!("{}/count", self.points_url(collection));
        let call = Call::post(url.clone(), Repeat::Always).patience(self.patience);
        let result = self.result(&call.json(&json!({"exact": true})))?;
        result.get("count").and_then(Value::as_u64).ok_or_else(|| {
            refused(ErrorKind::Unreachable, &url, "the server does not say how many points it has")
        })
    }

    /// The whole answer for a page of points, of replicas that agree.
    pub fn scroll(&self, collection: &str, body: Vec<u8>) -> Result<Vec<u8>, HttpError> {
        let url = format!("{}/scroll?consistency=all", self.points_url(collection));
        self.client.ask(&Call::post(url, Repeat::Always).bytes(body.into(), JSON))
    }

    /// Writes points and waits until they are in. The same points again come to the same.
    pub fn put_points(&self, collection: &str, body: Vec<u8>) -> Result<(), SourceError> {
        let url = format!("{}?wait=true", self.points_url(collection));
        let call = Call::put(url.clone()).patience(self.patience).bytes(body.into(), JSON);
        let result = self.result(&call)?;
        match result.get("status").and_then(Value::as_str) {
            Some("completed") => Ok(()),
            other => {
                let message = format!("points were to be written, the server calls that {other:?}");
                Err(refused(ErrorKind::Unreachable, &url, message))
            }
        }
    }
}
