//! The task that moves the outbox over HTTPS.

use super::{
    Delivery, Draft, Entry, Journal, JournalError, Outbox, OutboxStats, OutcomeDraft, Reply,
};
use crate::{
    clock::Nanos,
    consent::{Gate, Permit, Refused, Share},
};
use futures::future::BoxFuture;
use protocol::{
    consent::{ConsentRecord, ConsentState, Modality},
    event::BatchReply,
    problem::Problem,
};
use reqwest::{Client, StatusCode, Url, header::RETRY_AFTER};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{sleep_until, timeout},
};

/// Commands that wait for the task; a caller waits when it is full.
const COMMANDS: usize = 1_024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait before a consent record is posted again.
const CONSENT_RETRY: Duration = Duration::from_secs(1);

/// Where events go.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// The server, such as `https://attune.example`.
    pub server: String,
    /// The folder of the outbox.
    pub folder: PathBuf,
    /// How long events are gathered before they are sent.
    pub gather: Duration,
}

/// Why synchronisation cannot start.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The address cannot be used.
    #[error("{address:?} is not the address of a server ({reason}): write https://HOST[:PORT]")]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The outbox cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// What the task counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SyncStats {
    /// The queue.
    pub outbox: OutboxStats,
    /// Requests that got no usable answer.
    pub failures: u64,
    /// Events refused at the queue: no permit to share.
    pub not_permitted: u64,
    /// Whether the newest consent record has reached the server.
    pub consent_posted: bool,
}

/// The running task. Dropping the handle lets it end after what it is doing.
#[derive(Debug)]
pub struct SyncHandle {
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<SyncStats>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Command {
    Event(Box<Draft>),
    Outcome(Box<OutcomeDraft>),
    Consent(Box<ConsentRecord>),
    Purge(Box<ConsentRecord>, oneshot::Sender<()>),
    Drain(oneshot::Sender<()>),
}

impl SyncHandle {
    /// Queues an event; waits while the task is behind.
    pub async fn queue(&self, draft: Draft) {
        // The task ends only with this handle: a closed channel means shutdown is under way.
        let _ = self.commands.send(Command::Event(Box::new(draft))).await;
    }

    /// Queues the end of an interaction.
    pub async fn queue_outcome(&self, draft: OutcomeDraft) {
        let _ = self.commands.send(Command::Outcome(Box::new(draft))).await;
    }

    /// Tells the server what the person agreed to. Events wait until it knows.
    pub async fn consent(&self, record: ConsentRecord) {
        let _ = self.commands.send(Command::Consent(Box::new(record))).await;
    }

    /// Consent was withdrawn: purges the queue, memory and disk, then tells the server. Returns
    /// once the disk is clean.
    pub async fn purge(&self, record: ConsentRecord) {
        let (done, wait) = oneshot::channel();
        let _ = self.commands.send(Command::Purge(Box::new(record), done)).await;
        let _ = wait.await;
    }

