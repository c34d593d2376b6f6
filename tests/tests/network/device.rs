//! A device: the real client, ledger and gate on a disk that outlives them, and what was promised
//! to the person who holds it.

use super::{
    cloud::HOST,
    disk::{Disk, Power},
};
use fastrand::Rng;
use protocol::{
    consent::{ConsentState, Modality, Notice, Purpose, Recipient},
    key::SigningKey,
    problem::ErrorCode,
};
use sdk_core::{
    clock::Nanos,
    consent::{Gate, Ledger},
    sync::{Answer, Client, ClientConfig, Draft, Limits, Outbox, OutboxStats, Outgoing},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use uuid::Uuid;

const GATHER: Duration = Duration::from_millis(500);
/// Nobody is waited for longer, whatever they ask (S4).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);
/// The caps of a fickle device: small enough to be reached.
const TIGHT: Limits = Limits {
    items: 60,
    bytes: 40_000,
    age: Duration::from_secs(24 * 60 * 60),
    dead_items: 10,
    dead_bytes: 10_000,
};
/// How its person behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Shares everything, without end, and has room for everything: whatever the server does not
    /// refuse has to arrive.
    Steady,
    /// The same, but withdraws now and then: whatever is newer than that has to arrive.
    Wavering,
    /// Shares less than before, for a while only, and withdraws; on a small disk, so that events
    /// may also fall out of the queue, which is counted.
    Fickle,
}

/// An event that the queue has acknowledged.
#[derive(Debug, Clone)]
pub struct Promise {
    pub id: Uuid,
    pub epoch: u64,
    pub modalities: Vec<Modality>,
    pub made: Nanos,
    /// The wall clock's error when it was made.
    pub offset_ms: i64,
    pub session: Uuid,
    /// The server has to refuse it.
    pub poison: bool,
}

/// All that a kill destroys.
pub struct Life {
    pub ledger: Arc<Ledger>,
    pub gate: Gate,
    pub client: Client,
    pub session: Uuid,
    pub born: Nanos,
    drops_before: u64,
    pub overrun: u64,
}

/// A device.
pub struct Device {
    pub kind: Kind,
    pub id: Uuid,
    pub number: usize,
    pub lives: u32,
    pub life: Option<Life>,
    /// The request that is waited for.
    pub waits_for: Option<u64>,
    /// Acknowledged, in the order of the queue.
    pub promises: Vec<Promise>,
    /// Every dead letter that was ever seen.
    pub dead: BTreeMap<Uuid, ErrorCode>,
    /// Drops that no event stands behind.
    pub overrun: u64,
    /// The latest its wall clock ever showed.
    pub latest_unix_ms: i64,
    /// The latest that its gate has written down: a grant that had ended by then has ended (C6).
    pub seen_unix_ms: i64,
    /// The server asked not to be asked before (S4).
    quiet_until: Nanos,
    /// Real time when virtual time began, Unix milliseconds.
    pub base_unix_ms: i64,
    /// Its wall clock's error.
    pub offset_ms: i64,
    signer: Arc<SigningKey>,
    pub power: Power,
    outbox: Disk,
    consent: Disk,
    /// The drops that the server was told of, and how often a start knew of less.
    pub told_drops: u64,
    pub forgot_drops: u64,
}

/// How the client is told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Other,
    Withdrawn,
}

