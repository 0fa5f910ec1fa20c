//! A writer at work: announced, alive by its beats, gone when done (design section 8).

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};

use crate::codec;
use crate::format::{ActorRecord, ActorRole, ObjectKind, Time, name};
use crate::id::ActorId;
use crate::storage::{Key, Storage};
use crate::store::Vault;

use super::RepoError;

/// Who and where this process is. Callers fill it in: this layer asks no clock and no system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub host: String,
    pub user: String,
    pub process: u32,
    pub boot: String,
    pub process_start: u64,
    pub tool: String,
    /// How often a sign of life is put. Expiry is 24 h without one.
    pub beat_every: Duration,
}

impl Identity {
    /// This process on this machine.
    pub fn of_this_process() -> Self {
        let text = |path: &str| {
            std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let user = std::env::var("USER")
            .or_else(|_| std::env::var("LOGNAME"))
            .unwrap_or_else(|_| rustix::process::getuid().as_raw().to_string());
        // Field 22 of stat(5), counted behind the command's closing parenthesis.
        let stat = text("/proc/self/stat");
        let process_start = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(19)?.parse().ok())
            .unwrap_or(0);
        Self {
            host,
            user,
            process: std::process::id(),
            boot: text("/proc/sys/kernel/random/boot_id"),
            process_start,
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
