//! The task behind a [`SyncHandle`](super::SyncHandle): carries the client's requests over HTTPS,
//! and the client's disk work to a thread that may wait for it.

use super::{
    address::Address,
    answer::Answer,
    client::{Client, Outgoing},
    draft::{Draft, QueueError},
    entry::DeadLetter,
    handle::{PurgeError, Stand},
    trouble::Effect,
};
use crate::clock::Nanos;
use reqwest::{
    Response,
    header::{DATE, HeaderName, RETRY_AFTER},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

/// Bytes of an answer that are read; more is not an answer of ours.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What a handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Event(Box<Draft>, Option<oneshot::Sender<Result<Uuid, QueueError>>>),
    ConsentChanged,
    Purge(oneshot::Sender<Result<(), PurgeError>>),
    Drain(oneshot::Sender<()>),
    DeadLetters(oneshot::Sender<Vec<DeadLetter>>),
    ClearDeadLetters(oneshot::Sender<Result<(), PurgeError>>),
}

pub(super) struct Uploader {
    pub(super) http: reqwest::Client,
    pub(super) address: Address,
    /// The zero of session time.
    pub(super) origin: Instant,
    pub(super) drains: Vec<oneshot::Sender<()>>,
    /// Submitted, but the channel was full.
    pub(super) overrun: Arc<AtomicU64>,
    pub(super) stand: watch::Sender<Stand>,
}

impl Uploader {
    pub(super) async fn run(mut self, mut client: Client, mut inbox: mpsc::Receiver<Command>) {
        let mut request = Request::default();
        let mut commands = Vec::new();
        loop {
            self.report(&mut client);
            let due = client.due().map(|due| self.origin + Duration::from_nanos(due.0));
            tokio::select! {
                biased;
                count = inbox.recv_many(&mut commands, GROUP) => {
                    if count == 0 {
                        return;
                    }
                    // What is on its way was agreed to under another record (C4).
                    if commands.iter().any(Command::changes_consent) {
                        request.abort();
                    }
                    let group = std::mem::take(&mut commands);
                    let overrun = self.overrun.swap(0, Ordering::AcqRel);
                    let Some((back, drains)) = self.blocking(client, move |client, now, wall| {
                        client.overrun(overrun);
                        carry_out(client, group, now, wall)
                    }).await else { return };
                    client = back;
                    self.drains.extend(drains);
                }
                answer = request.answer() => {
                    let dice = fastrand::f64();
                    let Some((back, effects)) = self.blocking(client, move |client, now, wall| {
                        client.answer(now, wall, answer, dice)
                    }).await else { return };
                    client = back;
                    self.tell(effects);
                }
                () = wake(due) => {
                    let Some((back, outgoing)) =
                        self.blocking(client, Client::poll).await else { return };
                    client = back;
                    if let Some(outgoing) = outgoing {
                        request = self.send(outgoing);
                    }
                }
            }
        }
    }

    /// Lets the client work where waiting for the disk stalls nobody. `None` only when the runtime
    /// is shutting down.
    async fn blocking<T: Send + 'static>(
        &self,
        mut client: Client,
        work: impl FnOnce(&mut Client, Nanos, i64) -> T + Send + 'static,
    ) -> Option<(Client, T)> {
        let now = Nanos::ZERO + self.origin.elapsed();
        let done = spawn_blocking(move || {
            let came = work(&mut client, now, unix_ms());
            (client, came)
        });
        done.await.ok()
    }

    fn send(&self, outgoing: Outgoing) -> Request {
        let mut request = self.http.post(self.address.at(outgoing.path));
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        let request = request.body(outgoing.body);
        Request(Some(tokio::spawn(async move { read(request.send().await.ok()?).await })))
    }

    fn tell(&self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Trouble(trouble) = effect {
                // Its name alone: what a server or a disk says may hold anything (C12).
                protocol::log!(warn, "synchronisation met trouble", trouble = trouble.name());
                self.stand.send_modify(|stand| stand.trouble = Some(trouble));
            }
        }
    }

    fn report(&mut self, client: &mut Client) {
        let stats = client.stats();
        self.stand.send_if_modified(|stand| {
            let changed = stand.stats != stats;
            stand.stats = stats;
            changed
        });
        if client.is_done() {
            for done in self.drains.drain(..) {
                // Who asked may have gone.
                let _ = done.send(());
            }
        }
        if client.halted().is_some() {
            self.drains.clear();
        }
        self.drains.retain(|done| !done.is_closed());
        client.flush(!self.drains.is_empty());
    }
}

/// Commands taken together at most: one write for all the drafts among them.
const GROUP: usize = 1_024;

impl Command {
    const fn changes_consent(&self) -> bool {
        matches!(self, Self::ConsentChanged | Self::Purge(_))
    }
}

/// Carries out commands in their order; drafts that follow one another share one write. Who asked
/// may have gone; what was asked stands. Gives those who wait for the queue to be empty.
fn carry_out(
    client: &mut Client,
    commands: Vec<Command>,
    now: Nanos,
    wall_unix_ms: i64,
) -> Vec<oneshot::Sender<()>> {
    let (mut drafts, mut callers, mut drains) = (Vec::new(), Vec::new(), Vec::new());
    let queue = |client: &mut Client, drafts: &mut Vec<Draft>, callers: &mut Vec<_>| {
        let results = client.enqueue(now, wall_unix_ms, std::mem::take(drafts));
        for (caller, result) in callers.drain(..).zip(results) {
            let caller: Option<oneshot::Sender<_>> = caller;
            if let Some(caller) = caller {
                let _ = caller.send(result);
            }
        }
    };
    for command in commands {
        if !matches!(command, Command::Event(..)) {
            queue(client, &mut drafts, &mut callers);
        }
        match command {
            Command::Event(draft, caller) => {
                drafts.push(*draft);
                callers.push(caller);
            }
            Command::ConsentChanged => client.consent_changed(now),
            Command::Purge(caller) => {
                drop(caller.send(client.purge(now).map_err(PurgeError::disk)))
            }
            Command::DeadLetters(caller) => {
                drop(caller.send(client.outbox().dead_letters().cloned().collect()));
            }
            Command::ClearDeadLetters(caller) => {
                drop(caller.send(client.clear_dead_letters().map_err(PurgeError::disk)));
            }
            Command::Drain(caller) => drains.push(caller),
        }
    }
    queue(client, &mut drafts, &mut callers);
    drains
}

/// The request under way, if any; given up when dropped.
#[derive(Default)]
struct Request(Option<JoinHandle<Option<Answer>>>);

impl Request {
    /// The answer; never, while nothing is under way.
    async fn answer(&mut self) -> Option<Answer> {
        let Some(task) = &mut self.0 else { return std::future::pending().await };
        let answer = task.await.ok().flatten();
        self.0 = None;
        answer
    }

    fn abort(&mut self) {
        *self = Self(None);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Reads an answer; `None` when it breaks off.
async fn read(mut response: Response) -> Option<Answer> {
    let header = |name: HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (retry_after, date) = (header(RETRY_AFTER), header(DATE));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(Answer { status, retry_after, date, body })
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

pub(super) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
