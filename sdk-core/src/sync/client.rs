//! The conversation with the server: what to send next and what its answers come to. No socket, no
//! clock.
//!
//! Receipts go before events: while the server has not signed for the newest receipt, no event
//! leaves. One request is under way at a time, and each has a greater number than the one before,
//! so that a request that was given up cannot take effect after the next one.

mod taken;

use self::taken::Setback;
use super::{
    answer::{Answer, Meaning},
    backoff::Backoff,
    chain::Chain,
    draft::{Draft, QueueError, Sharing},
    limits::MAX_BATCH_BYTES,
    outbox::{Outbox, OutboxStats},
    trouble::{Effect, Trouble},
};
use crate::{
    clock::Nanos,
    consent::{Epoch, Gate},
    frames::FramesError,
};
use protocol::{
    consent::{ConsentBatch, ConsentRecord, ConsentState, MAX_BATCH_RECEIPTS, Receipt},
    event::SentAt,
    key::PublicKey,
    problem::ErrorCode,
    signing::{CONTENT_DIGEST, REQUEST_NUMBER, SIGNATURE, SIGNATURE_INPUT, SignedHeaders, Target},
};
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use uuid::Uuid;

const EVENTS: &str = "/v1/events";
const CONSENTS: &str = "/v1/consents";
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Where nothing may leave, this often somebody looks again: a grant ends by itself, items grow
/// old, a disk is mended.
const RECHECK: Duration = Duration::from_secs(60);
/// Request numbers taken from the server's word in a row before it is waited.
const MAX_REPLAYS: u32 = 3;

/// Who talks to whom.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Host and port of the server, as in the `Host` header, in lower case.
    pub authority: String,
    /// The session under way; times passed to the client are its session time.
    pub session: Uuid,
    /// How long events are gathered before they are sent.
    pub gather: Duration,
}

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path; there is no query.
    pub path: &'static str,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// What was counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SyncStats {
    /// The queue.
    pub outbox: OutboxStats,
    /// Requests that got no usable answer, or that the server refused as a whole.
    pub failures: u64,
    /// Requests whose number the server had seen before.
    pub replays: u64,
    /// Events refused at the queue: no permit to share, or no form that could be sent.
    pub not_permitted: u64,
    /// Whether the server has signed for the newest consent receipt.
    pub consent_posted: bool,
    /// Whether nothing is sent any more: see [`Trouble`].
    pub halted: bool,
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Receipts { last: u64, count: usize },
    Events,
}

/// The state of the conversation.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    gate: Gate,
    chain: Arc<dyn Chain>,
    outbox: Outbox,
    under_way: Option<UnderWay>,
    request_number: u64,
    replays: u32,
    backoff: Backoff,
    not_before: Nanos,
    /// Gathered until then.
    ready_at: Nanos,
    /// Events may not leave; looked at again then.
    blocked_until: Nanos,
    /// The disk failed: what it is owed is tried again then.
    mend_at: Nanos,
    flushing: bool,
    /// Receipts wait, when last looked.
    receipts_wait: bool,
    receipts_batch: usize,
    /// The chain is sent again: up to here it was.
    resend_after: Option<u64>,
    /// It was sent again since the server took a receipt, since it took an event.
    resent: (bool, bool),
    /// Up to here the chain was searched for a withdrawal; its epoch.
    searched: Option<u64>,
    withdrawn: Epoch,
    server_key: Option<PublicKey>,
    halted: Option<Trouble>,
    stats: SyncStats,
}

impl Client {
    /// Begins. The gate must have taken up its stored record already: an outbox is purged of what
    /// the gate's record does not permit.
    #[must_use]
    pub fn new(
        config: ClientConfig,
        gate: Gate,
        chain: Arc<dyn Chain>,
        outbox: Outbox,
        wall_unix_ms: i64,
    ) -> Self {
        let micros = u64::try_from(wall_unix_ms).unwrap_or(0).saturating_mul(1_000);
        let mut client = Self {
            config,
            gate,
            server_key: chain.head().map(|head| head.key),
            chain,
            outbox,
            under_way: None,
            request_number: micros.max(1),
            replays: 0,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            not_before: Nanos::ZERO,
            ready_at: Nanos::ZERO,
            blocked_until: Nanos::ZERO,
            mend_at: Nanos::ZERO,
            flushing: false,
            receipts_wait: false,
            receipts_batch: MAX_BATCH_RECEIPTS,
            resend_after: None,
            resent: (false, false),
            searched: None,
            withdrawn: Epoch(0),
            halted: None,
            stats: SyncStats::default(),
        };
        client.consent_changed(Nanos::ZERO);
        client
    }

