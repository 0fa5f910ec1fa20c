//! What can go wrong between here and a server.

use std::error::Error;
use std::time::Duration;

use super::call::Repeat;
use super::retry;
use crate::fault::ErrorKind;
use crate::source::SourceError;

/// A call that came to nothing, and why.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {trouble}")]
pub struct HttpError {
    /// Without its query and without secrets.
    pub url: String,
    pub trouble: Trouble,
}

#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no answer for {} seconds", .0.as_secs())]
    Silent(Duration),
    #[error("the connection broke: {0}")]
    Broken(String),
    /// An answer, but not a good one.
    #[error("the server answers {code}{}", said_after(.said))]
    Status {
        code: u16,
        /// The body's text, cut short.
        said: String,
        /// When the server wants to be asked again.
        after: Option<Duration>,
    },
    #[error("{0}")]
    Unexpected(String),
    #[error("interrupted")]
    Interrupted,
}

fn said_after(said: &str) -> String {
    match said.is_empty() {
        true => String::new(),
        false => format!(": {said}"),
    }
}

impl HttpError {
    pub(super) fn new(url: impl Into<String>, trouble: Trouble) -> Self {
        Self { url: url.into(), trouble }
    }

    /// From the library's error: with its causes, without its URL.
    pub(super) fn of(url: &str, error: reqwest::Error) -> Self {
        let is_connect = error.is_connect();
        let (is_builder, error) = (error.is_builder(), error.without_url());
        let mut causes = vec![error.to_string()];
        let mut next = error.source();
        while let Some(cause) = next {
            // Some repeat what they wrap.
            let text = cause.to_string();
            if causes.last().is_none_or(|last| !last.contains(&text)) {
                causes.push(text);
            }
            next = cause.source();
        }
        let cause = causes.join(": ");
        let trouble = match (is_connect, is_builder) {
            (true, _) => Trouble::Connect(cause),
            (false, true) => Trouble::Unexpected(cause),
            (false, false) => Trouble::Broken(cause),
        };
        Self::new(url, trouble)
    }

    pub fn status(&self) -> Option<u16> {
        match self.trouble {
            Trouble::Status { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the server gave an answer, be it a bad one.
    pub fn is_answer(&self) -> bool {
        matches!(self.trouble, Trouble::Status { .. } | Trouble::Unexpected(_))
    }

    /// Whether the connection broke, and no answer was heard.
    pub fn is_broken(&self) -> bool {
        matches!(self.trouble, Trouble::Broken(_))
    }

    /// Whether nobody knows what the server did, or still does, for a call that reached it whole.
    pub fn leaves_open(&self) -> bool {
        match &self.trouble {
            Trouble::Silent(_) | Trouble::Broken(_) | Trouble::Interrupted => true,
            // From a proxy that waited for the server.
            Trouble::Status { code, .. } => matches!(code, 408 | 502 | 504),
            Trouble::Connect(_) | Trouble::Unexpected(_) => false,
        }
    }

    /// Whether trying again may help, for a call that may be repeated like this.
    pub fn may_pass(&self, repeat: Repeat) -> bool {
        match &self.trouble {
            Trouble::Connect(_) => true,
            Trouble::Silent(_) | Trouble::Broken(_) => repeat == Repeat::Always,
            Trouble::Status { code, said, .. } => match repeat {
                Repeat::Always => retry::is_passing(*code),
                Repeat::Undone => retry::is_undone(*code, said),
                Repeat::Unreached => *code == 429,
            },
            Trouble::Unexpected(_) | Trouble::Interrupted => false,
        }
    }

    pub(super) fn told_pause(&self) -> Option<Duration> {
        match self.trouble {
            Trouble::Status { after, .. } => after,
            _ => None,
        }
    }
}

impl From<HttpError> for SourceError {
    fn from(HttpError { url, trouble }: HttpError) -> Self {
        match trouble {
            Trouble::Interrupted => Self::Interrupted,
            trouble => {
                let message = trouble.to_string();
                Self::Refused { kind: ErrorKind::Unreachable, path: url, message }
            }
        }
    }
}
