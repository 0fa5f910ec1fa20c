//! What a child says on standard error: passed on as it comes, and its last words kept.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::process::ChildStderr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes kept, and lines of them shown.
const KEPT: usize = 4096;
const LINES: usize = 5;
/// A grandchild may hold the pipe open for ever; its words are not waited for longer than this.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    ended: Receiver<()>,
}

impl Tail {
    /// Reads `stderr` on a thread of its own, so that a talkative child never waits for us.
    pub fn follow(mut stderr: ChildStderr, pass_on: bool) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (end, ended) = channel();
        let ours = Arc::clone(&kept);
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count) = stderr.read(&mut buffer) {
                let said = buffer.get(..count).unwrap_or_default();
                if said.is_empty() {
                    break;
                }
                if pass_on {
                    // Nobody may be listening; what was said still goes into the error.
                    let _ = std::io::stderr().write_all(said);
                }
                let mut kept = ours.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(said);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
            // Dropping it is the sign.
            drop(end);
        });
        Self { kept, ended }
    }

    /// The last lines, on one line, without control characters.
    pub fn last_words(&self) -> String {
        // An error either way: the thread has ended, or it is not waited for.
        let _ = self.ended.recv_timeout(PATIENCE);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let first = lines.len().saturating_sub(LINES);
        let last = lines.get(first..).unwrap_or_default().join(" / ");
        last.chars().filter(|letter| !letter.is_control()).collect()
    }
}