    /// Queues events: one result a draft, and all of them on disk.
    pub fn enqueue(
        &mut self,
        now: Nanos,
        wall_unix_ms: i64,
        drafts: Vec<Draft>,
    ) -> Vec<Result<Uuid, QueueError>> {
        if self.halted == Some(Trouble::Erased) {
            return drafts.iter().map(|_| Err(QueueError::Erased)).collect();
        }
        if self.outbox.is_empty() {
            self.ready_at = now + self.config.gather;
        }
        self.gate.tick(wall_unix_ms);
        let queued = self.outbox.enqueue(drafts, &Sharing::of(&self.gate), wall_unix_ms);
        // What the disk is owed goes with the next write, or soon.
        self.mend_at = self.mend_at.max(now + self.config.gather);
        let refused = queued.iter().flat_map(|result| result.as_ref().err());
        let refused = refused.filter(|error| !matches!(error, QueueError::Disk(_))).count();
        self.stats.not_permitted += refused as u64;
        queued
    }

    /// Counts events that were lost before they could be queued.
    pub fn overrun(&mut self, count: u64) {
        self.outbox.overrun(count);
    }

    /// The person changed their mind: what is under way was agreed to under another record and is
    /// given up; the server is told at once.
    pub fn consent_changed(&mut self, now: Nanos) {
        self.under_way = None;
        self.outbox.abandon();
        self.not_before = self.not_before.min(now);
        self.blocked_until = now;
        let after = self.resend_after.unwrap_or_else(|| self.countersigned());
        self.receipts_wait = !self.chain.receipts_after(after).is_empty();
    }

    /// Consent was withdrawn: forgets what is queued, in memory and on disk, and tells the server.
    ///
    /// # Errors
    /// [`FramesError`]: forgotten here, and on disk as soon as it works.
    pub fn purge(&mut self, now: Nanos) -> Result<(), FramesError> {
        self.consent_changed(now);
        self.outbox.purge()
    }

    /// Whether to send at once what is queued, not waiting for more.
    pub fn flush(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// The next request, if one is due and none is under way.
    pub fn poll(&mut self, now: Nanos, wall_unix_ms: i64) -> Option<Outgoing> {
        if self.under_way.is_some() {
            return None;
        }
        if now >= self.mend_at && self.outbox.mend().is_err() {
            self.mend_at = now + RECHECK;
        }
        if self.halted.is_some() || now < self.not_before {
            return None;
        }
        self.gate.tick(wall_unix_ms);
        let record = self.review(wall_unix_ms);
        let receipts = self.receipts();
        self.receipts_wait = !receipts.is_empty();
        if let Some(last) = receipts.last().map(|receipt| receipt.record.epoch) {
            self.under_way = Some(UnderWay::Receipts { last, count: receipts.len() });
            return Some(self.request(CONSENTS, &ConsentBatch { receipts }));
        }
        // A record that did not reach the ledger has no receipt: nothing is proved.
        let proved = self.countersigned() == record.epoch;
        if record.state != ConsentState::Given || !proved {
            self.blocked_until = now + RECHECK;
            return None;
        }
        if now < self.events_due() {
            return None;
        }
        let sent_at = SentAt {
            unix_ms: wall_unix_ms,
            session: self.config.session,
            session_ms: now.as_millis(),
        };
        let batch = self.outbox.next(sent_at)?;
        self.under_way = Some(UnderWay::Events);
        Some(self.request(EVENTS, &batch))
    }

    /// Takes the answer to the request under way; `None` when there was none. `dice` in 0..=1
    /// draws the wait before another try.
    pub fn answer(
        &mut self,
        now: Nanos,
        wall_unix_ms: i64,
        answer: Option<Answer>,
        dice: f64,
    ) -> Vec<Effect> {
        let Some(sent) = self.under_way.take() else { return Vec::new() };
        let wall = SystemTime::UNIX_EPOCH
            + Duration::from_millis(u64::try_from(wall_unix_ms).unwrap_or(0));
        self.not_before = now;
        let meaning = Meaning::of(answer, wall);
        if !matches!(&meaning, Meaning::Refused(p) if p.code == ErrorCode::Replayed) {
            self.replays = 0;
        }
        let taken = match (meaning, sent) {
            (Meaning::Later(wait), _) => Err(Setback::wait(wait)),
            (Meaning::Refused(problem), _) => self.refused(problem, sent),
            (Meaning::Good(body), UnderWay::Receipts { last, .. }) => self.receipted(&body, last),
            (Meaning::Good(body), UnderWay::Events) => self.judged(&body),
        };
        self.outbox.abandon();
        self.ready_at = now + self.config.gather;
        match taken {
            Ok(effects) => {
                self.backoff.reset();
                effects
            }
            Err(setback) => self.set_back(now, setback, dice),
        }
    }

    /// When to ask again what to send; `None` while a request is under way or nothing waits.
    #[must_use]
    pub fn due(&self) -> Option<Nanos> {
        if self.under_way.is_some() {
            return None;
        }
        let disk = self.outbox.owes().then_some(self.mend_at);
        if self.halted.is_some() {
            return disk;
        }
        let receipts = self.receipts_wait.then_some(self.not_before);
        let events = (!self.outbox.is_empty())
            .then(|| self.events_due().max(self.not_before).max(self.blocked_until));
        [disk, receipts, events].into_iter().flatten().min()
    }

    /// Whether the server has everything.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outbox.is_empty() && !self.receipts_wait
    }

