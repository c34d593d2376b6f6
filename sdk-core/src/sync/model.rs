//! The outbox against a reference model, under everything that can happen to it.

use super::{
    Limits, Outbox, Reply, Sharing,
    testing::{Disk, PERSON, SHARED, draft_of},
};
use crate::consent::{Epoch, Gate};
use proptest::prelude::*;
use protocol::{
    consent::{ConsentState, Modality, NoticeRef, Purpose},
    event::{BatchReply, EventBatch, ItemVerdict, SentAt, Verdict},
    problem::ErrorCode,
};
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

const LIMITS: Limits = Limits {
    items: 12,
    bytes: 4_500,
    age: Duration::from_secs(60),
    dead_items: 3,
    dead_bytes: 2_000,
};

#[derive(Debug, Clone)]
enum Step {
    Enqueue(usize, bool),
    Next,
    Verdicts(Vec<u8>),
    Bad,
    Lose,
    Crash,
    Withdraw,
    Pause,
    Grant(bool),
    Clock(i64),
    Disk(bool),
    Overrun(u64),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1usize..6, any::<bool>()).prop_map(|(count, eda)| Step::Enqueue(count, eda)),
        4 => Just(Step::Next),
        4 => prop::collection::vec(0u8..4, 0..8).prop_map(Step::Verdicts),
        1 => Just(Step::Bad),
        1 => Just(Step::Lose),
        2 => Just(Step::Crash),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Pause),
        2 => any::<bool>().prop_map(Step::Grant),
        1 => (-100_000i64..100_000).prop_map(Step::Clock),
        1 => any::<bool>().prop_map(Step::Disk),
        1 => (0u64..3).prop_map(Step::Overrun),
        1 => Just(Step::Clear),
    ]
}

/// An item that the outbox has promised to keep.
#[derive(Debug, Clone, PartialEq)]
struct Promise {
    id: Uuid,
    eda: bool,
    epoch: Epoch,
}

struct Model {
    gate: Gate,
    disk: Disk,
    outbox: Outbox,
    wall: i64,
    promises: Vec<Promise>,
    under_way: Option<EventBatch>,
    /// Ever accepted, purged with the disk's word.
    known: HashSet<Uuid>,
    forgotten: HashSet<Uuid>,
    withdrawn: Epoch,
    newest_sequence: u64,
    drops_seen: u64,
    drops_told: u64,
    disk_has_failed: bool,
}

impl Model {
    fn new() -> Self {
        let gate = Gate::new(PERSON, Uuid::from_u128(2), NoticeRef::unknown());
        gate.grant(&SHARED, None, 0).unwrap();
        let disk = Disk::default();
        Self {
            outbox: disk.outbox(LIMITS),
            gate,
            disk,
            wall: 1_000_000,
            promises: Vec::new(),
            under_way: None,
            known: HashSet::new(),
            forgotten: HashSet::new(),
            withdrawn: Epoch(0),
            newest_sequence: 0,
            drops_seen: 0,
            drops_told: 0,
            disk_has_failed: false,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Enqueue(count, eda) => self.enqueue(count, eda),
            Step::Next => self.next(),
            Step::Verdicts(table) => self.verdicts(&table),
            Step::Bad => self.bad(),
            Step::Lose => self.lose(),
            Step::Crash => self.crash(),
            Step::Withdraw => {
                self.gate.withdraw(self.wall).unwrap();
                self.withdrawn = self.gate.epoch();
                self.under_way = None;
                if self.outbox.purge().is_ok() {
                    let old = self.known.iter().copied();
                    self.forgotten.extend(old);
                }
                self.promises.clear();
            }
            Step::Pause => drop(self.gate.pause(self.wall).unwrap()),
            Step::Grant(eda) => {
                let uses = if eda { &SHARED[..] } else { &SHARED[..1] };
                self.gate.grant(uses, None, self.wall).unwrap();
                self.lose();
            }
            Step::Clock(delta) => self.wall += delta,
            Step::Disk(fails) => {
                self.disk.fails(fails);
                self.disk_has_failed |= fails;
            }
            Step::Overrun(count) => {
                self.outbox.overrun(count);
                self.drops_seen += count;
            }
            Step::Clear => {
                let _ = self.outbox.clear_dead_letters();
                assert_eq!(self.outbox.dead_letters().count(), 0);
            }
        }
        self.settle_drops();
        self.check();
    }

