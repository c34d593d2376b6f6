//! The queue's state machine: no clock, no disk, no socket.

use super::{backoff::Backoff, journal::Entry};
use crate::{
    clock::Nanos,
    consent::{Permit, Refused, Share},
};
use protocol::{
    consent::{ConsentRecord, Modality, Purpose},
    event::{BatchReply, Event, EventBatch, EventBody, MAX_BATCH_EVENTS, Verdict},
    offer::Money,
    outcome::{Outcome, OutcomeKind},
    problem::ErrorCode,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};
use uuid::Uuid;

/// Items kept while the server cannot be reached; the oldest go first, counted.
const MAX_QUEUED: usize = 50_000;
/// Refused events kept for the app to read.
const MAX_DEAD: usize = 100;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Something on its way to the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    /// Goes in batches.
    Event(Box<Event>),
    /// Goes by itself, in its turn.
    Outcome(Box<Outcome>),
}

impl Item {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Event(event) => event.id,
            Self::Outcome(outcome) => outcome.id,
        }
    }
}

/// What to send next.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// To `/v1/events`.
    Events(EventBatch),
    /// To `/v1/outcomes`.
    Outcome(Box<Outcome>),
}

/// The end of an interaction before the outbox gives it an id.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeDraft {
    /// The session it ended.
    pub session: Uuid,
    /// Wall time, Unix milliseconds.
    pub at_unix_ms: i64,
    /// How it ended.
    pub kind: OutcomeKind,
    /// The offer's sku.
    pub sku: String,
    /// The revision on screen; 0 = the offer as listed.
    pub revision: u32,
    /// What was paid, for a purchase.
    pub paid: Option<Money>,
}

/// An event before the outbox numbers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The session it happened in.
    pub session: Uuid,
    /// What it was derived from.
    pub modalities: Vec<Modality>,
    /// Session time.
    pub at: Nanos,
    /// Wall time, Unix milliseconds.
    pub at_unix_ms: i64,
    /// What happened.
    pub body: EventBody,
}

/// What came back for a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A verdict an item.
    Verdicts(BatchReply),
    /// The server refused the request as a whole: every item gets the same verdict.
    Refused(ErrorCode, String),
    /// The batch was too large for the server.
    TooLarge,
    /// No answer, or one that says "later"; the server may name the wait.
    Later(Option<Duration>),
}

/// An item the server will never take, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The item.
    pub item: Item,
    /// Why, for programs.
    pub code: ErrorCode,
    /// Why, for people.
    pub detail: String,
}

/// Counters of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OutboxStats {
    /// Items queued, ever.
    pub queued: u64,
    /// Items the server has.
    pub acknowledged: u64,
    /// Items the server refused.
    pub rejected: u64,
    /// Items dropped because the queue was full.
    pub dropped: u64,
    /// Items purged because consent was withdrawn.
    pub purged: u64,
    /// Items waiting.
    pub pending: u64,
}

/// The queue.
#[derive(Debug)]
pub struct Outbox {
    pending: VecDeque<Item>,
    dead: VecDeque<DeadLetter>,
    last_sequence: u64,
    batch: usize,
    in_flight: usize,
    not_before: Nanos,
    backoff: Backoff,
    stats: OutboxStats,
}

impl Outbox {
    /// Takes up what a journal holds.
    #[must_use]
    pub fn restore(entries: Vec<Entry>) -> Self {
        let mut pending: VecDeque<Item> = VecDeque::new();
        let mut last_sequence = 0;
        for entry in entries {
            match entry {
                Entry::Queued { item } => {
                    if let Item::Event(event) = &item {
                        last_sequence = last_sequence.max(event.sequence);
                    }
                    pending.push_back(item);
                }
                Entry::Done { id } => pending.retain(|item| item.id() != id),
                Entry::Sequence { last } => last_sequence = last_sequence.max(last),
            }
        }
        Self {
            pending,
            dead: VecDeque::new(),
            last_sequence,
            batch: MAX_BATCH_EVENTS,
            in_flight: 0,
            not_before: Nanos::ZERO,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            stats: OutboxStats::default(),
        }
    }

    /// Numbers an event and queues it. The entries must be on disk before the event counts.
    ///
    /// # Errors
    /// [`Refused`] unless a valid permit to share is given for each of the draft's modalities.
    pub fn queue(
        &mut self,
        draft: Draft,
        permits: &[Permit<Share>],
        consent: &ConsentRecord,
    ) -> Result<Vec<Entry>, Refused> {
        check(permits, &draft.modalities)?;
        self.last_sequence += 1;
        let event = Event {
            id: Uuid::now_v7(),
            sequence: self.last_sequence,
            device: consent.device,
            person: consent.person,
            session: draft.session,
            consent_record: consent.id,
            consent_epoch: consent.epoch,
            modalities: draft.modalities,
            at_unix_ms: draft.at_unix_ms,
            at_session_ms: draft.at.as_millis(),
            body: draft.body,
        };
        Ok(self.push(Item::Event(Box::new(event))))
    }