    /// Sends what is queued, for at most `limit`; true when nothing is left.
    pub async fn drain(&self, limit: Duration) -> bool {
        let (done, wait) = oneshot::channel();
        let _ = self.commands.send(Command::Drain(done)).await;
        timeout(limit, wait).await.is_ok_and(|sent| sent.is_ok())
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> SyncStats {
        *self.stats.borrow()
    }

    /// Ends the task; what is queued stays on disk.
    pub async fn stop(self) {
        drop(self.commands);
        let _ = self.task.await;
    }
}

/// Opens the outbox and starts the task.
///
/// # Errors
/// [`SyncError`] when the address or the folder cannot be used.
pub fn spawn(config: &SyncConfig, gate: Gate) -> Result<SyncHandle, SyncError> {
    let bad = |reason: String| SyncError::Address { address: config.server.clone(), reason };
    let server = Url::parse(&config.server).map_err(|e| bad(e.to_string()))?;
    if !matches!(server.scheme(), "http" | "https") {
        return Err(bad(format!("the scheme is {}", server.scheme())));
    }
    let endpoint = |path| server.join(path).map_err(|e| bad(e.to_string()));
    let (journal, entries, _torn) = Journal::open(&config.folder.join("outbox.journal"))?;
    // The provider may be set already, by the app or by another session.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().timeout(REQUEST_TIMEOUT).build()?;
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (publish, stats) = watch::channel(SyncStats::default());
    let uploader = Uploader {
        client,
        events: endpoint("/v1/events")?,
        outcomes: endpoint("/v1/outcomes")?,
        consents: endpoint("/v1/consents")?,
        gather: config.gather,
        gate,
        outbox: Outbox::restore(entries),
        journal,
        consent: None,
        drains: Vec::new(),
        origin: Instant::now(),
        stats: SyncStats::default(),
        publish,
    };
    Ok(SyncHandle { commands, stats, task: tokio::spawn(uploader.run(inbox)) })
}

struct Uploader {
    client: Client,
    events: Url,
    outcomes: Url,
    consents: Url,
    gather: Duration,
    gate: Gate,
    outbox: Outbox,
    journal: Journal,
    /// The newest record, until the server has it.
    consent: Option<Box<ConsentRecord>>,
    drains: Vec<oneshot::Sender<()>>,
    origin: Instant,
    stats: SyncStats,
    publish: watch::Sender<SyncStats>,
}

/// What came of a request.
enum Done {
    Consent(bool),
    Items(Reply),
}

impl Uploader {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut consent_due = Instant::now();
        let mut request: Option<BoxFuture<'static, Done>> = None;
        loop {
            self.report();
            let wake = wake(if request.is_some() { None } else { self.due(consent_due) });
            tokio::select! {
                biased;
                command = inbox.recv() => {
                    let Some(command) = command else { return };
                    let mut next = Some(command);
                    // What waits is taken together.
                    while let Some(command) = next {
                        if matches!(command, Command::Consent(_) | Command::Purge(..)) {
                            consent_due = Instant::now();
                            // What is on its way was agreed to under another record (C4).
                            request = None;
                            self.outbox.abandon();
                        }
                        self.take(command);
                        next = inbox.try_recv().ok();
                    }
                }
                done = answer(&mut request) => {
                    request = None;
                    if let Done::Consent(false) = done {
                        consent_due = Instant::now() + CONSENT_RETRY;
                    }
                    self.done(done);
                }
                () = wake => request = self.send(),
            }
        }
    }

    /// When something is to be sent next.
    fn due(&self, consent_due: Instant) -> Option<Instant> {
        if self.consent.is_some() {
            return Some(consent_due);
        }
        let at = self.origin + Duration::from_nanos(self.outbox.due()?.0);
        let gather = if self.drains.is_empty() { self.gather } else { Duration::ZERO };
        Some(at.max(Instant::now() + gather))
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Event(draft) => {
                self.queue(|o, permits, record| o.queue(*draft, permits, record))
            }
            Command::Outcome(draft) => {
                self.queue(|o, permits, record| o.queue_outcome(*draft, permits, record));
            }
            Command::Consent(record) => self.consent = Some(record),
            Command::Purge(record, done) => {
                let entries = self.outbox.purge();
                let written = self.journal.rewrite(&entries);
                self.note(written);
                self.consent = Some(record);
                // The caller may have gone; the purge stands.
                let _ = done.send(());
            }
            Command::Drain(done) => self.drains.push(done),
        }
    }

    fn queue(
        &mut self,
        into: impl FnOnce(&mut Outbox, &[Permit<Share>], &ConsentRecord) -> Result<Vec<Entry>, Refused>,
    ) {
        let permits: Vec<Permit<Share>> =
            Modality::ALL.iter().filter_map(|m| self.gate.permit(*m).ok()).collect();
        match into(&mut self.outbox, &permits, &self.gate.record()) {
            Ok(entries) => self.write(&entries),
            Err(_) => self.stats.not_permitted += 1,
        }
    }

