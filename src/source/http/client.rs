//! The client: its runtime, its patience, what it says of itself.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use tokio::runtime::{Builder, Runtime};

use super::address::without_secrets;
use super::call::{Call, Credential, Repeat};
use super::failure::{HttpError, Trouble};
use super::retry;
use crate::limits::MIB;
use crate::progress::Cancel;
use crate::timing::{self, Backoff, Clock, SystemClock, Throttle};

/// How often a wait looks whether it was told to stop.
const GLANCE: Duration = Duration::from_millis(100);
/// Bytes of an answer that is read whole, and of an error's text.
const ANSWER_MAX: usize = 16 * MIB;
const SAID_MAX: usize = 2000;
/// An answer that is read whole may take this many times the longest silence.
const SILENCES: u32 = 5;

/// How long and how often.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    pub connect_timeout: Duration,
    /// Between two pieces of an answer, and before the first.
    pub read_timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Before the first retry; doubled each time up to `pause_max`.
    pub pause: Duration,
    pub pause_max: Duration,
    /// Where the server listens, if not at its URL's host and port.
    pub unix_socket: Option<PathBuf>,
    /// Bytes a second of downloads and uploads, each all together; none where it is `None`.
    pub limit_download: Option<NonZeroU64>,
    pub limit_upload: Option<NonZeroU64>,
    /// Tells the time for pauses, time-outs and limits.
    pub clock: Arc<dyn Clock>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            retries: 6,
            pause: Duration::from_millis(500),
            pause_max: Duration::from_secs(30),
            unix_socket: None,
            limit_download: None,
            limit_upload: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Talks to servers. Blocks its caller; not to be called from async code. Clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    runtime: Arc<Background>,
    pub(in crate::source) options: ClientOptions,
    pub(super) downloads: Option<Arc<Throttle>>,
    pub(super) uploads: Option<Arc<Throttle>>,
    cancel: Cancel,
}

