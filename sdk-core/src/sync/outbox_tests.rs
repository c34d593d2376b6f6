use super::{
    Draft, Limits, QueueError, Reply, Sharing,
    testing::{Disk, draft, draft_of, granted},
};
use crate::consent::{Epoch, Refused};
use protocol::{
    consent::{Modality, Purpose},
    event::{BatchReply, EventBatch, EventBody, ItemVerdict, MAX_BODY_BYTES, SentAt, Verdict},
    problem::ErrorCode,
};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn at(unix_ms: i64) -> SentAt {
    SentAt { unix_ms, session: Uuid::nil(), session_ms: 0 }
}

fn verdicts(batch: &EventBatch, verdict: impl Fn(usize) -> Verdict) -> Reply {
    let all = batch.events.iter().enumerate();
    let verdicts = all.map(|(k, e)| ItemVerdict { id: e.id, verdict: verdict(k) }).collect();
    Reply::Verdicts(BatchReply { verdicts })
}

fn filled(disk: &Disk, count: usize) -> super::Outbox {
    let gate = granted();
    let mut outbox = disk.outbox(Limits::default());
    let queued = outbox.enqueue(vec![draft(&gate); count], &Sharing::of(&gate), 0);
    assert!(queued.iter().all(Result::is_ok));
    outbox
}

#[test]
fn s1_an_id_and_a_number_and_on_disk_with_one_write() {
    let disk = Disk::default();
    let outbox = filled(&disk, 3);
    assert_eq!(disk.appends(), 1);
    let numbers: Vec<u64> = outbox.waiting().iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(outbox.waiting().iter().all(|event| event.id.get_version_num() == 7));
    assert_eq!(disk.outbox(Limits::default()).waiting(), outbox.waiting());
}

#[test]
fn s1_a_full_disk_queues_nothing_and_says_what_to_do() {
    let (disk, gate) = (Disk::default(), granted());
    let mut outbox = filled(&disk, 1);
    disk.fails(true);
    let error = outbox.enqueue(vec![draft(&gate); 2], &Sharing::of(&gate), 0).remove(1);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("not queued: the disk is full; make room"), "{text}");
    assert_eq!((outbox.stats().pending, outbox.stats().disk_failures), (1, 1));
    // Sending goes on, and what the torn write left behind does not come back to life.
    assert_eq!(outbox.next(at(0)).unwrap().events.len(), 1);
    outbox.abandon();
    disk.fails(false);
    outbox.mend().unwrap();
    assert_eq!(disk.outbox(Limits::default()).stats().restored, 1);
}

#[test]
fn s2_only_a_verdict_of_its_own_removes_an_event() {
    let disk = Disk::default();
    let mut outbox = filled(&disk, 5);
    let batch = outbox.next(at(0)).unwrap();
    assert!(outbox.next(at(0)).is_none(), "one batch at a time");
    let rejected = Verdict::Rejected { code: ErrorCode::Invalid, detail: "bad".into() };
    let table = [Verdict::Stored, Verdict::Retry, rejected, Verdict::Duplicate];
    let Reply::Verdicts(mut reply) = verdicts(&batch, |k| table[k.min(3)].clone()) else {
        panic!()
    };
    reply.verdicts.truncate(4);
    assert!(outbox.reply(Reply::Verdicts(reply)).unwrap());
    let stats = outbox.stats();
    assert_eq!((stats.acknowledged, stats.rejected, stats.pending), (2, 1, 2));
    let again: Vec<u64> = outbox.next(at(0)).unwrap().events.iter().map(|e| e.sequence).collect();
    assert_eq!(again, [2, 5], "told to retry, or not told anything");
    // The dead letter is there after a restart, until the app has read it.
    let mut restored = disk.outbox(Limits::default());
    assert_eq!(restored.dead_letters().next().unwrap().detail, "bad");
    restored.clear_dead_letters().unwrap();
    assert_eq!(disk.outbox(Limits::default()).stats().dead, 0);
}

