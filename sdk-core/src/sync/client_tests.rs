#![allow(clippy::unwrap_used, reason = "tests only")]

use super::{
    Answer, Chain as _, Client, ClientConfig, Effect, Limits, Outgoing, QueueError, Trouble,
    testing::{Disk, MemoryChain, SHARED, Server, draft, person, problem},
};
use crate::{clock::Nanos, consent::Gate};
use proptest::prelude::*;
use protocol::{
    consent::{ConsentBatch, MAX_BATCH_RECEIPTS},
    event::EventBatch,
    key::SigningKey,
    problem::ErrorCode,
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

const HOST: &str = "attune.example";
const WALL: i64 = 1_700_000_000_000;
const EVENTS: &str = "/v1/events";
const CONSENTS: &str = "/v1/consents";

struct Device {
    gate: Gate,
    chain: Arc<MemoryChain>,
    disk: Disk,
    client: Client,
    server: Server,
    now: Nanos,
}

impl Device {
    fn new() -> Self {
        let (gate, chain) = person();
        let disk = Disk::default();
        let client = client(&gate, &chain, &disk, WALL);
        Self { gate, chain, disk, client, server: Server::new(HOST), now: Nanos::ZERO }
    }

    /// Another process, a minute later.
    fn restart(&mut self) {
        self.client = client(&self.gate, &self.chain, &self.disk, WALL + 60_000);
        self.now = Nanos::ZERO;
    }

    fn queue(&mut self, count: usize) {
        let drafts = vec![draft(&self.gate); count];
        let queued = self.client.enqueue(self.now, WALL, drafts);
        assert!(queued.iter().all(Result::is_ok), "{queued:?}");
    }

    /// The next request, at its time.
    fn poll(&mut self) -> Option<Outgoing> {
        self.now = self.now.max(self.client.due()?);
        self.client.poll(self.now, WALL)
    }

    fn answer(&mut self, answer: Answer) -> Vec<Effect> {
        self.client.answer(self.now, WALL, Some(answer), 1.0)
    }

    /// The next request, taken by the server; its path.
    fn step(&mut self) -> Option<&'static str> {
        let request = self.poll()?;
        let answer = self.server.take(&request);
        self.answer(answer);
        Some(request.path)
    }

    fn run(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.step()).take(50).collect()
    }

    /// The next request gets this answer; what the client says to it.
    fn trouble(&mut self, answer: Answer) -> Option<Trouble> {
        self.poll().unwrap();
        match self.answer(answer).pop()? {
            Effect::Trouble(trouble) => Some(trouble),
            Effect::Countersigned(_) => None,
        }
    }
}

fn client(gate: &Gate, chain: &Arc<MemoryChain>, disk: &Disk, wall: i64) -> Client {
    let config = ClientConfig {
        authority: HOST.into(),
        session: Uuid::from_u128(3),
        gather: Duration::from_millis(200),
    };
    let chain = Arc::clone(chain) as Arc<dyn super::Chain>;
    Client::new(config, gate.clone(), chain, disk.outbox(Limits::default()), wall)
}

#[test]
fn c2_receipts_go_before_events() {
    let mut device = Device::new();
    device.queue(3);
    assert_eq!(device.run(), [CONSENTS, EVENTS]);
    assert_eq!(device.server.events.len(), 3);
    assert_eq!(device.chain.head().unwrap().epoch, 1);
    assert!(device.client.is_done() && device.client.due().is_none());
    // And again after each change.
    device.gate.grant(&SHARED, None, WALL).unwrap();
    device.client.consent_changed(device.now);
    device.queue(1);
    assert_eq!(device.run(), [CONSENTS, EVENTS]);
}

#[test]
fn c2_without_the_servers_signature_no_event_leaves() {
    let mut device = Device::new();
    device.queue(1);
    for _ in 0..20 {
        let request = device.poll().unwrap();
        assert_eq!(request.path, CONSENTS);
        device.answer(Answer {
            status: 200,
            body: b"<html>log in</html>".into(),
            ..Answer::default()
        });
    }
    assert_eq!(device.client.stats().failures, 20);
    assert_eq!(device.run(), [CONSENTS, EVENTS]);
}

#[test]
fn many_receipts_follow_one_another_with_the_withdrawal_last() {
    let mut device = Device::new();
    for _ in 0..MAX_BATCH_RECEIPTS {
        device.gate.grant(&SHARED, None, WALL).unwrap();
    }
    device.gate.withdraw(WALL).unwrap();
    device.client.consent_changed(device.now);
    let mut sent = Vec::new();
    while let Some(request) = device.poll() {
        let batch: ConsentBatch = serde_json::from_slice(&request.body).unwrap();
        sent.extend(batch.receipts.iter().map(|receipt| receipt.record.epoch));
        let answer = device.server.take(&request);
        device.answer(answer);
    }
    assert_eq!(sent, (1..=502).collect::<Vec<u64>>());
    assert!(device.client.stats().consent_posted);
}

