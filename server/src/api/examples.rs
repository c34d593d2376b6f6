//! The examples of the document, made of the types themselves: they cannot be out of date, and
//! their signatures hold.

use protocol::{
    consent::{
        ConsentBatch, ConsentRecord, ConsentReply, ConsentState, Grant, Head, Modality, NoticeRef,
        Purpose, Receipt, Recipient,
    },
    digest::Digest,
    event::{
        BatchReply, Event, EventBatch, EventBody, ItemVerdict, Outcome, OutcomeKind, SentAt,
        Verdict,
    },
    key::SigningKey,
    offer::{Currency, Money},
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// 2026-11-22T12:00:00Z.
const AT_UNIX_MS: i64 = 1_795_348_800_000;
const DEVICE_SEED: [u8; 32] = [1; 32];
const SERVER_SEED: [u8; 32] = [2; 32];
const PERSON: Uuid = Uuid::from_u128(0x0199_7a10_5c00_7000_8000_0000_0000_0001);
const RECORD: Uuid = Uuid::from_u128(0x0199_7a10_5c00_7000_8000_0000_0000_0002);
const SESSION: Uuid = Uuid::from_u128(0x0199_7a10_5c00_7000_8000_0000_0000_0003);
const EVENT: Uuid = Uuid::from_u128(0x0199_7a10_5c00_7000_8000_0000_0000_0004);

/// The body of `POST /v1/consents`.
pub(super) fn consents() -> Value {
    json_of(receipt().map(|receipt| ConsentBatch { receipts: vec![receipt] }))
}

/// Its answer.
pub(super) fn consents_taken() -> Value {
    json_of(head().map(|head| ConsentReply { head }))
}

/// The receipt in force.
pub(super) fn in_force() -> Value {
    json!({"receipt": json_of(receipt()), "head": json_of(head())})
}

/// The server's key.
pub(super) fn server_key() -> Value {
    json!({"key": json_of(SigningKey::from_seed(&SERVER_SEED).map(|key| key.public()))})
}

/// The body of `POST /v1/events`.
pub(super) fn events() -> Value {
    let batch = |event: Event| EventBatch {
        sent_at: SentAt { unix_ms: AT_UNIX_MS, session: SESSION, session_ms: 61_000 },
        dropped: 0,
        events: vec![event],
    };
    json_of(event().map(batch))
}

/// Its answer.
pub(super) fn events_taken() -> Value {
    let verdict = ItemVerdict { id: EVENT, verdict: Verdict::Stored };
    json_of(Some(BatchReply { verdicts: vec![verdict] }))
}

/// Everything about a person.
pub(super) fn export() -> Value {
    json!({
        "person": PERSON, "exported_unix_ms": AT_UNIX_MS,
        "tables": {"events": [json_of(event())]}, "heads": [json_of(head())],
    })
}

fn device() -> Option<SigningKey> {
    SigningKey::from_seed(&DEVICE_SEED)
}

fn event() -> Option<Event> {
    let outcome = Outcome {
        kind: OutcomeKind::Purchased,
        sku: "ESP-1".to_owned(),
        revision: 0,
        paid: Some(Money { minor: 18_990, currency: Currency::EUR }),
    };
    Some(Event {
        id: EVENT,
        sequence: 1,
        device: device()?.public().device_id(),
        person: PERSON,
        session: SESSION,
        consent_record: RECORD,
        consent_epoch: 1,
        modalities: vec![],
        at_unix_ms: AT_UNIX_MS,
        at_session_ms: 60_000,
        body: EventBody::Outcome(outcome),
    })
}

fn receipt() -> Option<Receipt> {
    let key = device()?;
    let grant = Grant {
        modality: Modality::Behaviour,
        purpose: Purpose::Share,
        recipient: Recipient::Operator,
        expires_unix_ms: None,
    };
    let record = ConsentRecord {
        id: RECORD,
        person: PERSON,
        device: key.public().device_id(),
        epoch: 1,
        state: ConsentState::Given,
        grants: vec![grant],
        notice: NoticeRef {
            version: "2026-11".to_owned(),
            language: "en".to_owned(),
            sha256: Digest::of(b"the text that was shown"),
        },
        acknowledged_unix_ms: Some(AT_UNIX_MS),
        at_unix_ms: AT_UNIX_MS,
    };
    Receipt::sign(record, Digest::NONE, &key).ok()
}

fn head() -> Option<Head> {
    let key = SigningKey::from_seed(&SERVER_SEED)?;
    Head::sign(&receipt()?, AT_UNIX_MS, &key).ok()
}

/// A seed that is no key leaves no example: a test sees that every endpoint has one.
fn json_of(example: Option<impl Serialize>) -> Value {
    example.and_then(|example| serde_json::to_value(example).ok()).unwrap_or_default()
}