#[test]
fn s3_each_cap_is_counted_and_told() {
    let check = |limits: Limits, wall, expected: (u64, u64, u64)| {
        let (disk, gate) = (Disk::default(), granted());
        let mut outbox = disk.outbox(limits);
        for k in 0..4 {
            let _ = outbox.enqueue(vec![draft(&gate)], &Sharing::of(&gate), k);
        }
        let told = outbox.next(at(wall)).map_or(outbox.stats().dropped, |batch| batch.dropped);
        let drops = disk.outbox(limits).stats().drops;
        assert_eq!((drops.items, drops.bytes, drops.age), expected);
        assert_eq!(told, drops.total());
    };
    let wide = Limits::default();
    check(wide, 0, (0, 0, 0));
    check(Limits { items: 3, ..wide }, 0, (1, 0, 0));
    check(Limits { bytes: 1, ..wide }, 0, (0, 3, 0));
    check(wide, 30 * DAY_MS + 1, (0, 0, 1));
    check(Limits { age: Duration::ZERO, ..wide }, 100, (0, 0, 4));
}

#[test]
fn s3_a_clock_set_back_ages_nothing_and_makes_nothing_younger() {
    let disk = Disk::default();
    let mut outbox = filled(&disk, 1);
    assert!(outbox.next(at(29 * DAY_MS)).is_some());
    outbox.abandon();
    let mut outbox = disk.outbox(Limits::default());
    assert!(outbox.next(at(-5 * DAY_MS)).is_some());
    outbox.abandon();
    assert!(outbox.next(at(31 * DAY_MS)).is_none());
    assert_eq!(outbox.stats().drops.age, 1);
}

#[test]
fn s4_a_batch_that_is_too_large_is_halved_and_grows_back() {
    let disk = Disk::default();
    let mut outbox = filled(&disk, 40);
    for expected in [40, 20, 10, 5, 2, 1] {
        assert_eq!(outbox.next(at(0)).unwrap().events.len(), expected);
        outbox.reply(Reply::Bad(ErrorCode::TooLarge, "big".into())).unwrap();
    }
    assert_eq!((outbox.stats().rejected, outbox.stats().pending), (1, 39));
    let mut sizes = Vec::new();
    while let Some(batch) = outbox.next(at(0)) {
        sizes.push(batch.events.len());
        outbox.reply(verdicts(&batch, |_| Verdict::Stored)).unwrap();
    }
    assert_eq!(sizes, [1, 2, 3, 4, 5, 6, 7, 8, 3]);
}

fn heavy(gate: &crate::consent::Gate, bytes: usize) -> Draft {
    Draft { body: EventBody::SessionStarted { sdk_version: "x".repeat(bytes) }, ..draft(gate) }
}

#[test]
fn s4_no_request_is_larger_than_the_server_takes() {
    let (disk, gate) = (Disk::default(), granted());
    let mut outbox = disk.outbox(Limits::default());
    let queued = outbox.enqueue(vec![heavy(&gate, 300_000); 7], &Sharing::of(&gate), i64::MAX);
    assert!(queued.iter().all(Result::is_ok));
    while let Some(batch) = outbox.next(SentAt { session_ms: u64::MAX, ..at(i64::MAX) }) {
        assert!(serde_json::to_vec(&batch).unwrap().len() <= MAX_BODY_BYTES);
        assert!(batch.events.len() <= 3);
        outbox.reply(verdicts(&batch, |_| Verdict::Stored)).unwrap();
    }
    assert_eq!(outbox.stats().acknowledged, 7);
    let refused = outbox.enqueue(vec![heavy(&gate, MAX_BODY_BYTES)], &Sharing::of(&gate), 0);
    assert!(matches!(refused[0], Err(QueueError::TooLarge { .. })));
}

#[test]
fn s4_what_json_cannot_carry_is_refused_at_the_queue() {
    let (disk, gate) = (Disk::default(), granted());
    let mut outbox = disk.outbox(Limits::default());
    let values = BTreeMap::from([("eda_scl_mean_5s".to_owned(), f64::NAN)]);
    let body = EventBody::Features { values, coverage: 1.0 };
    let drafts = vec![Draft { body, ..draft(&gate) }, draft(&gate)];
    let queued = outbox.enqueue(drafts, &Sharing::of(&gate), 0);
    assert!(matches!(queued[0], Err(QueueError::NotJson)) && queued[1].is_ok());
    assert_eq!(disk.outbox(Limits::default()).stats().unreadable, 0);
}

