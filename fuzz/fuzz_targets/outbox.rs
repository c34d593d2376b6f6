//! The outbox and the conversation with the server: any frames on disk, then a short story of
//! what the person, the disk and the server do. Whatever happens, every item is accounted for.
//!
//! The input is lines: frames, an empty line, and steps, each a letter and what belongs to it.
#![no_main]

mod disk;

use disk::Disk;
use libfuzzer_sys::fuzz_target;
use protocol::{
    consent::{
        ConsentRecord, ConsentReply, ConsentState, Head, Modality, NoticeRef, Purpose, Receipt,
    },
    digest::Digest,
    event::{BatchReply, EventBatch, EventBody, ItemVerdict, SentAt, Verdict},
    key::SigningKey,
    problem::ErrorCode,
};
use sdk_core::{
    clock::Nanos,
    consent::{Epoch, Gate, Witness},
    frames::FramesError,
    sync::{
        Answer, Chain, Client, ClientConfig, Draft, Limits, Outbox, OutboxStats, Outgoing, Reply,
        Sharing,
    },
};
use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use uuid::Uuid;

const PERSON: Uuid = Uuid::from_u128(7);
const SESSION: Uuid = Uuid::from_u128(3);
const SHARED: [(Modality, Purpose); 2] =
    [(Modality::Behaviour, Purpose::Share), (Modality::Eda, Purpose::Share)];
const LIMITS: Limits = Limits {
    items: 12,
    bytes: 6_000,
    age: Duration::from_secs(60),
    dead_items: 3,
    dead_bytes: 2_000,
};
const MOST_LINES: usize = 96;

static DEVICE: LazyLock<Arc<SigningKey>> =
    LazyLock::new(|| Arc::new(SigningKey::from_seed(&[1; 32]).expect("a key")));
static SERVER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_seed(&[9; 32]).expect("a key"));

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n').take(MOST_LINES);
    let frames: Vec<Vec<u8>> =
        lines.by_ref().take_while(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    let steps: Vec<&[u8]> = lines.collect();
    queue(&Disk::holding(frames.clone()), &steps);
    converse(Disk::holding(frames), &steps);
});

/// The queue by itself, which takes any word for the server's.
fn queue(disk: &Disk, steps: &[&[u8]]) {
    let (gate, _) = person();
    let mut outbox = restore(disk);
    let (mut begun, mut wall, mut sent) = (outbox.stats(), 0_i64, Vec::new());
    for step in steps {
        let (letter, rest) = step.split_first().unwrap_or((&b' ', &[]));
        match letter {
            b'q' => drop(outbox.enqueue(drafts(&gate, rest), &Sharing::of(&gate), wall)),
            b'p' => {
                let sent_at = SentAt { unix_ms: wall, session: SESSION, session_ms: 0 };
                if let Some(batch) = outbox.next(sent_at) {
                    assert!(!batch.events.is_empty());
                    sent = batch.events.iter().map(|event| event.id).collect();
                }
            }
            b'v' => drop(outbox.reply(Reply::Verdicts(verdicts(&sent, rest)))),
            b'a' => {
                let reply = serde_json::from_slice(rest).map(Reply::Verdicts);
                let bad = || Reply::Bad(ErrorCode::Invalid, text(rest));
                drop(outbox.reply(reply.unwrap_or_else(|_| bad())));
            }
            b'l' => outbox.abandon(),
            b'g' | b'z' => {
                let granted = *letter == b'g';
                let changed = if granted { grant(&gate, rest, wall) } else { gate.pause(wall) };
                let record = changed.expect("a witness that works");
                drop(outbox.review(&record, Epoch(number(rest).unsigned_abs()), wall));
            }
            b'w' => drop(outbox.purge()),
            b'c' => drop(outbox.clear_dead_letters()),
            b'o' => outbox.overrun(number(rest).unsigned_abs()),
            b't' => wall = wall.saturating_add(number(rest)),
            b'd' => disk.toggle(),
            b'r' => {
                outbox = restore(disk);
                begun = outbox.stats();
            }
            _ => drop(outbox.mend()),
        }
        balance(&begun, &outbox.stats());
    }
}

