//! A writer at work: announced, alive by its beats, gone when done.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::codec;
use crate::format::{ActorRecord, ActorRole, ObjectKind, Time, name};
use crate::id::ActorId;
use crate::storage::{Key, Storage};
use crate::store::Vault;

use super::RepoError;

/// Who and where this process is. Callers fill it in: this layer asks no clock and no system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the host.
    pub host: String,
    /// Name of the user.
    pub user: String,
    /// Number of the process.
    pub process: u32,
    /// Id of the host's boot: process numbers begin anew with each.
    pub boot: String,
    /// When the process started, by the kernel's count, so that a reused number is told apart.
    pub process_start: u64,
    /// Program and version.
    pub tool: String,
    /// How often a sign of life is put. Expiry is 24 h without one.
    pub beat_every: Duration,
}

impl Identity {
    /// This process on this machine.
    pub fn of_this_process() -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let user = std::env::var("USER")
            .or_else(|_| std::env::var("LOGNAME"))
            .unwrap_or_else(|_| rustix::process::getuid().as_raw().to_string());
        Self {
            host,
            user,
            process: std::process::id(),
            boot: boot(),
            process_start: start_of_process(std::process::id()).unwrap_or(0),
            tool: concat!("restow ", env!("CARGO_PKG_VERSION")).into(),
            beat_every: Duration::from_secs(600),
        }
    }

    /// By the host's clock: for people, never for decisions.
    pub fn now(&self) -> Time {
        let now = jiff::Timestamp::now();
        Time {
            seconds: now.as_second(),
            nanos: u32::try_from(now.subsec_nanosecond()).unwrap_or(0),
        }
    }
}

/// Names this boot of this machine, and the namespace its processes are numbered in.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    match id.trim() {
        // Without it a process of the same number may be anybody's.
        "" => String::new(),
        id => format!("{id} {}", namespace.display()),
    }
}

/// Whether a process of this namespace that began then is gone. Not so where that cannot be told.
pub(super) fn is_gone(process: u32, start: u64) -> bool {
    if let Some(found) = start_of_process(process) {
        return found != start;
    }
    // /proc may hide the processes of others (hidepid); a signal that is not sent does not.
    let Some(number) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return false };
    test_kill_process(number) == Err(Errno::SRCH)
}

/// When a process of this namespace began, in the kernel's ticks. `None`: there is none of this number.
fn start_of_process(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Field 22 of stat(5), counted behind the command's closing parenthesis.
    stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()
}

/// An announced writer or prune. Its beats stop when it is dropped; `retire` removes its objects.
pub struct Actor {
    id: ActorId,
    storage: Arc<dyn Storage>,
    stop: Option<Sender<()>>,
    beats: Option<JoinHandle<()>>,
}

impl Actor {
    /// Step 1: `active/<id>` is put before anything is listed.
    pub fn announce(
        storage: &Arc<dyn Storage>,
        vault: &Vault,
        role: ActorRole,
        identity: &Identity,
    ) -> Result<Self, RepoError> {
        let id = ActorId::new(codec::random()?);
        let record = ActorRecord {
            id,
            role,
            started: identity.now(),
            host: identity.host.clone(),
            user: identity.user.clone(),
            process: identity.process,
            boot: identity.boot.clone(),
            process_start: identity.process_start,
            tool: identity.tool.clone(),
            ext: Vec::new(),
        };
        let active = vault.seal(ObjectKind::Active, &record)?;
        storage.put(&Key::new(name::active(&id))?, &active.bytes)?;
        // One sealed beat, put again and again: identical bytes under one salt tell nothing new.
        let beat = vault.seal(ObjectKind::Beat, &record)?.bytes;
        let key = Key::new(name::beat(&id))?;
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let (every, shared) = (identity.beat_every, Arc::clone(storage));
        let beats = std::thread::Builder::new()
            .name("restow-beat".into())
            .spawn(move || {
                while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = shared.put(&key, &beat) {
                        tracing::warn!("no sign of life could be put: {error}");
                    }
                }
            })
            .ok();
        Ok(Self { id, storage: Arc::clone(storage), stop: Some(stop), beats })
    }

    pub fn id(&self) -> ActorId {
        self.id
    }

    /// Step 6: whether somebody took this actor for dead.
    pub fn is_void(&self) -> Result<bool, RepoError> {
        let key = Key::new(name::void(&self.id))?;
        let mut there = false;
        self.storage.list(&key, &mut |listed| there |= listed.key == key)?;
        Ok(there)
    }

    /// Step 7.
    pub fn retire(mut self) -> Result<(), RepoError> {
        self.stop_beats();
        self.storage.delete(&Key::new(name::active(&self.id))?)?;
        self.storage.delete(&Key::new(name::beat(&self.id))?)?;
        Ok(())
    }

    fn stop_beats(&mut self) {
        self.stop = None;
        if let Some(beats) = self.beats.take() {
            let _ = beats.join();
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.stop_beats();
    }
}