    /// Queues the end of an interaction.
    ///
    /// # Errors
    /// [`Refused`] unless a valid permit to share behaviour is given.
    pub fn queue_outcome(
        &mut self,
        draft: OutcomeDraft,
        permits: &[Permit<Share>],
        consent: &ConsentRecord,
    ) -> Result<Vec<Entry>, Refused> {
        check(permits, &[Modality::Behaviour])?;
        let outcome = Outcome {
            id: Uuid::now_v7(),
            device: consent.device,
            person: consent.person,
            session: draft.session,
            consent_record: consent.id,
            consent_epoch: consent.epoch,
            at_unix_ms: draft.at_unix_ms,
            kind: draft.kind,
            sku: draft.sku,
            revision: draft.revision,
            paid: draft.paid,
        };
        Ok(self.push(Item::Outcome(Box::new(outcome))))
    }

    /// What to send, if something is due and nothing is under way: a batch of events, or the
    /// outcome whose turn it is.
    pub fn next(&mut self, now: Nanos, now_unix_ms: i64) -> Option<Delivery> {
        if self.in_flight > 0 || now < self.not_before {
            return None;
        }
        if let Item::Outcome(outcome) = self.pending.front()? {
            self.in_flight = 1;
            return Some(Delivery::Outcome(outcome.clone()));
        }
        let events = self.pending.iter().map_while(|item| match item {
            Item::Event(event) => Some(event.as_ref().clone()),
            Item::Outcome(_) => None,
        });
        let events: Vec<Event> = events.take(self.batch).collect();
        self.in_flight = events.len();
        Some(Delivery::Events(EventBatch { sent_at_unix_ms: now_unix_ms, events }))
    }

    /// The request under way was given up: its events wait again.
    pub fn abandon(&mut self) {
        self.in_flight = 0;
    }

    /// Takes the answer to what is under way; gives the entries to write. `dice` in 0..=1 draws
    /// the wait before another try.
    pub fn reply(&mut self, now: Nanos, reply: Reply, dice: f64) -> Vec<Entry> {
        let sent = std::mem::take(&mut self.in_flight).min(self.pending.len());
        match reply {
            Reply::Later(wait) => {
                let wait = wait.unwrap_or_default().min(LONGEST_WAIT);
                self.not_before = now + wait.max(self.backoff.next(dice));
                Vec::new()
            }
            Reply::TooLarge if sent > 1 => {
                self.batch = (sent / 2).max(1);
                Vec::new()
            }
            Reply::TooLarge => self.finish(sent, |_| Verdict::Rejected {
                code: ErrorCode::TooLarge,
                detail: "larger than the server takes".into(),
            }),
            Reply::Refused(code, detail) => {
                self.finish(sent, |_| Verdict::Rejected { code, detail: detail.clone() })
            }
            Reply::Verdicts(verdicts) => {
                let entries = self.finish(sent, |id| {
                    let mut all = verdicts.verdicts.iter();
                    // What the server did not mention is sent again.
                    all.find(|v| v.id == id).map_or(Verdict::Retry, |v| v.verdict.clone())
                });
                if entries.is_empty() {
                    self.not_before = now + self.backoff.next(dice);
                } else {
                    self.backoff.reset();
                    self.not_before = now;
                }
                entries
            }
        }
    }

    /// Forgets everything unsent: consent was withdrawn. The entries replace the journal.
    pub fn purge(&mut self) -> Vec<Entry> {
        self.stats.purged += self.pending.len() as u64;
        self.pending.clear();
        self.dead.clear();
        self.in_flight = 0;
        self.snapshot()
    }