/// The queue, in the hands of the client.
fn converse(disk: Disk, steps: &[&[u8]]) {
    let (gate, chain) = person();
    let talk = |wall| {
        let config = ClientConfig {
            authority: "attune.example".into(),
            session: SESSION,
            gather: Duration::from_millis(200),
        };
        let chain = Arc::clone(&chain) as Arc<dyn Chain>;
        let outbox = restore(&disk);
        let begun = outbox.stats();
        (Client::new(config, gate.clone(), chain, outbox, wall), begun)
    };
    let (mut now, mut wall, mut under_way) = (Nanos::ZERO, 0_i64, None::<Outgoing>);
    let (mut client, mut begun) = talk(wall);
    for step in steps {
        let (letter, rest) = step.split_first().unwrap_or((&b' ', &[]));
        let dice = f64::from(rest.first().copied().unwrap_or(0)) / 255.0;
        match letter {
            b'q' => drop(client.enqueue(now, wall, drafts(&gate, rest))),
            b'p' => {
                now = client.due().map_or(now, |due| due.max(now));
                if let Some(request) = client.poll(now, wall) {
                    permitted(&gate, &request);
                    under_way = Some(request);
                }
            }
            b'v' => {
                let good = under_way.take().map(|request| good(&chain, &request, rest));
                drop(client.answer(now, wall, good, dice));
            }
            b'a' | b'l' => {
                under_way = None;
                let answer = (*letter == b'a').then(|| answer(rest));
                drop(client.answer(now, wall, answer, dice));
            }
            b'g' | b'z' => {
                under_way = None;
                let granted = *letter == b'g';
                let changed = if granted { grant(&gate, rest, wall) } else { gate.pause(wall) };
                changed.expect("a witness that works");
                client.consent_changed(now);
            }
            b'w' => {
                under_way = None;
                gate.withdraw(wall).expect("a witness that works");
                let purged = client.purge(now);
                assert!(client.outbox().is_empty());
                assert!(purged.is_err() || restore(&disk).is_empty(), "left on disk");
            }
            b'c' => drop(client.clear_dead_letters()),
            b'o' => client.overrun(number(rest).unsigned_abs()),
            b't' => wall = wall.saturating_add(number(rest)),
            b'd' => disk.toggle(),
            b'r' => {
                (client, begun) = talk(wall);
                under_way = None;
            }
            _ => client.flush(rest.is_empty()),
        }
        balance(&begun, &client.stats().outbox);
        let asleep = under_way.is_none() && client.halted().is_none() && client.due().is_none();
        assert!(client.is_done() || !asleep, "nobody would send what waits");
    }
}

/// What leaves is agreed to.
fn permitted(gate: &Gate, request: &Outgoing) {
    if request.path == "/v1/consents" {
        return;
    }
    let record = gate.record();
    assert_eq!(record.state, ConsentState::Given, "events without consent");
    // What a damaged disk held may have no form that could be read: the server says so.
    let Ok(batch) = serde_json::from_slice::<EventBatch>(&request.body) else { return };
    for event in batch.events {
        assert_eq!((event.person, event.device), (record.person, record.device));
        assert!(!event.modalities.is_empty());
        let shared = |modality| record.grants.iter().any(|grant| grant.modality == modality);
        assert!(event.modalities.into_iter().all(shared), "shared without a grant");
    }
}

/// What came in is somewhere.
fn balance(begun: &OutboxStats, now: &OutboxStats) {
    let dropped = |stats: &OutboxStats| {
        let drops = stats.drops;
        drops.items.checked_add(drops.bytes)?.checked_add(drops.age)
    };
    // Counters from a damaged disk may stand at their end.
    if let (Some(before), Some(after)) = (dropped(begun), dropped(now)) {
        let gone = now.acknowledged + now.rejected + now.purged + (after - before);
        assert_eq!(begun.pending + now.queued, now.pending + gone);
    }
    assert!(now.pending > 0 || now.pending_bytes == 0);
    assert!(now.dead <= LIMITS.dead_items as u64);
}

fn restore(disk: &Disk) -> Outbox {
    let outbox = Outbox::restore(Box::new(disk.clone()), disk.frames(), LIMITS);
    assert!(outbox.stats().pending <= LIMITS.items as u64);
    outbox
}

fn drafts(gate: &Gate, counts: &[u8]) -> Vec<Draft> {
    let count = counts.first().map_or(1, |digit| usize::from(*digit % 8));
    let modality = if counts.len() > 1 { Modality::Eda } else { Modality::Behaviour };
    let draft = Draft {
        session: SESSION,
        epoch: gate.epoch(),
        modalities: vec![modality],
        at: Nanos::ZERO,
        at_unix_ms: 0,
        body: EventBody::SessionStarted { sdk_version: text(counts) },
    };
    vec![draft; count]
}