#[test]
fn s7_what_cannot_be_read_is_skipped_and_its_numbers_are_not_used_again() {
    let disk = Disk::default();
    filled(&disk, 3);
    let mut frames = disk.frames();
    frames[2].truncate(20);
    frames.push(br#"{"entry":"of_a_later_version"}"#.to_vec());
    let mut outbox = super::Outbox::restore(Box::new(disk), &frames, Limits::default());
    let stats = outbox.stats();
    assert_eq!((stats.restored, stats.unreadable), (2, 2));
    let gate = granted();
    let _ = outbox.enqueue(vec![draft(&gate)], &Sharing::of(&gate), 0);
    assert!(outbox.waiting()[2].sequence > 3);
}

#[test]
fn s7_the_frames_stay_few() {
    let (disk, gate) = (Disk::default(), granted());
    let mut outbox = disk.outbox(Limits::default());
    for _ in 0..30 {
        let _ = outbox.enqueue(vec![draft(&gate); 100], &Sharing::of(&gate), 0);
        let batch = outbox.next(at(0)).unwrap();
        outbox.reply(verdicts(&batch, |_| Verdict::Stored)).unwrap();
        assert!(disk.frames().len() <= 1_300);
    }
    let last = outbox.enqueue(vec![draft(&gate)], &Sharing::of(&gate), 0).remove(0).unwrap();
    let restored = disk.outbox(Limits::default());
    assert_eq!((restored.waiting()[0].id, restored.waiting()[0].sequence), (last, 3_001));
}

#[test]
fn s8_c4_purging_leaves_only_the_sequence() {
    let disk = Disk::default();
    let mut outbox = filled(&disk, 3);
    outbox.next(at(0)).unwrap();
    let bad = Reply::Bad(ErrorCode::Invalid, String::new());
    assert!(disk.holds("of behaviour"));
    outbox.purge().unwrap();
    assert!(!disk.holds("of behaviour"));
    assert_eq!(disk.frames().len(), 1);
    assert_eq!((outbox.stats().purged, outbox.stats().pending), (3, 0));
    assert!(!outbox.reply(bad).unwrap(), "an answer that comes too late");
    let gate = granted();
    let mut restored = disk.outbox(Limits::default());
    let _ = restored.enqueue(vec![draft(&gate)], &Sharing::of(&gate), 0);
    assert_eq!(restored.waiting()[0].sequence, 4);
}

#[test]
fn c2_nothing_is_queued_without_a_valid_permit() {
    let (disk, gate) = (Disk::default(), granted());
    let mut outbox = disk.outbox(Limits::default());
    let mut check = |draft: Draft, sharing: &Sharing, expected: Refused| match outbox
        .enqueue(vec![draft], sharing, 0)
        .remove(0)
    {
        Err(QueueError::Refused(refused)) => assert_eq!(refused, expected),
        other => panic!("{other:?}"),
    };
    let (modality, purpose) = (Modality::Hrv, Purpose::Share);
    let missing = Refused::NotGranted { modality, purpose };
    check(draft_of(&gate, Modality::Hrv), &Sharing::of(&gate), missing);
    let (old, sharing) = (draft(&gate), Sharing::of(&gate));
    gate.grant(&super::testing::SHARED, None, 0).unwrap();
    check(draft(&gate), &sharing, Refused::Superseded);
    check(old, &Sharing::of(&gate), Refused::Superseded);
    gate.withdraw(0).unwrap();
    let unnamed = Draft { modalities: vec![], ..draft(&gate) };
    let missing = Refused::NotGranted { modality: Modality::Behaviour, purpose };
    check(unnamed, &Sharing::of(&gate), missing);
    assert_eq!((outbox.stats().queued, disk.frames().len()), (0, 0));
}

#[test]
fn c2_each_item_is_looked_at_again_before_it_leaves() {
    let (disk, gate) = (Disk::default(), granted());
    let mut outbox = disk.outbox(Limits::default());
    let drafts = vec![draft_of(&gate, Modality::Eda), draft(&gate)];
    let _ = outbox.enqueue(drafts, &Sharing::of(&gate), 0);
    gate.pause(1).unwrap();
    outbox.review(&gate.record(), Epoch(0), 1).unwrap();
    assert_eq!(outbox.stats().pending, 2, "a pause keeps");
    gate.grant(&super::testing::SHARED[..1], Some(500), 2).unwrap();
    outbox.review(&gate.record(), Epoch(0), 2).unwrap();
    assert_eq!((outbox.stats().pending, outbox.stats().purged), (1, 1));
    assert!(!disk.holds("of eda") && disk.holds("of behaviour"), "gone from the disk as well");
    // The grant ends by itself; a clock set back extends nothing (C6).
    outbox.review(&gate.record(), Epoch(0), 500).unwrap();
    assert_eq!(outbox.stats().pending, 0);
}