#[test]
fn s8_c4_what_is_under_way_is_given_up_and_the_withdrawal_goes_first() {
    let mut device = Device::new();
    device.queue(3);
    device.step().unwrap();
    let late = device.poll().unwrap();
    assert_eq!(late.path, EVENTS);
    device.gate.withdraw(WALL).unwrap();
    device.client.purge(device.now).unwrap();
    assert!(!device.disk.holds("of behaviour"));
    assert!(device.client.answer(device.now, WALL, Some(Answer::default()), 0.0).is_empty());
    assert_eq!(device.run(), [CONSENTS]);
    // The proxy delivers the batch that was given up: its number is too low by now.
    assert_eq!(device.server.take(&late).status, 401);
    assert!(device.server.events.is_empty());
}

#[test]
fn s8_c4_killed_before_the_purge_and_granted_anew_nothing_old_leaves() {
    let mut device = Device::new();
    device.queue(3);
    device.gate.withdraw(WALL).unwrap();
    device.gate.grant(&SHARED, None, WALL).unwrap();
    device.restart();
    device.queue(1);
    device.run();
    assert_eq!(device.server.events.len(), 1);
    assert_eq!(device.client.stats().outbox.purged, 3);
    assert!(device.disk.outbox(Limits::default()).is_empty());
}

#[test]
fn c5_paused_keeps_everything_and_sends_only_receipts() {
    let mut device = Device::new();
    device.queue(2);
    device.gate.pause(WALL).unwrap();
    device.client.consent_changed(device.now);
    assert_eq!(device.run(), [CONSENTS]);
    assert!(device.client.due().unwrap() > device.now, "and does not spin");
    device.gate.unpause(WALL).unwrap();
    device.client.consent_changed(device.now);
    assert_eq!(device.run(), [CONSENTS, EVENTS]);
}

#[test]
fn s4_waits_grow_and_the_servers_wish_comes_on_top() {
    let mut device = Device::new();
    for expected_ms in [250, 500, 1_000] {
        device.poll().unwrap();
        device.client.answer(device.now, WALL, None, 1.0);
        assert_eq!(device.client.due().unwrap().since(device.now).as_millis(), expected_ms);
    }
    device.poll().unwrap();
    let retry_after = Some("30".to_owned());
    device.answer(Answer { status: 503, retry_after, ..Answer::default() });
    assert_eq!(device.client.due().unwrap().since(device.now).as_millis(), 32_000);
    // A change of mind does not wait.
    device.gate.withdraw(WALL).unwrap();
    device.client.consent_changed(device.now);
    assert_eq!(device.client.due(), Some(device.now));
}

#[test]
fn s4_events_are_gathered_and_a_drain_does_not_wait() {
    let mut device = Device::new();
    device.step().unwrap();
    device.now = device.now + Duration::from_secs(1);
    device.queue(1);
    assert_eq!(device.client.due().unwrap().since(device.now).as_millis(), 200);
    device.client.flush(true);
    let before = device.now;
    assert_eq!((device.step(), device.now), (Some(EVENTS), before));
}

#[test]
fn s6_a_batch_says_what_both_clocks_show() {
    let mut device = Device::new();
    device.queue(1);
    device.step().unwrap();
    let request = device.poll().unwrap();
    let batch: EventBatch = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((batch.sent_at.unix_ms, batch.sent_at.session_ms), (WALL, device.now.as_millis()));
    assert_eq!(batch.sent_at.session, Uuid::from_u128(3));
}

#[test]
fn a_number_that_the_server_has_seen_is_raised_at_once_but_not_forever() {
    let mut device = Device::new();
    device.server.last_request = u64::try_from(WALL).unwrap() * 2_000;
    assert_eq!(device.run(), [CONSENTS, CONSENTS]);
    assert_eq!(device.now, Nanos::ZERO);
    assert_eq!(device.client.stats().replays, 1);
    device.gate.grant(&SHARED, None, WALL).unwrap();
    device.client.consent_changed(device.now);
    let replayed = || problem(ErrorCode::Replayed, Some(7));
    for _ in 0..3 {
        assert_eq!(device.trouble(replayed()), None);
    }
    let Some(Trouble::Refused { code, .. }) = device.trouble(replayed()) else { panic!() };
    assert_eq!(code, ErrorCode::Replayed);
    assert!(device.client.due().unwrap() > device.now);
}

#[test]
fn erased_purges_and_stops() {
    let mut device = Device::new();
    device.queue(2);
    assert_eq!(device.trouble(problem(ErrorCode::Erased, None)), Some(Trouble::Erased));
    assert!(device.client.due().is_none() && device.client.stats().halted);
    assert_eq!(device.disk.frames().len(), 1);
    let again = device.client.enqueue(device.now, WALL, vec![draft(&device.gate)]);
    assert!(matches!(again[0], Err(QueueError::Erased)));
}

#[test]
fn s3_a_portals_gone_is_not_ours() {
    let mut device = Device::new();
    device.queue(2);
    device.step().unwrap();
    for status in [200, 204, 302, 403, 404, 410, 511] {
        let body = b"<html>pay for wifi</html>".into();
        assert_eq!(device.trouble(Answer { status, body, ..Answer::default() }), None);
    }
    assert_eq!(device.client.stats().outbox.pending, 2);
    assert_eq!(device.run(), [EVENTS]);
}