    /// Begins what is due: the consent record before any event.
    fn send(&mut self) -> Option<BoxFuture<'static, Done>> {
        if let Some(record) = self.consent.as_deref() {
            let request = self.client.post(self.consents.clone()).json(record).send();
            return Some(Box::pin(async {
                Done::Consent(matches!(request.await, Ok(r) if r.status().is_success()))
            }));
        }
        // Consent may have changed since these were queued: look again before they leave (C2).
        if self.gate.record().state == ConsentState::Withdrawn {
            let entries = self.outbox.purge();
            let written = self.journal.rewrite(&entries);
            self.note(written);
            return None;
        }
        match self.outbox.next(self.now(), unix_ms())? {
            Delivery::Events(batch) => {
                let request = self.client.post(self.events.clone()).json(&batch).send();
                Some(Box::pin(async { Done::Items(reply(request.await, body).await) }))
            }
            Delivery::Outcome(outcome) => {
                let request = self.client.post(self.outcomes.clone()).json(&outcome).send();
                Some(Box::pin(async { Done::Items(reply(request.await, single).await) }))
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Consent(true) => self.consent = None,
            Done::Consent(false) => self.stats.failures += 1,
            Done::Items(reply) => {
                self.stats.failures += u64::from(matches!(reply, Reply::Later(_)));
                let entries = self.outbox.reply(self.now(), reply, fastrand::f64());
                self.write(&entries);
                if self.journal.wants_compaction(self.outbox.stats().pending as usize) {
                    let written = self.journal.rewrite(&self.outbox.snapshot());
                    self.note(written);
                }
            }
        }
    }

    fn write(&mut self, entries: &[Entry]) {
        if !entries.is_empty() {
            let written = self.journal.append(entries);
            self.note(written);
        }
    }

    /// A disk that fails does not stop the loop; it is counted, and said without any content.
    fn note(&mut self, written: Result<(), JournalError>) {
        if let Err(error) = written {
            self.stats.failures += 1;
            tracing::warn!(%error, "the outbox could not be written");
        }
    }

    fn report(&mut self) {
        let outbox = self.outbox.stats();
        self.stats = SyncStats { outbox, consent_posted: self.consent.is_none(), ..self.stats };
        self.publish.send_replace(self.stats);
        if outbox.pending == 0 && self.consent.is_none() {
            for done in self.drains.drain(..) {
                let _ = done.send(());
            }
        }
    }

    fn now(&self) -> Nanos {
        Nanos::ZERO + self.origin.elapsed()
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn answer(request: &mut Option<BoxFuture<'static, Done>>) -> Done {
    match request {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

/// What an answer means; `read` takes the verdicts out of a good one.
async fn reply<F: Future<Output = Option<BatchReply>>>(
    response: reqwest::Result<reqwest::Response>,
    read: impl FnOnce(reqwest::Response) -> F,
) -> Reply {
    let Ok(response) = response else { return Reply::Later(None) };
    let status = response.status();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    let wait = seconds.map(Duration::from_secs);
    match status {
        _ if status.is_success() => {
            read(response).await.map_or(Reply::Later(None), Reply::Verdicts)
        }
        StatusCode::PAYLOAD_TOO_LARGE => Reply::TooLarge,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Reply::Later(wait),
        _ if status.is_server_error() => Reply::Later(wait),
        _ => match body::<Problem>(response).await {
            Some(problem) => Reply::Refused(problem.code, problem.detail),
            // Not our server's answer, a captive portal's perhaps: keep everything.
            None => Reply::Later(None),
        },
    }
}

/// The verdict on one item, as a batch of one.
async fn single(response: reqwest::Response) -> Option<BatchReply> {
    Some(BatchReply { verdicts: vec![body(response).await?] })
}

async fn body<T: DeserializeOwned>(response: reqwest::Response) -> Option<T> {
    response.json().await.ok()
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
