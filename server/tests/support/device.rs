//! What a device makes: receipts, events, signatures.

use protocol::{
    consent::{
        ConsentBatch, ConsentRecord, ConsentState, Grant, Modality, NoticeRef, Purpose, Receipt,
        Recipient,
    },
    digest::Digest,
    event::{Event, EventBatch, EventBody, Outcome, OutcomeKind, SentAt},
    intent::IntentEstimate,
    key::SigningKey,
    offer::{Currency, Money, Offer, OfferRevision, Rule},
    signing::{SignedHeaders, Target},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

pub fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// A person with a device.
pub struct Device {
    pub key: SigningKey,
    pub person: Uuid,
    pub device: Uuid,
    pub session: Uuid,
    /// The chain, from the first receipt.
    pub chain: Vec<Receipt>,
    /// The record that events are made under.
    pub record: Uuid,
    pub epoch: u64,
    pub dropped: u64,
    sequence: u64,
    requests: AtomicU64,
}

pub fn share(modality: Modality) -> Grant {
    let (purpose, recipient) = (Purpose::Share, Recipient::Operator);
    Grant { modality, purpose, recipient, expires_unix_ms: None }
}

impl Device {
    pub fn new() -> Self {
        static SEED: AtomicU64 = AtomicU64::new(1);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&SEED.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Self::of_seed(seed)
    }

    pub fn of_seed(seed: [u8; 32]) -> Self {
        let key = SigningKey::from_seed(&seed).unwrap();
        Self {
            device: key.public().device_id(),
            key,
            person: Uuid::now_v7(),
            session: Uuid::now_v7(),
            chain: vec![],
            record: Uuid::nil(),
            epoch: 0,
            dropped: 0,
            sequence: 0,
            requests: AtomicU64::new(0),
        }
    }

    pub fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Signs a request with the next number.
    pub fn sign(&self, target: &Target<'_>, body: &[u8]) -> SignedHeaders {
        SignedHeaders::sign(&self.key, target, body, self.next_request())
    }

    /// The record that comes next, not signed yet.
    pub fn next_record(&self, state: ConsentState, grants: Vec<Grant>) -> ConsentRecord {
        ConsentRecord {
            id: Uuid::now_v7(),
            person: self.person,
            device: self.device,
            epoch: self.chain.last().map_or(0, |receipt| receipt.record.epoch) + 1,
            state,
            grants,
            notice: NoticeRef {
                version: "2026-11".into(),
                language: "en".into(),
                sha256: Digest::of(b"notice"),
            },
            acknowledged_unix_ms: Some(now_unix_ms()),
            at_unix_ms: now_unix_ms(),
        }
    }

    /// Signs a record after the last receipt.
    pub fn receipt(&self, record: ConsentRecord) -> Receipt {
        let previous = self.chain.last().map_or(Digest::NONE, |last| last.digest().unwrap());
        Receipt::sign(record, previous, &self.key).unwrap()
    }

    /// Appends a record to the chain; events are made under it from now on.
    pub fn append(&mut self, record: ConsentRecord) -> Receipt {
        let receipt = self.receipt(record);
        (self.record, self.epoch) = (receipt.record.id, receipt.record.epoch);
        self.chain.push(receipt.clone());
        receipt
    }

    /// Shares `modalities` with the operator.
    pub fn give(&mut self, modalities: &[Modality]) -> Receipt {
        let grants = modalities.iter().copied().map(share).collect();
        self.append(self.next_record(ConsentState::Given, grants))
    }

    /// Withdraws.
    pub fn withdraw(&mut self) -> Receipt {
        self.append(self.next_record(ConsentState::Withdrawn, vec![]))
    }

    pub fn event(&mut self, modalities: &[Modality], body: EventBody) -> Event {
        self.sequence += 1;
        Event {
            id: Uuid::now_v7(),
            sequence: self.sequence,
            device: self.device,
            person: self.person,
            session: self.session,
            consent_record: self.record,
            consent_epoch: self.epoch,
            modalities: modalities.to_vec(),
            at_unix_ms: now_unix_ms(),
            at_session_ms: self.sequence * 1_000,
            body,
        }
    }

    /// An event that needs sharing `eda`.
    pub fn eda(&mut self) -> Event {
        let scl = 2.0 + (self.sequence as f64 / 7.0).sin();
        let values = BTreeMap::from([("eda_scl_mean_5s".to_owned(), scl)]);
        self.event(&[Modality::Eda], EventBody::Features { values, coverage: 1.0 })
    }

    /// An event that needs sharing `behaviour`.
    pub fn started(&mut self) -> Event {
        self.event(&[], EventBody::SessionStarted { sdk_version: "0.1.0".into() })
    }

    pub fn intent(&mut self, probabilities: [f32; 4]) -> Event {
        let estimate = IntentEstimate {
            at_ms: (self.sequence + 1) * 1_000,
            probabilities,
            arousal: 0.4,
            abstained: None,
        };
        self.event(&[Modality::Eda], EventBody::Intent(estimate))
    }

    pub fn revised(&mut self, rule: Rule, price: i64) -> Event {
        let euro = |minor| Money { minor, currency: Currency::EUR };
        let revision = OfferRevision {
            revision: 1,
            at_ms: (self.sequence + 1) * 1_000,
            rule,
            offer: Offer {
                sku: "ESP-1".into(),
                title: "Espresso machine <Luna>".into(),
                price: euro(price),
                features: vec![],
                bundle: vec![],
                delivery: vec![],
                guarantees: vec![],
                related: vec![],
            },
            changes: vec!["The price went down by 5 %.".into()],
            reason: "You seemed unsure, so we offer a better price.".into(),
            reference_price: euro(19_990),
            disclosure: Some("This price was set by an algorithm using your personal data.".into()),
            model_id: "intent-1".into(),
            inputs_digest: "00".repeat(32),
            propensity: 1.0,
        };
        self.event(&[Modality::Eda], EventBody::OfferRevised(Box::new(revision)))
    }

    /// An event that needs sharing `behaviour`.
    pub fn purchased(&mut self) -> Event {
        let outcome = Outcome {
            kind: OutcomeKind::Purchased,
            sku: "ESP-1".into(),
            revision: 1,
            paid: Some(Money { minor: 18_990, currency: Currency::EUR }),
        };
        self.event(&[], EventBody::Outcome(outcome))
    }

    pub fn batch(&self, events: &[Event]) -> EventBatch {
        let session_ms = (self.sequence + 1) * 1_000;
        let sent_at = SentAt { unix_ms: now_unix_ms(), session: self.session, session_ms };
        EventBatch { sent_at, dropped: self.dropped, events: events.to_vec() }
    }
}

pub fn consents(receipts: &[Receipt]) -> ConsentBatch {
    ConsentBatch { receipts: receipts.to_vec() }
}