#[test]
fn c8_another_key_of_the_server_stops_everything() {
    let mut device = Device::new();
    device.run();
    device.server.key = SigningKey::from_seed(&[10; 32]).unwrap();
    device.restart();
    device.gate.grant(&SHARED, None, WALL).unwrap();
    device.client.consent_changed(device.now);
    device.queue(1);
    assert_eq!(device.run(), [CONSENTS]);
    assert_eq!(device.client.halted(), Some(&Trouble::ServerKey));
    assert_eq!(device.client.stats().outbox.pending, 1, "kept, not sent");
}

#[test]
fn c8_a_ledger_cut_short_is_found_by_the_servers_head() {
    let mut device = Device::new();
    device.gate.grant(&SHARED, None, WALL).unwrap();
    device.client.consent_changed(device.now);
    device.run();
    device.chain.truncate(1);
    *device.chain.head.lock().unwrap() = None;
    device.restart();
    device.step().unwrap();
    assert_eq!(device.client.halted(), Some(&Trouble::Truncated));
}

#[test]
fn c8_a_signature_that_does_not_hold_is_not_taken() {
    let mut device = Device::new();
    let request = device.poll().unwrap();
    let mut answer = device.server.take(&request);
    let text = String::from_utf8(answer.body).unwrap();
    answer.body = text.replace("\"received_unix_ms\":5", "\"received_unix_ms\":6").into();
    assert_eq!(device.answer(answer), [Effect::Trouble(Trouble::BadHead)]);
    assert!(device.chain.head().is_none());
    assert_eq!(device.run(), [CONSENTS]);
}

#[test]
fn a_conflict_over_receipts_has_the_chain_sent_again_once() {
    let mut device = Device::new();
    device.run();
    device.gate.grant(&SHARED, None, WALL).unwrap();
    device.client.consent_changed(device.now);
    // The server's backup is older than the head it once signed.
    device.server.receipts.clear();
    assert_eq!(device.run(), [CONSENTS, CONSENTS]);
    assert_eq!(device.server.receipts.len(), 2);

    device.gate.grant(&SHARED, None, WALL).unwrap();
    device.client.consent_changed(device.now);
    assert_eq!(device.trouble(problem(ErrorCode::Conflict, None)), None);
    let last = device.trouble(problem(ErrorCode::Conflict, None));
    assert_eq!(last, Some(Trouble::ChainRefused));
    assert!(device.client.due().is_none());
}

#[test]
fn a_server_that_lost_the_receipts_gets_them_again() {
    let mut device = Device::new();
    device.run();
    device.server.receipts.clear();
    device.queue(1);
    assert_eq!(device.run(), [EVENTS, CONSENTS, EVENTS]);
    assert_eq!(device.server.events.len(), 1);
}

#[test]
fn s2_a_refusal_of_the_whole_deletes_nothing_but_the_one_at_fault() {
    let mut device = Device::new();
    device.queue(4);
    device.step().unwrap();
    for code in [ErrorCode::Unauthenticated, ErrorCode::NotFound] {
        assert!(device.trouble(problem(code, None)).is_some());
    }
    assert_eq!(device.client.stats().outbox.pending, 4);
    for expected in [4, 2, 1] {
        let request = device.poll().unwrap();
        let batch: EventBatch = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(batch.events.len(), expected);
        device.answer(problem(ErrorCode::Malformed, None));
    }
    device.run();
    assert_eq!(device.server.events.len(), 3);
    let stats = device.client.stats().outbox;
    assert_eq!((stats.rejected, stats.dead), (1, 1));
}

#[test]
fn a_disk_that_fails_while_forgetting_is_tried_again() {
    let mut device = Device::new();
    device.queue(1);
    device.disk.fails(true);
    device.gate.withdraw(WALL).unwrap();
    assert!(device.client.purge(device.now).is_err());
    assert_eq!(device.run(), [CONSENTS], "and the server is told all the same");
    assert!(device.disk.holds("of behaviour"));
    device.disk.fails(false);
    device.now = device.client.due().unwrap();
    assert!(device.client.poll(device.now, WALL).is_none());
    assert!(!device.disk.holds("of behaviour"));
    assert!(device.client.due().is_none());
}

proptest! {
    /// Whatever answers, the client keeps what it has and asks again.
    #[test]
    fn s3_any_answer_loses_nothing(answers in prop::collection::vec(
        (any::<u16>(), prop::collection::vec(any::<u8>(), 0..80), prop::option::of(".{0,12}")), 1..20))
    {
        let mut device = Device::new();
        device.queue(3);
        for (status, body, retry_after) in answers {
            let status = status % 600;
            prop_assume!(status != 413);
            let date = retry_after.clone();
            if device.poll().is_some() {
                device.answer(Answer { status, retry_after, date, body });
            }
        }
        prop_assert_eq!(device.client.stats().outbox.pending, 3);
        device.run();
        prop_assert_eq!(device.server.events.len(), 3);
    }
}