impl Device {
    pub fn new(seed: u64, number: usize, base_unix_ms: i64) -> Self {
        let mut bytes = [number as u8 + 1; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let signer = Arc::new(SigningKey::from_seed(&bytes).unwrap());
        let power = Power::default();
        let mut device = Self {
            kind: [Kind::Steady, Kind::Fickle, Kind::Wavering][number % 3],
            id: signer.public().device_id(),
            number,
            lives: 0,
            life: None,
            waits_for: None,
            promises: Vec::new(),
            dead: BTreeMap::new(),
            overrun: 0,
            latest_unix_ms: base_unix_ms,
            seen_unix_ms: i64::MIN,
            quiet_until: Nanos::ZERO,
            base_unix_ms,
            offset_ms: 0,
            signer,
            outbox: Disk::new(&power),
            consent: Disk::new(&power),
            power,
            told_drops: 0,
            forgot_drops: 0,
        };
        device.start(Nanos::ZERO);
        device
    }

    /// A new process on what is on disk.
    pub fn start(&mut self, now: Nanos) {
        self.power.back();
        let outbox = self.outbox.clone();
        let forget = Box::new(move || outbox.shred());
        let stored = self.consent.frames();
        let signer = Arc::clone(&self.signer);
        let opened = Ledger::open(signer, &stored, Box::new(self.consent.clone()), forget).unwrap();
        assert!(opened.not_forgotten.is_none());
        let gate = opened.ledger.gate(&notice()).unwrap();
        let drops_before = self.outbox.drops();
        self.forgot_drops += u64::from(drops_before < self.told_drops);
        self.told_drops = drops_before;
        let limits = if self.kind == Kind::Fickle { TIGHT } else { Limits::default() };
        let outbox = Outbox::restore(Box::new(self.outbox.clone()), self.outbox.frames(), limits);
        let session = Uuid::now_v7();
        let config = ClientConfig { authority: HOST.into(), session, gather: GATHER };
        let chain = Arc::clone(&opened.ledger);
        let client = Client::new(config, gate.clone(), chain, outbox, self.wall(now));
        self.lives += 1;
        self.quiet_until = now;
        let ledger = opened.ledger;
        self.life =
            Some(Life { ledger, gate, client, session, born: now, drops_before, overrun: 0 });
        // The last life may have ended before it could say so.
        self.read_dead_letters();
    }

    /// The app reads what the server refused.
    fn read_dead_letters(&mut self) {
        let Some(life) = self.life.as_ref() else { return };
        for letter in life.client.outbox().dead_letters() {
            self.dead.insert(letter.event.id, letter.code);
        }
    }

    /// The process ends, here and now.
    pub fn die(&mut self) {
        self.waits_for = None;
        if let Some(life) = self.life.take()
            && !self.power.is_out()
        {
            life.balance();
        }
    }

    /// Whether the power went out; the process is gone then.
    pub fn has_died(&mut self) -> bool {
        if self.power.is_out() {
            self.die();
        }
        self.life.is_none()
    }

    /// Nothing is on its way to go wrong any more.
    pub fn calm(&mut self) {
        self.power.back();
    }

    /// The disk forgets what it said it has.
    pub fn lie(&mut self) {
        self.die();
        self.outbox.lie();
    }

    pub fn wall(&mut self, now: Nanos) -> i64 {
        let wall = self.base_unix_ms + now.as_millis().cast_signed() + self.offset_ms;
        self.latest_unix_ms = self.latest_unix_ms.max(wall);
        wall
    }

    /// When the client wants to be asked.
    pub fn due(&self) -> Option<Nanos> {
        let life = self.life.as_ref()?;
        Some(life.born + Duration::from_nanos(life.client.due()?.0))
    }

    pub fn poll(&mut self, now: Nanos) -> Option<Outgoing> {
        let wall = self.wall(now);
        let life = self.life.as_mut()?;
        let outgoing = life.client.poll(life.at(now), wall)?;
        // A process that ended in the middle has sent nothing.
        if self.has_died() {
            return None;
        }
        let state = self.life.as_ref()?.gate.record().state;
        let receipts = outgoing.path == "/v1/consents";
        assert!(state == ConsentState::Given || receipts, "C2, C5: events leave while {state:?}");
        assert!(now >= self.quiet_until, "S4: asks before {:?}", self.quiet_until);
        Some(outgoing)
    }

    pub fn answer(&mut self, now: Nanos, answer: Option<Answer>, dice: f64) {
        let wall = self.wall(now);
        self.waits_for = None;
        let wait = answer.as_ref().and_then(|answer| answer.retry_after.as_ref());
        if let Some(seconds) = wait.and_then(|seconds| seconds.parse().ok()) {
            self.quiet_until = now + Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER);
        }
        let Some(life) = self.life.as_mut() else { return };
        life.client.answer(life.at(now), wall, answer, dice);
        if self.has_died() {
            return;
        }
        self.read_dead_letters();
        let Some(life) = self.life.as_ref() else { return };
        assert_eq!(life.client.halted(), None, "an honest server, and yet it stops");
        life.balance();
    }