impl Client {
    /// For the server at `about`.
    pub fn new(
        options: ClientOptions,
        credential: Option<&Credential>,
        about: &str,
        cancel: &Cancel,
    ) -> Result<Self, HttpError> {
        let failed = |what: String| HttpError::new(about, Trouble::Unexpected(what));
        let mut headers = HeaderMap::new();
        if let Some(credential) = credential {
            let (name, value) = credential
                .header()
                .ok_or_else(|| failed("the key has characters that no header can hold".into()))?;
            headers.insert(name, value);
        }
        let mut builder = reqwest::Client::builder();
        if about.starts_with("http://") {
            // A machine without certificates can do without.
            builder = builder.tls_certs_only([]);
        }
        if let Some(socket) = &options.unix_socket {
            builder = builder.unix_socket(socket.as_path());
        }
        let inner = builder
            .user_agent(concat!("restow/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(options.connect_timeout)
            .redirect(Policy::none())
            // A connection that waits while nobody drives the runtime is found dead when it is wanted.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| HttpError::of(about, error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(format!("no runtime: {error}")))?;
        let runtime = Arc::new(Background(Some(runtime)));
        let throttle = |limit: Option<NonZeroU64>| limit.map(Throttle::new).map(Arc::new);
        let (downloads, uploads) =
            (throttle(options.limit_download), throttle(options.limit_upload));
        Ok(Self { inner, runtime, options, downloads, uploads, cancel: cancel.clone() })
    }

    /// The same, told to stop by another.
    #[must_use]
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        Self { cancel, ..self.clone() }
    }

    /// The same, with less patience.
    #[must_use]
    pub fn hasty(&self, retries: u32, read_timeout: Duration) -> Self {
        let read_timeout = read_timeout.min(self.options.read_timeout);
        let options = ClientOptions { retries, read_timeout, ..self.options.clone() };
        Self { options, ..self.clone() }
    }

    /// Asks, and reads the whole answer.
    pub fn ask(&self, call: &Call) -> Result<Vec<u8>, HttpError> {
        self.persist(call.repeat, || {
            let response = self.send(call, None)?;
            self.whole(call.shown(), response, ANSWER_MAX)
        })
    }

    /// Asks again and again until there is an answer that stays, for at most so long.
    pub fn ask_until(&self, call: &Call, most: Duration) -> Result<Vec<u8>, HttpError> {
        let started = self.now();
        loop {
            let asked = self
                .send(call, None)
                .and_then(|response| self.whole(call.shown(), response, ANSWER_MAX));
            match asked {
                Err(error) if error.may_pass(call.repeat) && self.since(started) < most => {
                    let pause = self.options.pause.min(most.saturating_sub(self.since(started)));
                    self.sleep(call.shown(), pause)?;
                }
                done => return done,
            }
        }
    }

    /// Asks once; a good answer's body is still to be read.
    pub(super) fn send(
        &self,
        call: &Call,
        body: Option<reqwest::Body>,
    ) -> Result<reqwest::Response, HttpError> {
        let url = call.shown();
        let request = self.request(call, body);
        let sent = self.wait(url, self.patience(call), request.send())?;
        self.judge(url, sent.map_err(|error| HttpError::of(url, error))?)
    }

    pub(super) fn request(
        &self,
        call: &Call,
        body: Option<reqwest::Body>,
    ) -> reqwest::RequestBuilder {
        let mut request = self.inner.request(call.method.clone(), &call.url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.header("content-type", call.content_type).body(body.clone());
        }
        match body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    pub(super) fn patience(&self, call: &Call) -> Duration {
        call.patience.unwrap_or(self.options.read_timeout)
    }

    /// A bad status is an error with what the server says to it.
    pub(super) fn judge(
        &self,
        url: &str,
        response: reqwest::Response,
    ) -> Result<reqwest::Response, HttpError> {
        let code = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        if response.status().is_redirection() {
            let to = response.headers().get("location").and_then(|to| to.to_str().ok());
            // A signed URL is a key too.
            let to = to.map(without_secrets).unwrap_or_else(|| "another place".to_owned());
            let what = format!("leads to {to}, where the key is not sent: name that server itself");
            return Err(HttpError::new(url, Trouble::Unexpected(what)));
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok());
        let after = after.and_then(|text| retry::retry_after(text, Timestamp::now()));
        // The status counts, whatever becomes of the text.
        let said = match self.whole(url, response, SAID_MAX) {
            Err(HttpError { trouble: Trouble::Interrupted, url }) => {
                return Err(HttpError::new(url, Trouble::Interrupted));
            }
            Err(_) => Vec::new(),
            Ok(said) => said,
        };
        let said = String::from_utf8_lossy(&said);
        let said = said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Err(HttpError::new(url, Trouble::Status { code, said, after }))
    }

    /// An answer's body, of at most so many bytes; an error's text may be cut short.
    pub(super) fn whole(
        &self,
        url: &str,
        mut response: reqwest::Response,
        most: usize,
    ) -> Result<Vec<u8>, HttpError> {
        let (mut body, started) = (Vec::new(), self.now());
        loop {
            // Neither silence nor a trickle goes on for ever.
            let left = (self.options.read_timeout * SILENCES).saturating_sub(self.since(started));
            let patience = self.options.read_timeout.min(left);
            let piece = self.wait(url, patience, response.chunk())?;
            let Some(piece) = piece.map_err(|error| HttpError::of(url, error))? else {
                return Ok(body);
            };
            body.extend_from_slice(&piece);
            if body.len() > most {
                if !response.status().is_success() {
                    body.truncate(most);
                    return Ok(body);
                }
                let what = format!("the answer has more than {most} bytes");
                return Err(HttpError::new(url, Trouble::Unexpected(what)));
            }
        }
    }

    /// Tries, and tries again while that may help.
    pub(super) fn persist<T>(
        &self,
        repeat: Repeat,
        mut attempt: impl FnMut() -> Result<T, HttpError>,
    ) -> Result<T, HttpError> {
        let mut tries = 0;
        loop {
            match attempt() {
                Err(error) if error.may_pass(repeat) && tries < self.options.retries => {
                    self.pause(tries, error)?;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// Waits before another try; gives the error back where that would take too long.
    pub fn pause(&self, tries: u32, error: HttpError) -> Result<(), HttpError> {
        let backoff = Backoff { first: self.options.pause, max: self.options.pause_max };
        let Some(pause) = backoff.pause(tries, error.told_pause()) else {
            return Err(error);
        };
        tracing::info!("{error}; trying again in {:.1} s", pause.as_secs_f64());
        self.sleep(&error.url, pause)
    }

    /// Waits until so many bytes more are within the limit.
    pub(super) fn slow_down(
        &self,
        throttle: Option<&Throttle>,
        url: &str,
        bytes: usize,
    ) -> Result<(), HttpError> {
        match throttle.map(|throttle| throttle.reserve(bytes, self.now())) {
            Some(pause) if !pause.is_zero() => self.sleep(url, pause),
            _ => Ok(()),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.options.clock.now()
    }

    pub(super) fn since(&self, started: Instant) -> Duration {
        self.now().saturating_duration_since(started)
    }

    /// Waits for so long, or until it is told to stop.
    pub fn sleep(&self, url: &str, pause: Duration) -> Result<(), HttpError> {
        match timing::sleep(&*self.options.clock, &self.cancel, pause) {
            true => Ok(()),
            false => Err(HttpError::new(url, Trouble::Interrupted)),
        }
    }

    /// Runs `future` for at most so long.
    pub(super) fn wait<T>(
        &self,
        url: &str,
        patience: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, HttpError> {
        let started = self.now();
        self.watch(url, future, || (self.since(started) >= patience).then_some(patience))
    }

    /// Runs `future` until `stuck` says for how long nothing came.
    pub(super) fn watch<T>(
        &self,
        url: &str,
        future: impl Future<Output = T>,
        stuck: impl Fn() -> Option<Duration>,
    ) -> Result<T, HttpError> {
        let Background(Some(runtime)) = &*self.runtime else {
            return Err(HttpError::new(url, Trouble::Unexpected("the runtime has ended".into())));
        };
        runtime.block_on(async {
            let mut future = pin!(future);
            loop {
                if self.cancel.is_cancelled() {
                    return Err(HttpError::new(url, Trouble::Interrupted));
                }
                if let Ok(done) = tokio::time::timeout(GLANCE, future.as_mut()).await {
                    return Ok(done);
                }
                if let Some(silence) = stuck() {
                    return Err(HttpError::new(url, Trouble::Silent(silence)));
                }
            }
        })
    }
}

/// A runtime that may be dropped anywhere, in async code too.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
