//! Errors as somebody who runs a Qdrant server needs them.

use serde_json::Value;

use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::source::http::{HttpError, Trouble};

pub(super) fn refused(kind: ErrorKind, url: &str, message: impl Into<String>) -> SourceError {
    SourceError::Refused { kind, path: url.to_owned(), message: message.into() }
}

/// What the envelope of an error says, or its plain text.
pub(super) fn said(text: &str) -> String {
    let document: Option<Value> = serde_json::from_str(text).ok();
    let message = document
        .as_ref()
        .and_then(|document| document.get("status")?.get("error")?.as_str().map(str::to_owned));
    message.unwrap_or_else(|| text.to_owned())
}

/// With the next step. `has_key`: whether a key was sent.
pub(super) fn plain(error: HttpError, has_key: bool) -> SourceError {
    let HttpError { url, trouble } = error;
    let (kind, message) = match trouble {
        Trouble::Interrupted => return SourceError::Interrupted,
        Trouble::Connect(cause) => {
            let next = "is Qdrant running there, and is this its REST port (6333; 6334 is gRPC)?";
            (ErrorKind::Unreachable, format!("cannot connect: {cause}; {next}"))
        }
        Trouble::Status { code, said: text, .. } => status(code, &said(&text), has_key),
        other => (ErrorKind::Unreachable, other.to_string()),
    };
    refused(kind, &url, message)
}

const TOO_LARGE: &str = "it takes no request of this size: raise service.max_request_size_mb in Qdrant's \
                         configuration, and the limit of a proxy before it (nginx: client_max_body_size)";

fn status(code: u16, said: &str, has_key: bool) -> (ErrorKind, String) {
    let said = match said {
        "" => format!("the server answers {code}"),
        said => format!("the server answers {code}: {said}"),
    };
    let next = match (code, has_key) {
        (401, true) => "the API key in QDRANT_API_KEY is wrong",
        (401, false) => "it wants an API key: set QDRANT_API_KEY",
        (403, _) => {
            "the API key in QDRANT_API_KEY may not do this: snapshots need a key that may \
                     write, restores one that may manage"
        }
        (413, _) => TOO_LARGE,
        (400, _) if said.contains("larger than allowed") => TOO_LARGE,
        (429, _) => "it has too much to do: try again later",
        (503, _) => "it, or a shard, is not ready: try again later",
        (507, _) => "its disk is full: a snapshot needs as much room as the collection",
        _ => "",
    };
    let kind = match code {
        404 => ErrorKind::NotFound,
        _ => ErrorKind::Unreachable,
    };
    match next {
        "" => (kind, said),
        next => (kind, format!("{said}; {next}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, text: &str, has_key: bool) -> SourceError {
        let trouble = Trouble::Status { code, said: text.into(), after: None };
        plain(HttpError { url: "http://h:6333/collections".into(), trouble }, has_key)
    }

    #[test]
    fn each_names_the_url_the_cause_and_the_next_step() {
        let wrong = of(401, "Must provide an API key", true);
        assert_eq!(wrong.kind(), ErrorKind::Unreachable);
        assert_eq!(
            wrong.to_string(),
            "http://h:6333/collections: the server answers 401: Must provide an API key; the API key in \
             QDRANT_API_KEY is wrong"
        );
        assert!(of(401, "", false).to_string().contains("set QDRANT_API_KEY"));
        for (code, text) in
            [(413, ""), (400, "JSON payload (9 bytes) is larger than allowed (limit: 8 bytes).")]
        {
            assert!(of(code, text, true).to_string().contains("service.max_request_size_mb"));
        }
        let envelope =
            r#"{"status":{"error":"Not found: Collection `x` doesn't exist!"},"time":0.1}"#;
        let missing = of(404, envelope, false);
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().ends_with("404: Not found: Collection `x` doesn't exist!"));
    }
}