    /// Everything the journal must hold.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Entry> {
        let queued = self.pending.iter().map(|item| Entry::Queued { item: item.clone() });
        std::iter::once(Entry::Sequence { last: self.last_sequence }).chain(queued).collect()
    }

    /// When to ask again what to send; `None` when nothing waits.
    #[must_use]
    pub fn due(&self) -> Option<Nanos> {
        (!self.pending.is_empty() && self.in_flight == 0).then_some(self.not_before)
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> OutboxStats {
        OutboxStats { pending: self.pending.len() as u64, ..self.stats }
    }

    /// What the server refused, oldest first.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead.iter()
    }

    fn push(&mut self, item: Item) -> Vec<Entry> {
        self.stats.queued += 1;
        let mut entries = vec![Entry::Queued { item: item.clone() }];
        self.pending.push_back(item);
        // What is under way stays whole: the oldest that is not part of it goes.
        if self.pending.len() > MAX_QUEUED
            && let Some(oldest) = self.pending.remove(self.in_flight)
        {
            self.stats.dropped += 1;
            entries.push(Entry::Done { id: oldest.id() });
        }
        entries
    }

    fn finish(&mut self, sent: usize, verdict: impl Fn(Uuid) -> Verdict) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut again = VecDeque::new();
        for item in self.pending.drain(..sent) {
            let id = item.id();
            match verdict(id) {
                Verdict::Retry => {
                    again.push_back(item);
                    continue;
                }
                Verdict::Stored | Verdict::Duplicate => self.stats.acknowledged += 1,
                Verdict::Rejected { code, detail } => {
                    self.stats.rejected += 1;
                    self.dead.push_back(DeadLetter { item, code, detail });
                }
            }
            entries.push(Entry::Done { id });
        }
        again.append(&mut self.pending);
        self.pending = again;
        let excess = self.dead.len().saturating_sub(MAX_DEAD);
        self.dead.drain(..excess);
        entries
    }
}

