//! The queue's state machine: no clock, no disk, no socket.

use super::{backoff::Backoff, journal::Entry};
use crate::{
    clock::Nanos,
    consent::{Permit, Refused, Share},
};
use protocol::{
    consent::{ConsentRecord, Modality},
    event::{BatchReply, Event, EventBatch, EventBody, MAX_BATCH_EVENTS, Verdict},
    problem::ErrorCode,
};
use serde::Serialize;
use std::{collections::VecDeque, time::Duration};
use uuid::Uuid;

/// Events kept while the server cannot be reached; the oldest go first, counted.
const MAX_QUEUED: usize = 50_000;
/// Refused events kept for the app to read.
const MAX_DEAD: usize = 100;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

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

/// An event the server will never take, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The event.
    pub event: Event,
    /// Why, for programs.
    pub code: ErrorCode,
    /// Why, for people.
    pub detail: String,
}

/// Counters of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OutboxStats {
    /// Events queued, ever.
    pub queued: u64,
    /// Events the server has.
    pub acknowledged: u64,
    /// Events the server refused.
    pub rejected: u64,
    /// Events dropped because the queue was full.
    pub dropped: u64,
    /// Events purged because consent was withdrawn.
    pub purged: u64,
    /// Events waiting.
    pub pending: u64,
}

/// The queue.
#[derive(Debug)]
pub struct Outbox {
    pending: VecDeque<Event>,
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
        let mut pending: VecDeque<Event> = VecDeque::new();
        let mut last_sequence = 0;
        for entry in entries {
            match entry {
                Entry::Queued { event } => {
                    last_sequence = last_sequence.max(event.sequence);
                    pending.push_back(*event);
                }
                Entry::Done { id } => pending.retain(|event| event.id != id),
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
        for &modality in &draft.modalities {
            let permit = permits.iter().find(|p| p.modality() == modality);
            let purpose = protocol::consent::Purpose::Share;
            permit.ok_or(Refused::NotGranted { modality, purpose })?.check()?;
        }
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
        self.stats.queued += 1;
        let mut entries = vec![Entry::Queued { event: Box::new(event.clone()) }];
        self.pending.push_back(event);
        // A batch under way stays whole: the oldest that is not part of it goes.
        if self.pending.len() > MAX_QUEUED
            && let Some(oldest) = self.pending.remove(self.in_flight)
        {
            self.stats.dropped += 1;
            entries.push(Entry::Done { id: oldest.id });
        }
        Ok(entries)
    }

    /// The next batch, if one is due and none is under way.
    pub fn next_batch(&mut self, now: Nanos, now_unix_ms: i64) -> Option<EventBatch> {
        if self.in_flight > 0 || self.pending.is_empty() || now < self.not_before {
            return None;
        }
        self.in_flight = self.pending.len().min(self.batch);
        let events = self.pending.range(..self.in_flight).cloned().collect();
        Some(EventBatch { sent_at_unix_ms: now_unix_ms, events })
    }

    /// The request under way was given up: its events wait again.
    pub fn abandon(&mut self) {
        self.in_flight = 0;
    }

    /// Takes the answer to the batch under way; gives the entries to write. `dice` in 0..=1 draws
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
        let queued = self.pending.iter().map(|e| Entry::Queued { event: Box::new(e.clone()) });
        std::iter::once(Entry::Sequence { last: self.last_sequence }).chain(queued).collect()
    }

    /// When to ask for a batch again; `None` when nothing waits.
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

    fn finish(&mut self, sent: usize, verdict: impl Fn(Uuid) -> Verdict) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut again = VecDeque::new();
        for event in self.pending.drain(..sent) {
            let id = event.id;
            match verdict(id) {
                Verdict::Retry => {
                    again.push_back(event);
                    continue;
                }
                Verdict::Stored | Verdict::Duplicate => self.stats.acknowledged += 1,
                Verdict::Rejected { code, detail } => {
                    self.stats.rejected += 1;
                    self.dead.push_back(DeadLetter { event, code, detail });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::Gate;
    use proptest::prelude::*;
    use protocol::{consent::Purpose, event::ItemVerdict};

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
        let batch = outbox.next_batch(Nanos::ZERO, 0).unwrap();
        assert!(outbox.next_batch(Nanos::ZERO, 0).is_none(), "one batch at a time");
        let rejected = Verdict::Rejected { code: ErrorCode::Invalid, detail: "bad".into() };
        let table = [Verdict::Stored, Verdict::Retry, rejected, Verdict::Duplicate];
        let done = outbox.reply(Nanos::ZERO, verdicts(&batch, |k| table[k].clone()), 1.0);
        assert_eq!(done.len(), 3);
        let stats = outbox.stats();
        assert_eq!((stats.acknowledged, stats.rejected, stats.pending), (2, 1, 1));
        assert_eq!(outbox.dead_letters().next().unwrap().detail, "bad");
        let again = outbox.next_batch(Nanos::ZERO, 0).unwrap();
        assert_eq!(again.events[0].id, batch.events[1].id);
    }

    #[test]
    fn s3_s4_offline_waits_longer_and_longer_and_drops_nothing() {
        let (mut outbox, _) = filled(2);
        let mut now = Nanos::ZERO;
        for expected_ms in [250, 500, 1_000] {
            outbox.next_batch(now, 0).unwrap();
            outbox.reply(now, Reply::Later(None), 1.0);
            assert!(outbox.next_batch(now, 0).is_none());
            assert_eq!(outbox.due().unwrap().since(now).as_millis(), expected_ms);
            now = outbox.due().unwrap();
        }
        outbox.next_batch(now, 0).unwrap();
        outbox.reply(now, Reply::Later(Some(Duration::from_secs(3_600))), 0.0);
        assert_eq!(outbox.due().unwrap().since(now), LONGEST_WAIT, "Retry-After is capped");
        assert_eq!(outbox.stats().pending, 2);
    }

    #[test]
    fn s4_a_batch_that_is_too_large_is_halved() {
        let (mut outbox, _) = filled(8);
        for expected in [8, 4, 2, 1] {
            assert_eq!(outbox.next_batch(Nanos::ZERO, 0).unwrap().events.len(), expected);
            outbox.reply(Nanos::ZERO, Reply::TooLarge, 0.0);
        }
        assert_eq!((outbox.stats().rejected, outbox.stats().pending), (1, 7));
    }

    #[test]
    fn s8_purging_leaves_only_the_sequence() {
        let (mut outbox, _) = filled(3);
        outbox.next_batch(Nanos::ZERO, 0);
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
                let Some(batch) = outbox.next_batch(now, 0) else { continue };
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