fn grant(
    gate: &Gate,
    rest: &[u8],
    wall: i64,
) -> Result<ConsentRecord, sdk_core::consent::ConsentError> {
    let expires = (!rest.is_empty()).then(|| wall.saturating_add(number(rest)));
    gate.grant(&SHARED[..1 + rest.len() % 2], expires, wall)
}

/// A status of three digits, a header, a bar, and a body.
fn answer(bytes: &[u8]) -> Answer {
    let (status, rest) = bytes.split_at(bytes.len().min(3));
    let mut parts = rest.splitn(2, |byte| *byte == b'|');
    let header = parts.next().map(text).filter(|text| !text.is_empty());
    let body = parts.next().unwrap_or_default().to_vec();
    let status = u16::try_from(number(status)).unwrap_or(0);
    Answer { status, retry_after: header.clone(), date: header, body }
}

/// What our server would say: a signature under the newest receipt, or verdicts.
fn good(chain: &MemoryChain, request: &Outgoing, letters: &[u8]) -> Answer {
    let body = if request.path == "/v1/consents" {
        let receipts = chain.receipts.lock().expect("receipts");
        let newest = receipts.last().expect("a receipt");
        let head = Head::sign(newest, 5, &SERVER).expect("a head");
        serde_json::to_vec(&ConsentReply { head })
    } else {
        let batch = serde_json::from_slice::<EventBatch>(&request.body);
        let events = batch.map(|batch| batch.events).unwrap_or_default();
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        serde_json::to_vec(&verdicts(&ids, letters))
    };
    Answer { status: 200, body: body.expect("JSON"), ..Answer::default() }
}

fn verdicts(ids: &[Uuid], letters: &[u8]) -> BatchReply {
    let verdict = |letter: u8| match letter {
        b's' => Verdict::Stored,
        b'd' => Verdict::Duplicate,
        b'x' => Verdict::Rejected { code: ErrorCode::Invalid, detail: text(letters) },
        _ => Verdict::Retry,
    };
    let letters = letters.iter().copied().chain(std::iter::repeat(b's'));
    let items = ids.iter().zip(letters);
    let items = items.map(|(id, letter)| ItemVerdict { id: *id, verdict: verdict(letter) });
    BatchReply { verdicts: items.collect() }
}

fn number(digits: &[u8]) -> i64 {
    text(digits).parse().unwrap_or(0)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Receipts in memory.
#[derive(Debug, Default)]
struct MemoryChain {
    receipts: Mutex<Vec<Receipt>>,
    head: Mutex<Option<Head>>,
}

impl Witness for MemoryChain {
    fn record(&self, record: &ConsentRecord) -> Result<(), FramesError> {
        let mut receipts = self.receipts.lock().expect("receipts");
        let previous = receipts.last().map_or(Ok(Digest::NONE), Receipt::digest);
        let previous = previous.map_err(FramesError::new)?;
        let receipt = Receipt::sign(record.clone(), previous, &DEVICE);
        receipts.push(receipt.map_err(FramesError::new)?);
        Ok(())
    }

    fn forget(&self) -> Result<(), FramesError> {
        Ok(())
    }
}

impl Chain for MemoryChain {
    fn receipts_after(&self, epoch: u64) -> Vec<Receipt> {
        let receipts = self.receipts.lock().expect("receipts");
        receipts.iter().filter(|receipt| receipt.record.epoch > epoch).cloned().collect()
    }

    fn head(&self) -> Option<Head> {
        self.head.lock().expect("a head").clone()
    }

    fn countersigned(&self, head: Head) -> Result<(), FramesError> {
        *self.head.lock().expect("a head") = Some(head);
        Ok(())
    }

    fn signer(&self) -> Arc<SigningKey> {
        Arc::clone(&DEVICE)
    }
}

/// Somebody who shares.
fn person() -> (Gate, Arc<MemoryChain>) {
    let chain = Arc::new(MemoryChain::default());
    let gate = Gate::new(PERSON, DEVICE.public().device_id(), NoticeRef::unknown());
    let gate = gate.witnessed(Arc::clone(&chain) as Arc<dyn Witness>);
    gate.grant(&SHARED, None, 0).expect("a witness that works");
    (gate, chain)
}