    fn enqueue(&mut self, count: usize, eda: bool) {
        let modality = if eda { Modality::Eda } else { Modality::Behaviour };
        let drafts = vec![draft_of(&self.gate, modality); count];
        let permitted = self.gate.permit::<crate::consent::Share>(modality).is_ok();
        let results = self.outbox.enqueue(drafts, &Sharing::of(&self.gate), self.wall);
        assert_eq!(results.len(), count);
        for id in results.into_iter().flatten() {
            assert!(permitted, "queued without a permit");
            assert!(self.known.insert(id), "an id twice");
            self.promises.push(Promise { id, eda, epoch: self.gate.epoch() });
        }
    }

    /// S3: what is gone from the queue is counted, the oldest that is not under way first.
    fn settle_drops(&mut self) {
        let total = self.outbox.stats().dropped;
        let spared = self.under_way.as_ref().map_or(0, |batch| batch.events.len());
        for _ in self.drops_seen..total {
            assert!(self.promises.len() > spared, "dropped what is not there");
            self.promises.remove(spared);
        }
        self.drops_seen = total;
    }

    fn next(&mut self) {
        let record = self.gate.record();
        let reviewed = self.outbox.review(&record, self.withdrawn, self.wall);
        self.disk_has_failed |= reviewed.is_err();
        let shared = |modality| record.grants.iter().any(|grant| grant.modality == modality);
        let (behaviour, eda) = (shared(Modality::Behaviour), shared(Modality::Eda));
        self.promises.retain(|promise| {
            promise.epoch >= self.withdrawn && if promise.eda { eda } else { behaviour }
        });
        if record.state != ConsentState::Given {
            return;
        }
        let sent_at = SentAt { unix_ms: self.wall, session: Uuid::nil(), session_ms: 0 };
        let idle = self.under_way.is_none();
        let Some(batch) = self.outbox.next(sent_at) else {
            self.settle_drops();
            assert!(!idle || self.promises.is_empty(), "something waits and nothing is sent");
            return;
        };
        assert!(idle, "two batches at once");
        self.settle_drops();
        assert!(batch.dropped >= self.drops_told || self.disk_has_failed);
        self.drops_told = batch.dropped;
        for event in &batch.events {
            // C2, C4: nothing leaves that is not agreed to now.
            assert!(event.consent_epoch >= self.withdrawn.0 && !self.forgotten.contains(&event.id));
            for modality in &event.modalities {
                assert!(self.gate.permit::<crate::consent::Share>(*modality).is_ok());
            }
        }
        let sent: Vec<Uuid> = batch.events.iter().map(|event| event.id).collect();
        let promised = self.promises.iter().map(|promise| promise.id);
        assert_eq!(sent, promised.take(sent.len()).collect::<Vec<_>>(), "out of order");
        assert!(batch.events.is_sorted_by(|a, b| a.sequence < b.sequence));
        self.under_way = Some(batch);
    }

    fn verdicts(&mut self, table: &[u8]) {
        let Some(batch) = self.under_way.take() else { return };
        let verdict = |code: u8| match code {
            0 => Verdict::Stored,
            1 => Verdict::Duplicate,
            2 => Verdict::Retry,
            _ => Verdict::Rejected { code: ErrorCode::Invalid, detail: "no".into() },
        };
        let given: Vec<ItemVerdict> = batch
            .events
            .iter()
            .zip(table)
            .map(|(event, code)| ItemVerdict { id: event.id, verdict: verdict(*code) })
            .collect();
        // S2: deleted on a verdict of its own, and only then.
        for item in &given {
            if item.verdict != Verdict::Retry {
                self.promises.retain(|promise| promise.id != item.id);
            }
        }
        let _ = self.outbox.reply(Reply::Verdicts(BatchReply { verdicts: given }));
    }

    fn bad(&mut self) {
        let Some(batch) = self.under_way.take() else { return };
        let _ = self.outbox.reply(Reply::Bad(ErrorCode::TooLarge, "too large".into()));
        if let [only] = batch.events.as_slice() {
            self.promises.retain(|promise| promise.id != only.id);
            assert_eq!(self.outbox.dead_letters().last().unwrap().event.id, only.id);
        }
    }

    fn lose(&mut self) {
        self.outbox.abandon();
        self.under_way = None;
    }