    /// The client hears of a change of consent.
    pub fn told(&mut self, now: Nanos, change: Change) {
        let Some(life) = self.life.as_mut() else { return };
        let at = life.at(now);
        match change {
            Change::Other => life.client.consent_changed(at),
            Change::Withdrawn => {
                let purged = life.client.purge(at);
                assert!(purged.is_ok() || self.power.is_out());
            }
        }
        // The request under way is given up, and a change of consent waits for nobody.
        self.waits_for = None;
        self.quiet_until = now;
        self.has_died();
    }

    /// Sharing everything again, whatever was before.
    pub fn grant_everything(&mut self, now: Nanos) -> Change {
        let wall = self.wall(now);
        let gate = &self.life.as_ref().unwrap().gate;
        gate.grant(&uses(&Modality::ALL), None, wall).unwrap();
        Change::Other
    }

    /// Ends a pause, if there is one.
    pub fn end_pause(&mut self, now: Nanos) {
        let wall = self.wall(now);
        let gate = self.life.as_ref().unwrap().gate.clone();
        if gate.record().state == ConsentState::Paused {
            gate.unpause(wall).unwrap();
        }
        self.told(now, Change::Other);
    }

    /// Queues one event that has to arrive.
    pub fn queue_last(&mut self, now: Nanos) -> Uuid {
        let before = self.promises.len();
        let draft = self.draft(now, Modality::Behaviour, &mut Rng::with_seed(0)).0;
        self.queue_drafts(now, vec![(draft, false)]);
        assert_eq!(self.promises.len(), before + 1, "a new grant, and yet nothing is queued");
        self.promises[before].id
    }

    /// Queues drafts; gives how many were taken.
    pub fn queue_drafts(&mut self, now: Nanos, drafts: Vec<(Draft, bool)>) -> usize {
        let wall = self.wall(now);
        let offset_ms = self.offset_ms;
        let Some(life) = self.life.as_mut() else { return 0 };
        let (born, session) = (life.born, life.session);
        let record = life.gate.record();
        let made = drafts.clone();
        let drafts = drafts.into_iter().map(|(draft, _)| draft).collect();
        let queued = life.client.enqueue(life.at(now), wall, drafts);
        if self.has_died() {
            return 0;
        }
        let mut count = 0;
        for ((draft, poison), id) in made.into_iter().zip(queued) {
            let Ok(id) = id else { continue };
            count += 1;
            let named = match draft.modalities.as_slice() {
                [] => vec![Modality::Behaviour],
                named => named.to_vec(),
            };
            let now = wall.max(self.seen_unix_ms);
            let permits = |m| record.permits(m, Purpose::Share, Recipient::Operator, now);
            let permitted = named.iter().all(|modality| permits(*modality));
            assert!(permitted, "C1, C5, C6: queued without consent");
            self.promises.push(Promise {
                id,
                epoch: draft.epoch.0,
                modalities: named,
                made: born + Duration::from_nanos(draft.at.0),
                offset_ms,
                session,
                poison,
            });
        }
        count
    }
}

impl Life {
    /// Its session time.
    pub fn at(&self, now: Nanos) -> Nanos {
        Nanos(now.0.saturating_sub(self.born.0))
    }

    /// Nothing leaves the queue uncounted.
    pub fn balance(&self) {
        let OutboxStats {
            restored, queued, acknowledged, rejected, dropped, purged, pending, ..
        } = self.client.stats().outbox;
        let fell_out = dropped - self.drops_before.min(dropped) - self.overrun;
        let left = acknowledged + rejected + fell_out + purged;
        assert_eq!(restored + queued, left + pending, "S3: {:?}", self.client.stats());
    }
}

/// To collect and to share.
pub fn uses(shared: &[Modality]) -> Vec<(Modality, Purpose)> {
    let both = |&modality| [(modality, Purpose::Collect), (modality, Purpose::Share)];
    shared.iter().flat_map(both).collect()
}

fn notice() -> Notice {
    serde_json::from_value(serde_json::json!({
        "version": "1", "language": "en", "text": "We measure your skin.",
        "setting": "personal", "jurisdiction": "DE", "authority": "Yours",
        "controllers": [{"name": "You", "address": "Here", "contact": "yourself"}],
        "recipients": {"operator": "nobody"}, "storage_locations": ["this device"],
        "retention": [{"purpose": "collect", "days": 1}],
        "withdrawal_method": "Press Stop.", "privacy_rights": ["access"],
    }))
    .unwrap()
}