fn check(permits: &[Permit<Share>], modalities: &[Modality]) -> Result<(), Refused> {
    let purpose = Purpose::Share;
    modalities.iter().try_for_each(|&modality| {
        let permit = permits.iter().find(|p| p.modality() == modality);
        permit.ok_or(Refused::NotGranted { modality, purpose })?.check()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::Gate;
    use proptest::prelude::*;
    use protocol::event::ItemVerdict;

    fn granted() -> (Gate, Vec<Permit<Share>>) {
        let gate = Gate::new(Uuid::from_u128(1), Uuid::from_u128(2));
        gate.grant("1", &[(Modality::Behaviour, Purpose::Share)], None, 0);
        let permits = vec![gate.permit(Modality::Behaviour).unwrap()];
        (gate, permits)
    }

    fn draft() -> Draft {
        Draft {
            session: Uuid::nil(),
            modalities: vec![Modality::Behaviour],
            at: Nanos::ZERO,
            at_unix_ms: 0,
            body: EventBody::SessionStarted { sdk_version: "test".into() },
        }
    }

    fn filled(count: usize) -> (Outbox, Vec<Entry>) {
        let (gate, permits) = granted();
        let mut outbox = Outbox::restore(Vec::new());
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.extend(outbox.queue(draft(), &permits, &gate.record()).unwrap());
        }
        (outbox, entries)
    }

    fn next_batch(outbox: &mut Outbox, now: Nanos, now_unix_ms: i64) -> Option<EventBatch> {
        match outbox.next(now, now_unix_ms)? {
            Delivery::Events(batch) => Some(batch),
            Delivery::Outcome(outcome) => panic!("{outcome:?}"),
        }
    }

    fn outcome() -> OutcomeDraft {
        OutcomeDraft {
            session: Uuid::nil(),
            at_unix_ms: 0,
            kind: OutcomeKind::Declined,
            sku: "a".into(),
            revision: 0,
            paid: None,
        }
    }

    #[test]
    fn an_outcome_goes_in_its_turn_and_by_itself() {
        let (gate, permits) = granted();
        let (mut outbox, _) = filled(2);
        outbox.queue_outcome(outcome(), &permits, &gate.record()).unwrap();
        outbox.queue(draft(), &permits, &gate.record()).unwrap();
        let batch = next_batch(&mut outbox, Nanos::ZERO, 0).unwrap();
        assert_eq!(batch.events.len(), 2);
        outbox.reply(Nanos::ZERO, verdicts(&batch, |_| Verdict::Stored), 0.0);
        let Some(Delivery::Outcome(sent)) = outbox.next(Nanos::ZERO, 0) else { panic!() };
        assert_eq!(sent.kind, OutcomeKind::Declined);
        let stored = ItemVerdict { id: sent.id, verdict: Verdict::Stored };
        outbox.reply(Nanos::ZERO, Reply::Verdicts(BatchReply { verdicts: vec![stored] }), 0.0);
        assert_eq!(next_batch(&mut outbox, Nanos::ZERO, 0).unwrap().events[0].sequence, 3);
        gate.withdraw(0);
        assert!(outbox.queue_outcome(outcome(), &permits, &gate.record()).is_err());
    }

    fn verdicts(batch: &EventBatch, verdict: impl Fn(usize) -> Verdict) -> Reply {
        let all = batch.events.iter().enumerate();
        Reply::Verdicts(BatchReply {
            verdicts: all.map(|(k, e)| ItemVerdict { id: e.id, verdict: verdict(k) }).collect(),
        })
    }

    #[test]
    fn c2_nothing_is_queued_without_a_valid_permit() {
        let (gate, permits) = granted();
        let mut outbox = Outbox::restore(Vec::new());
        let eda = Draft { modalities: vec![Modality::Eda], ..draft() };
        assert!(outbox.queue(eda, &permits, &gate.record()).is_err());
        gate.withdraw(0);
        assert_eq!(outbox.queue(draft(), &permits, &gate.record()), Err(Refused::Superseded));
        assert_eq!(outbox.stats(), OutboxStats::default());
    }

    #[test]
    fn s2_only_a_verdict_removes_an_event() {
        let (mut outbox, _) = filled(4);
        let batch = next_batch(&mut outbox, Nanos::ZERO, 0).unwrap();
        assert!(next_batch(&mut outbox, Nanos::ZERO, 0).is_none(), "one batch at a time");
        let rejected = Verdict::Rejected { code: ErrorCode::Invalid, detail: "bad".into() };
        let table = [Verdict::Stored, Verdict::Retry, rejected, Verdict::Duplicate];
        let done = outbox.reply(Nanos::ZERO, verdicts(&batch, |k| table[k].clone()), 1.0);
        assert_eq!(done.len(), 3);
        let stats = outbox.stats();
        assert_eq!((stats.acknowledged, stats.rejected, stats.pending), (2, 1, 1));
        assert_eq!(outbox.dead_letters().next().unwrap().detail, "bad");
        let again = next_batch(&mut outbox, Nanos::ZERO, 0).unwrap();
        assert_eq!(again.events[0].id, batch.events[1].id);
    }

    #[test]
    fn s3_s4_offline_waits_longer_and_longer_and_drops_nothing() {
        let (mut outbox, _) = filled(2);
        let mut now = Nanos::ZERO;
        for expected_ms in [250, 500, 1_000] {
            next_batch(&mut outbox, now, 0).unwrap();
            outbox.reply(now, Reply::Later(None), 1.0);
            assert!(next_batch(&mut outbox, now, 0).is_none());
            assert_eq!(outbox.due().unwrap().since(now).as_millis(), expected_ms);
            now = outbox.due().unwrap();
        }
        next_batch(&mut outbox, now, 0).unwrap();
        outbox.reply(now, Reply::Later(Some(Duration::from_secs(3_600))), 0.0);
        assert_eq!(outbox.due().unwrap().since(now), LONGEST_WAIT, "Retry-After is capped");
        assert_eq!(outbox.stats().pending, 2);
    }

    #[test]
    fn s4_a_batch_that_is_too_large_is_halved() {
        let (mut outbox, _) = filled(8);
        for expected in [8, 4, 2, 1] {
            assert_eq!(next_batch(&mut outbox, Nanos::ZERO, 0).unwrap().events.len(), expected);
            outbox.reply(Nanos::ZERO, Reply::TooLarge, 0.0);
        }
        assert_eq!((outbox.stats().rejected, outbox.stats().pending), (1, 7));
    }

    #[test]
    fn s8_purging_leaves_only_the_sequence() {
        let (mut outbox, _) = filled(3);
        next_batch(&mut outbox, Nanos::ZERO, 0);
        assert_eq!(outbox.purge(), [Entry::Sequence { last: 3 }]);
        assert_eq!((outbox.stats().purged, outbox.stats().pending), (3, 0));
        assert!(outbox.reply(Nanos::ZERO, Reply::Later(None), 0.0).is_empty());
        assert_eq!(Outbox::restore(outbox.snapshot()).last_sequence, 3);
    }

    proptest! {
        /// Whatever the server answers: nothing is lost, nothing counted twice, and the journal
        /// restores exactly what is pending.
        #[test]
        fn accounts_balance(steps in prop::collection::vec((0u8..5, 0usize..4), 1..60)) {
            let (gate, permits) = granted();
            let mut outbox = Outbox::restore(Vec::new());
            let mut journal = Vec::new();
            let mut now = Nanos::ZERO;
            for (kind, count) in steps {
                for _ in 0..count {
                    let entries = outbox.queue(draft(), &permits, &gate.record());
                    journal.extend(entries.unwrap());
                }
                now = now + Duration::from_secs(61);
                let Some(batch) = next_batch(&mut outbox, now, 0) else { continue };
                let reply = match kind {
                    0 => Reply::Later(None),
                    1 => Reply::TooLarge,
                    2 => Reply::Refused(ErrorCode::NoConsent, String::new()),
                    3 => verdicts(&batch, |_| Verdict::Stored),
                    _ => verdicts(&batch, |k| [Verdict::Retry, Verdict::Duplicate][k % 2].clone()),
                };
                journal.extend(outbox.reply(now, reply, 1.0));
            }
            let s = outbox.stats();
            prop_assert_eq!(s.queued, s.acknowledged + s.rejected + s.pending);
            let restored = Outbox::restore(journal);
            prop_assert_eq!(restored.pending, outbox.pending);
        }
    }
}