    fn crash(&mut self) {
        let owed = self.outbox.owes();
        let before: Vec<_> = self.outbox.dead_letters().cloned().collect();
        self.under_way = None;
        self.disk.fails(false);
        self.outbox = self.disk.outbox(LIMITS);
        let now = self.outbox.waiting();
        let dropped = self.outbox.stats().dropped;
        if !owed {
            // What was under way is spared no more.
            self.promises.drain(..(dropped - self.drops_seen) as usize);
            let promised: Vec<Uuid> = self.promises.iter().map(|p| p.id).collect();
            let found: Vec<Uuid> = now.iter().map(|event| event.id).collect();
            assert_eq!(found, promised, "S1: not what was promised");
            assert!(self.outbox.dead_letters().eq(before.iter()));
        }
        assert!(now.iter().all(|event| !self.forgotten.contains(&event.id)), "C4");
        // What was owed to the disk comes back: sent twice at worst, dropped again, never lost.
        let back: HashSet<Uuid> = now.iter().map(|event| event.id).collect();
        let missing = self.promises.iter().filter(|promise| !back.contains(&promise.id)).count();
        assert!(missing as u64 <= dropped, "S1");
        self.known.extend(back);
        self.promises = now
            .iter()
            .map(|event| Promise {
                id: event.id,
                eda: event.modalities.contains(&Modality::Eda),
                epoch: Epoch(event.consent_epoch),
            })
            .collect();
        self.drops_seen = dropped;
    }

    fn check(&mut self) {
        let waiting = self.outbox.waiting();
        let stats = self.outbox.stats();
        // The next review purges what is not promised any more.
        assert!(waiting.len() >= self.promises.len(), "lost: {:?}", self.promises);
        assert!(waiting.is_sorted_by(|a, b| a.sequence < b.sequence), "sequence");
        let spared = self.under_way.as_ref().map_or(0, |batch| batch.events.len());
        assert!(waiting.len() <= LIMITS.items.max(spared + 1));
        assert!(stats.pending_bytes as usize <= LIMITS.bytes || waiting.len() <= spared + 1);
        assert!(self.outbox.dead_letters().count() <= LIMITS.dead_items);
        let json: usize = waiting.iter().map(|e| serde_json::to_vec(e).unwrap().len()).sum();
        assert_eq!(stats.pending_bytes, json as u64);
        if let Some(newest) = waiting.last() {
            self.newest_sequence = self.newest_sequence.max(newest.sequence);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn s1_s2_s3_s8_c2_c4_nothing_is_lost_and_nothing_withdrawn_leaves(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        let mut model = Model::new();
        for step in steps {
            model.take(step);
        }
    }

    #[test]
    fn s1_sequence_numbers_only_grow(steps in prop::collection::vec(0u8..4, 1..40)) {
        let disk = Disk::default();
        let gate = super::testing::granted();
        let mut outbox = disk.outbox(LIMITS);
        let mut last = 0;
        for step in steps {
            match step {
                0 => outbox = disk.outbox(LIMITS),
                1 => outbox.purge().unwrap(),
                _ => {
                    let drafts = vec![draft_of(&gate, Modality::Behaviour)];
                    let _ = outbox.enqueue(drafts, &Sharing::of(&gate), 0).remove(0).unwrap();
                    let newest = outbox.waiting().last().unwrap().sequence;
                    prop_assert_eq!(newest, last + 1);
                    last = newest;
                }
            }
        }
    }

    #[test]
    fn s7_any_frames_are_taken_up(frames in prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            Just(br#"{"entry":"done","id":"00000000-0000-0000-0000-000000000001"}"#.to_vec()),
            Just(br#"{"entry":"from_the_future","x":1}"#.to_vec()),
            any::<(u64, u64, i64)>().prop_map(|(last, items, latest)| format!(
                r#"{{"entry":"sequence","last":{last},"dropped":{{"items":{items}}},"latest_unix_ms":{latest}}}"#
            ).into_bytes()),
            any::<u64>().prop_map(|age| format!(
                r#"{{"entry":"dropped","dropped":{{"age":{age}}},"ids":[]}}"#
            ).into_bytes()),
        ], 0..20))
    {
        let disk = Disk::default();
        let gate = Gate::new(PERSON, Uuid::from_u128(2), NoticeRef::unknown());
        gate.grant(&[(Modality::Behaviour, Purpose::Share)], None, 0).unwrap();
        let mut outbox = Outbox::restore(Box::new(disk), &frames, Limits::default());
        let unreadable = outbox.stats().unreadable;
        prop_assert!(unreadable <= frames.len() as u64);
        let queued = outbox.enqueue(vec![draft_of(&gate, Modality::Behaviour)], &Sharing::of(&gate), 0);
        prop_assert!(queued[0].is_ok());
        let sent_at = SentAt { unix_ms: i64::MIN, session: Uuid::nil(), session_ms: 0 };
        prop_assert_eq!(outbox.next(sent_at).unwrap().events.len(), 1);
    }
}
