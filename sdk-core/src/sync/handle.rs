//! What a session holds of its synchronisation.

use super::{
    address::{Address, AddressError},
    chain::Chain,
    client::{Client, ClientConfig, SyncStats},
    draft::{Draft, QueueError},
    entry::DeadLetter,
    outbox::Outbox,
    tls::{TlsError, Trust, client_config},
    trouble::Trouble,
    uploader::{Command, Uploader, unix_ms},
};
use crate::{consent::Gate, frames::FramesError};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

/// Commands that wait for the task; [`SyncHandle::queue`] waits when it is full,
/// [`SyncHandle::submit`] does not.
const COMMANDS: usize = 1_024;
const GATHER: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where events go, and how.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// The server, `https://HOST[:PORT]`; `http` to a loopback address only.
    pub server: String,
    /// Whom to trust besides the platform's certificates, and pins.
    pub trust: Trust,
    /// How long events are gathered before they are sent.
    pub gather: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// The session under way; a runtime session puts its own here.
    pub session: Uuid,
    /// The zero of its time; likewise.
    pub origin: Instant,
}

impl SyncConfig {
    /// To a server, with the platform's trust and the usual times.
    #[must_use]
    pub fn to(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            trust: Trust::default(),
            gather: GATHER,
            request_timeout: REQUEST_TIMEOUT,
            session: Uuid::now_v7(),
            origin: Instant::now(),
        }
    }
}

/// Why synchronisation cannot start.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] reqwest::Error),
}

/// Why something is not forgotten on disk.
#[derive(Debug, Error)]
pub enum PurgeError {
    /// The disk did not take it.
    #[error(
        "forgotten in memory, and nothing is sent, but not on disk: {0}; make room or mend the \
         folder, it is tried again by itself"
    )]
    Disk(FramesError),
    /// There is nobody to forget.
    #[error("synchronisation has ended: what is on disk is looked at when it next starts")]
    Ended,
}

impl PurgeError {
    pub(super) const fn disk(error: FramesError) -> Self {
        Self::Disk(error)
    }
}

/// Where things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) stats: SyncStats,
    pub(super) trouble: Option<Trouble>,
}

/// The running task. Dropping the handle lets it end after what it is doing.
#[derive(Debug)]
pub struct SyncHandle {
    commands: mpsc::Sender<Command>,
    overrun: Arc<AtomicU64>,
    stand: watch::Receiver<Stand>,
    task: JoinHandle<()>,
}

impl SyncHandle {
    /// Starts the task. The gate must have taken up its stored record already: what that does not
    /// permit is purged from the outbox.
    ///
    /// # Errors
    /// [`SyncError`] when the address or the certificates cannot be used.
    pub fn spawn(
        config: &SyncConfig,
        gate: Gate,
        chain: Arc<dyn Chain>,
        outbox: Outbox,
    ) -> Result<Self, SyncError> {
        let address = Address::parse(&config.server)?;
        let http = http_client(config, &address)?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (publish, stand) = watch::channel(Stand::default());
        let overrun = Arc::new(AtomicU64::new(0));
        let talk = ClientConfig {
            authority: address.authority(),
            session: config.session,
            gather: config.gather,
        };
        let client = Client::new(talk, gate, chain, outbox, unix_ms());
        let uploader = Uploader {
            http,
            address,
            origin: config.origin.into(),
            drains: Vec::new(),
            overrun: Arc::clone(&overrun),
            stand: publish,
        };
        let task = tokio::spawn(uploader.run(client, inbox));
        Ok(Self { commands, overrun, stand, task })
    }

    /// Queues an event: its id once it is on disk. Events that wait at the same time share one
    /// write.
    ///
    /// # Errors
    /// [`QueueError`]: it is not queued.
    pub async fn queue(&self, draft: Draft) -> Result<Uuid, QueueError> {
        let (done, wait) = oneshot::channel();
        let command = Command::Event(Box::new(draft), Some(done));
        self.commands.send(command).await.map_err(|_| QueueError::Ended)?;
        wait.await.map_err(|_| QueueError::Ended)?
    }

    /// Queues an event without waiting for the disk. One that comes faster than the disk takes
    /// them is dropped and counted; says whether it was taken.
    pub fn submit(&self, draft: Draft) -> bool {
        let taken = self.commands.try_send(Command::Event(Box::new(draft), None)).is_ok();
        self.overrun.fetch_add(u64::from(!taken), Ordering::AcqRel);
        taken
    }

    /// The person changed their mind, and the gate knows: the request under way is given up, and
    /// the server is told before anything else.
    pub async fn consent_changed(&self) {
        // The task ends only with this handle: a closed channel means shutdown is under way.
        let _ = self.commands.send(Command::ConsentChanged).await;
    }

    /// Consent was withdrawn, and the gate knows: gives up the request under way, forgets what is
    /// queued, in memory and on disk, then tells the server. Returns once the disk is clean.
    ///
    /// # Errors
    /// [`PurgeError`]: nothing is sent, but the disk is not clean.
    pub async fn purge(&self) -> Result<(), PurgeError> {
        self.ask(Command::Purge).await.unwrap_or(Err(PurgeError::Ended))
    }

    /// Sends what is queued, for at most `limit`; true when nothing is left. Ends early where
    /// nothing is sent any more.
    pub async fn drain(&self, limit: Duration) -> bool {
        timeout(limit, self.ask(Command::Drain)).await.is_ok_and(|sent| sent.is_some())
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> SyncStats {
        self.stand.borrow().stats
    }

    /// What was wrong last.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.stand.borrow().trouble.clone()
    }

    /// Waits until something is wrong that was not before; `None` once the task has ended.
    pub async fn next_trouble(&self) -> Option<Trouble> {
        let mut stand = self.stand.clone();
        let before = stand.borrow_and_update().trouble.clone();
        let changed = stand.wait_for(|stand| stand.trouble != before).await.ok()?;
        changed.trouble.clone()
    }

    /// What the server will never take, oldest first.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.ask(Command::DeadLetters).await.unwrap_or_default()
    }

    /// Forgets the dead letters.
    ///
    /// # Errors
    /// [`PurgeError`]: the disk still holds them.
    pub async fn clear_dead_letters(&self) -> Result<(), PurgeError> {
        self.ask(Command::ClearDeadLetters).await.unwrap_or(Err(PurgeError::Ended))
    }

    /// Ends the task once everything handed to it is on disk; what is queued stays there.
    pub async fn stop(self) {
        drop(self.commands);
        let _ = self.task.await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (done, wait) = oneshot::channel();
        self.commands.send(command(done)).await.ok()?;
        wait.await.ok()
    }
}

fn http_client(config: &SyncConfig, address: &Address) -> Result<reqwest::Client, SyncError> {
    let builder = reqwest::Client::builder()
        .timeout(config.request_timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(client_config(&config.trust)?);
    // What goes to this machine must not take the way over a proxy.
    let builder = if address.is_https() { builder.https_only(true) } else { builder.no_proxy() };
    Ok(builder.build()?)
}
