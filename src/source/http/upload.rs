//! A request whose body is written piece by piece.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::call::Call;
use super::client::Client;
use super::failure::{HttpError, Trouble};
use crate::limits::MIB;
use crate::timing::Clock;

/// Pieces on their way.
const AHEAD: usize = 8;
/// How often it is looked whether an answer came.
const GLANCE: Duration = Duration::from_millis(10);

/// A body under way. Dropped before its end, it reaches the server as a broken request.
pub struct Upload {
    pieces: Option<Sender<Bytes>>,
    sending: Option<JoinHandle<Result<Vec<u8>, HttpError>>>,
    client: Client,
    url: String,
    pace: Arc<Mutex<Pace>>,
}

/// An upload that came to nothing.
#[derive(Debug)]
pub struct Unanswered {
    pub error: HttpError,
    /// Whether the server may have got everything.
    pub was_sent_whole: bool,
}

impl Upload {
    /// Sends `call` with a body of `len` bytes, on a thread of its own. Tried once: whoever has the bytes tries again.
    pub fn begin(
        client: &Client,
        call: Call,
        len: u64,
        content_type: &str,
    ) -> Result<Self, HttpError> {
        let url = call.shown().to_owned();
        let wrong = |what: String| HttpError::new(&url, Trouble::Unexpected(what));
        let content_type =
            HeaderValue::from_str(content_type).map_err(|error| wrong(error.to_string()))?;
        let call = call.header(CONTENT_TYPE, content_type);
        let (pieces, receiver) = channel(AHEAD);
        let pace = Arc::new(Mutex::new(Pace { since: client.now(), waits_for: Waits::Server }));
        let (sender, shown, shared) = (client.clone(), url.clone(), Arc::clone(&pace));
        let sending = std::thread::Builder::new()
            .name("upload".into())
            .spawn(move || send(&sender, &call, &shown, receiver, len, shared))
            .map_err(|error| wrong(format!("no thread for the upload: {error}")))?;
        Ok(Self { pieces: Some(pieces), sending: Some(sending), client: client.clone(), url, pace })
    }

    /// The next bytes. Waits while the server takes its time; the error is the server's.
    pub fn write(&mut self, piece: Vec<u8>) -> Result<(), HttpError> {
        self.client.slow_down(self.client.uploads.as_deref(), &self.url, piece.len())?;
        let sent = match &self.pieces {
            Some(pieces) => pieces.blocking_send(Bytes::from(piece)).is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.ended()) }
    }

    /// Waits for so long, before more is written, whether the server has an answer already: one that refuses has. An
    /// answer is heard while nothing is sent; where the server hangs up while much is, it is lost now and then.
    pub fn listen(&mut self, patience: Duration) -> Result<(), HttpError> {
        let started = self.client.now();
        while self.client.since(started) < patience {
            if self.sending.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(self.ended());
            }
            self.client.sleep(&self.url, GLANCE)?;
        }
        Ok(())
    }

    /// What came of it before its time.
    fn ended(&mut self) -> HttpError {
        let what = "the server answered before it had everything";
        match self.end() {
            Err(error) => error,
            Ok(_) => HttpError::new(&self.url, Trouble::Unexpected(what.into())),
        }
    }

    /// All bytes were written: the server's answer.
    pub fn finish(mut self) -> Result<Vec<u8>, Unanswered> {
        self.end().map_err(|error| {
            let pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            Unanswered { error, was_sent_whole: pace.waits_for == Waits::Answer }
        })
    }

    fn end(&mut self) -> Result<Vec<u8>, HttpError> {
        self.pieces = None;
        let gone = || HttpError::new(&self.url, Trouble::Broken("the upload has ended".into()));
        let sending = self.sending.take().ok_or_else(gone)?;
        sending.join().map_err(|_| gone())?
    }
}

fn send(
    client: &Client,
    call: &Call,
    url: &str,
    pieces: Receiver<Bytes>,
    len: u64,
    pace: Arc<Mutex<Pace>>,
) -> Result<Vec<u8>, HttpError> {
    let pieces = Arc::new(Mutex::new(pieces));
    // The body may outlive this in a runtime that nobody drives any more: whoever writes must hear of the end.
    let _hang_up = HangUp(Arc::clone(&pieces));
    let clock = Arc::clone(&client.options.clock);
    let frames = Frames { pieces, left: len, pace: Arc::clone(&pace), clock };
    let request = client.request(call, Some(reqwest::Body::wrap(frames)));
    let (read_timeout, patience) = (client.options.read_timeout, client.patience(call));
    let stuck = || {
        let pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.stuck(client.since(pace.since), read_timeout, patience)
    };
    let sent = client.watch(url, request.send(), stuck)?;
    let response = client.judge(url, sent.map_err(|error| HttpError::of(url, error))?)?;
    client.whole(url, response, MIB)
}

/// Ends the body for those who write it.
struct HangUp(Arc<Mutex<Receiver<Bytes>>>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).close();
    }
}

/// Who is waited for, and since when.
struct Pace {
    since: Instant,
    waits_for: Waits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For the server to take more.
    Server,
    /// For us to have more.
    Us,
    /// For the answer.
    Answer,
}

impl Pace {
    /// The time-out that `waited`, the time since this pace began, has reached.
    fn stuck(
        &self,
        waited: Duration,
        read_timeout: Duration,
        patience: Duration,
    ) -> Option<Duration> {
        let most = match self.waits_for {
            Waits::Us => return None,
            Waits::Server => read_timeout,
            Waits::Answer => patience,
        };
        (waited >= most).then_some(most)
    }
}

struct Frames {
    pieces: Arc<Mutex<Receiver<Bytes>>>,
    left: u64,
    pace: Arc<Mutex<Pace>>,
    clock: Arc<dyn Clock>,
}

impl Frames {
    fn note(&self, waits_for: Waits) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        *pace = Pace { since: self.clock.now(), waits_for };
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            self.note(Waits::Answer);
            return Poll::Ready(None);
        }
        let wrong = |what| Poll::Ready(Some(Err(io::Error::other(what))));
        let next = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(context);
        match next {
            Poll::Pending => {
                self.note(Waits::Us);
                Poll::Pending
            }
            Poll::Ready(None) => wrong("given up before its end"),
            Poll::Ready(Some(piece)) => {
                let Some(left) = self.left.checked_sub(piece.len() as u64) else {
                    return wrong("more bytes than were announced");
                };
                self.left = left;
                self.note(if left == 0 { Waits::Answer } else { Waits::Server });
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
