//! A person, a disk and drafts for the tests of this module.
#![allow(clippy::unwrap_used, reason = "tests only")]

use super::{Draft, Limits, Outbox};
use crate::{
    clock::Nanos,
    consent::Gate,
    frames::{Frames, FramesError},
};
use protocol::{
    consent::{Modality, NoticeRef, Purpose},
    event::EventBody,
};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

pub(super) const PERSON: Uuid = Uuid::from_u128(7);

/// A disk that outlives the outbox on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    frames: Vec<Vec<u8>>,
    fails: bool,
    appends: usize,
}

impl Disk {
    pub(super) fn fails(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    pub(super) fn frames(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().frames.clone()
    }

    pub(super) fn appends(&self) -> usize {
        self.0.lock().unwrap().appends
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        self.frames().iter().any(|frame| String::from_utf8_lossy(frame).contains(text))
    }

    pub(super) fn outbox(&self, limits: Limits) -> Outbox {
        Outbox::restore(Box::new(self.clone()), self.frames(), limits)
    }
}

impl Frames for Disk {
    /// One that fails keeps the first frame all the same, as a torn write may.
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        let mut platter = self.0.lock().unwrap();
        platter.appends += 1;
        let kept = if platter.fails { 1 } else { frames.len() };
        platter.frames.extend(frames.iter().take(kept).map(|frame| frame.to_vec()));
        if platter.fails { Err(FramesError::new("the disk is full")) } else { Ok(()) }
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        let mut platter = self.0.lock().unwrap();
        if platter.fails {
            return Err(FramesError::new("the disk is full"));
        }
        platter.frames = frames.iter().map(|frame| frame.to_vec()).collect();
        Ok(())
    }
}

/// What is shared in the tests.
pub(super) const SHARED: [(Modality, Purpose); 2] =
    [(Modality::Behaviour, Purpose::Share), (Modality::Eda, Purpose::Share)];

pub(super) fn granted() -> Gate {
    let gate = Gate::new(PERSON, Uuid::from_u128(2), NoticeRef::unknown());
    gate.grant(&SHARED, None, 0).unwrap();
    gate
}

pub(super) fn draft(gate: &Gate) -> Draft {
    draft_of(gate, Modality::Behaviour)
}

pub(super) fn draft_of(gate: &Gate, modality: Modality) -> Draft {
    Draft {
        session: Uuid::from_u128(3),
        epoch: gate.epoch(),
        modalities: vec![modality],
        at: Nanos::ZERO,
        at_unix_ms: 0,
        body: EventBody::SessionStarted { sdk_version: format!("of {}", modality.name()) },
    }
}

#[cfg(feature = "http")]
pub(super) use chain::{MemoryChain, person};

#[cfg(feature = "http")]
mod chain {
    use super::{super::Chain, Arc, FramesError, Gate, Mutex, NoticeRef, PERSON, SHARED};
    use crate::consent::Witness;
    use protocol::{
        consent::{ConsentRecord, Head, Receipt},
        digest::Digest,
        key::SigningKey,
    };

    /// A ledger in memory.
    #[derive(Debug)]
    pub(crate) struct MemoryChain {
        key: Arc<SigningKey>,
        receipts: Mutex<Vec<Receipt>>,
        pub(crate) head: Mutex<Option<Head>>,
    }

    impl MemoryChain {
        pub(crate) fn all(&self) -> Vec<Receipt> {
            self.receipts.lock().unwrap().clone()
        }

        pub(crate) fn truncate(&self, length: usize) {
            self.receipts.lock().unwrap().truncate(length);
        }
    }

    impl Witness for MemoryChain {
        fn record(&self, record: &ConsentRecord) -> Result<(), FramesError> {
            let mut receipts = self.receipts.lock().unwrap();
            let previous = receipts.last().map_or(Digest::NONE, |r| r.digest().unwrap());
            receipts.push(Receipt::sign(record.clone(), previous, &self.key).unwrap());
            Ok(())
        }

        fn forget(&self) -> Result<(), FramesError> {
            Ok(())
        }
    }

    impl Chain for MemoryChain {
        fn receipts_after(&self, epoch: u64) -> Vec<Receipt> {
            self.all().into_iter().filter(|receipt| receipt.record.epoch > epoch).collect()
        }

        fn head(&self) -> Option<Head> {
            self.head.lock().unwrap().clone()
        }

        fn countersigned(&self, head: Head) -> Result<(), FramesError> {
            *self.head.lock().unwrap() = Some(head);
            Ok(())
        }

        fn signer(&self) -> Arc<SigningKey> {
            Arc::clone(&self.key)
        }
    }