    /// The queue.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Forgets the dead letters: the app has read them.
    ///
    /// # Errors
    /// [`FramesError`]: forgotten here, and on disk as soon as it works.
    pub fn clear_dead_letters(&mut self) -> Result<(), FramesError> {
        self.outbox.clear_dead_letters()
    }

    /// Why nothing is sent any more.
    #[must_use]
    pub const fn halted(&self) -> Option<&Trouble> {
        self.halted.as_ref()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> SyncStats {
        SyncStats {
            outbox: self.outbox.stats(),
            consent_posted: !self.receipts_wait,
            halted: self.halted.is_some(),
            ..self.stats
        }
    }
}

impl Client {
    /// Looks at the queue again under the record in force (C2), withdrawals since then included.
    fn review(&mut self, wall_unix_ms: i64) -> ConsentRecord {
        let record = self.gate.record();
        if self.searched != Some(record.epoch) {
            let oldest = self.outbox.oldest_epoch().map_or(record.epoch, |epoch| epoch.0);
            let withdrawals = self.chain.receipts_after(oldest).into_iter();
            let withdrawals = withdrawals.filter(|r| r.record.state == ConsentState::Withdrawn);
            self.withdrawn = Epoch(withdrawals.map(|r| r.record.epoch).max().unwrap_or(0));
            self.searched = Some(record.epoch);
        }
        // A disk that fails is counted there; what is purged is gone from memory in any case.
        let _ = self.outbox.review(&record, self.withdrawn, wall_unix_ms);
        record
    }

    /// Up to where the server has signed.
    fn countersigned(&self) -> u64 {
        self.chain.head().map_or(0, |head| head.epoch)
    }

    /// The next receipts to send, as many as one request carries.
    fn receipts(&mut self) -> Vec<Receipt> {
        let after = self.resend_after.unwrap_or_else(|| self.countersigned());
        let mut receipts = self.chain.receipts_after(after);
        if receipts.is_empty() {
            self.resend_after = None;
        }
        let mut bytes = 0;
        let fitting = receipts.iter().take(self.receipts_batch).take_while(|receipt| {
            bytes += serde_json::to_vec(receipt).map_or(0, |json| json.len() + 1);
            bytes <= MAX_BATCH_BYTES
        });
        let fitting = fitting.count().max(1);
        receipts.truncate(fitting);
        receipts
    }

    fn events_due(&self) -> Nanos {
        let at_once = self.flushing || self.outbox.fills_batch();
        if at_once { self.not_before } else { self.ready_at }
    }

    fn request(&mut self, path: &'static str, body: &impl Serialize) -> Outgoing {
        // Every body of the protocol has a JSON form: numbers were checked when it was queued.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let authority = &self.config.authority;
        let target = Target { method: "POST", authority, path, query: "" };
        let signed = SignedHeaders::sign(&self.chain.signer(), &target, &body, self.request_number);
        self.request_number = self.request_number.saturating_add(1);
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            (CONTENT_DIGEST, signed.content_digest),
            (REQUEST_NUMBER, signed.request_number),
            (SIGNATURE_INPUT, signed.signature_input),
            (SIGNATURE, signed.signature),
        ];
        Outgoing { method: "POST", path, headers, body }
    }
}