    /// Somebody who shares, and the chain that proves it.
    pub(crate) fn person() -> (Gate, Arc<MemoryChain>) {
        let key = Arc::new(SigningKey::from_seed(&[1; 32]).unwrap());
        let device = key.public().device_id();
        let (receipts, head) = (Mutex::default(), Mutex::default());
        let chain = Arc::new(MemoryChain { key, receipts, head });
        let gate = Gate::new(PERSON, device, NoticeRef::unknown());
        let gate = gate.witnessed(Arc::clone(&chain) as Arc<dyn Witness>);
        gate.grant(&SHARED, None, 0).unwrap();
        (gate, chain)
    }
}

#[cfg(feature = "http")]
pub(super) use server::{Server, problem};

#[cfg(feature = "http")]
mod server {
    use super::super::{Answer, Outgoing};
    use protocol::{
        consent::{ConsentBatch, ConsentReply, ConsentState, Head, Receipt, verify_chain},
        event::{BatchReply, Event, EventBatch, ItemVerdict, Verdict},
        key::SigningKey,
        problem::{ErrorCode, Problem},
        signing::{SignedHeaders, Target},
    };
    use serde::Serialize;

    /// A server that does what ours does, without a database.
    pub(crate) struct Server {
        pub(crate) key: SigningKey,
        pub(crate) authority: String,
        pub(crate) receipts: Vec<Receipt>,
        pub(crate) events: Vec<Event>,
        pub(crate) last_request: u64,
        pub(crate) dropped: u64,
    }

    impl Server {
        pub(crate) fn new(authority: &str) -> Self {
            Self {
                key: SigningKey::from_seed(&[9; 32]).unwrap(),
                authority: authority.into(),
                receipts: Vec::new(),
                events: Vec::new(),
                last_request: 0,
                dropped: 0,
            }
        }

        pub(crate) fn take(&mut self, request: &Outgoing) -> Answer {
            let header = |name| {
                let found = request.headers.iter().find(|(n, _)| *n == name);
                found.unwrap().1.clone()
            };
            let signed = SignedHeaders {
                content_digest: header("content-digest"),
                request_number: header("attune-request"),
                signature_input: header("signature-input"),
                signature: header("signature"),
            };
            let (method, path) = (request.method, request.path);
            let target = Target { method, authority: &self.authority, path, query: "" };
            let signer = signed.verify(&target, &request.body).unwrap();
            if signer.request_number <= self.last_request {
                return problem(ErrorCode::Replayed, Some(self.last_request));
            }
            self.last_request = signer.request_number;
            if path == "/v1/consents" {
                return self.consents(serde_json::from_slice(&request.body).unwrap());
            }
            self.batch(serde_json::from_slice(&request.body).unwrap())
        }

        fn consents(&mut self, batch: ConsentBatch) -> Answer {
            for receipt in batch.receipts {
                match self.receipts.get(receipt.record.epoch as usize - 1) {
                    Some(known) if *known == receipt => {}
                    None if receipt.record.epoch as usize == self.receipts.len() + 1 => {
                        self.receipts.push(receipt);
                    }
                    _ => return problem(ErrorCode::Conflict, None),
                }
            }
            verify_chain(&self.receipts, None).unwrap();
            good(&ConsentReply { head: self.head() })
        }

        pub(crate) fn head(&self) -> Head {
            Head::sign(self.receipts.last().unwrap(), 5, &self.key).unwrap()
        }

        fn batch(&mut self, batch: EventBatch) -> Answer {
            let Some(newest) = self.receipts.last() else {
                return problem(ErrorCode::NoConsent, None);
            };
            assert_eq!(newest.record.state, ConsentState::Given, "events without consent");
            self.dropped = batch.dropped;
            let mut verdicts = Vec::new();
            for event in batch.events {
                let known = self.events.iter().any(|known| known.id == event.id);
                let verdict = if known { Verdict::Duplicate } else { Verdict::Stored };
                verdicts.push(ItemVerdict { id: event.id, verdict });
                if !known {
                    self.events.push(event);
                }
            }
            good(&BatchReply { verdicts })
        }
    }

    pub(crate) fn good(body: &impl Serialize) -> Answer {
        Answer { status: 200, body: serde_json::to_vec(body).unwrap(), ..Answer::default() }
    }

    pub(crate) fn problem(code: ErrorCode, last_request: Option<u64>) -> Answer {
        let status = code.status();
        let (title, detail) = (String::new(), "for a reason".to_owned());
        let body = Problem { status, code, title, detail, last_request };
        Answer { status, ..good(&body) }
    }
}
