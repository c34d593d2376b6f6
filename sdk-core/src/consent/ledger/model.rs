//! Ledger and gate against a reference that fits on a page, under random changes of consent, time,
//! notice, disk and fortune.

use super::{
    tests::{Disk, EDA, key, notice},
    *,
};
use crate::consent::{Collect, Infer, Permit};
use proptest::prelude::*;
use protocol::consent::Modality;

#[derive(Debug, Clone, Copy)]
enum Change {
    /// For so many milliseconds; `None` = until withdrawn.
    Grant(Option<i64>),
    Acknowledge,
    Pause,
    Unpause,
    Withdraw,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Change(Change),
    /// The wall clock goes on, or is set back.
    Tick(i64),
    /// The process is killed and started again.
    Restart,
    /// The process is killed while it writes a change, after so many bytes.
    KilledWriting(Change, usize),
    /// The app comes with another notice.
    Notice(u8),
    DiskFull(bool),
    Countersign,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => prop::option::of(1i64..200_000).prop_map(Change::Grant),
        2 => Just(Change::Acknowledge),
        1 => Just(Change::Pause),
        1 => Just(Change::Unpause),
        1 => Just(Change::Withdraw),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => change().prop_map(Op::Change),
        4 => (-50_000i64..150_000).prop_map(Op::Tick),
        2 => Just(Op::Restart),
        2 => (change(), 0usize..800).prop_map(|(change, bytes)| Op::KilledWriting(change, bytes)),
        1 => (0u8..3).prop_map(Op::Notice),
        2 => any::<bool>().prop_map(Op::DiskFull),
        1 => Just(Op::Countersign),
    ]
}

/// Where consent stands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stand {
    state: ConsentState,
    /// `None` = no grant, `Some(None)` = a grant that does not end.
    granted: Option<Option<i64>>,
    acknowledged: Option<u8>,
}

/// The reference: what stands in memory and on disk, and how late it is for each.
#[derive(Debug)]
struct Model {
    now: Stand,
    disk: Stand,
    clock: i64,
    gate_latest: i64,
    told: i64,
    written: i64,
    notice: u8,
    full: bool,
}

impl Model {
    fn new() -> Self {
        let nothing = Stand { state: ConsentState::Withdrawn, granted: None, acknowledged: None };
        Self {
            now: nothing,
            disk: nothing,
            clock: 1_000_000,
            gate_latest: 0,
            told: 0,
            written: 0,
            notice: 0,
            full: false,
        }
    }

    /// Whether the change is to succeed.
    fn change(&mut self, change: Change, disk_fails: bool) -> bool {
        self.gate_latest = self.gate_latest.max(self.clock);
        let mut next = self.now;
        match change {
            Change::Grant(for_ms) => {
                next.state = ConsentState::Given;
                next.granted = Some(for_ms.map(|ms| self.clock + ms));
                next.acknowledged = next.acknowledged.filter(|shown| *shown == self.notice);
            }
            Change::Acknowledge => next.acknowledged = Some(self.notice),
            Change::Pause if next.state == ConsentState::Given => next.state = ConsentState::Paused,
            Change::Unpause if next.state == ConsentState::Paused => {
                next.state = ConsentState::Given;
            }
            Change::Pause | Change::Unpause => {}
            Change::Withdraw => (next.state, next.granted) = (ConsentState::Withdrawn, None),
        }
        if !disk_fails {
            (self.now, self.disk) = (next, next);
            self.written = self.written.max(self.clock);
            self.told = self.told.max(self.written);
        } else if matches!(change, Change::Pause | Change::Withdraw) {
            self.now = next;
        }
        !disk_fails
    }

    fn tick(&mut self, by: i64) {
        self.clock += by;
        self.gate_latest = self.gate_latest.max(self.clock);
        self.told = self.told.max(self.clock);
        let ended = |end: i64| self.written < end && end <= self.told;
        let one_ended = self.disk.granted.flatten().is_some_and(ended);
        if (one_ended || self.told - self.written >= 60_000) && !self.full {
            self.written = self.told;
        }
    }

    fn restart(&mut self) {
        (self.now, self.told, self.gate_latest) = (self.disk, self.written, self.written);
    }

    fn collects(&self) -> bool {
        let runs = |end: Option<i64>| end.is_none_or(|end| self.gate_latest < end);
        self.now.state == ConsentState::Given && self.now.granted.is_some_and(runs)
    }

    fn infers(&self) -> bool {
        self.collects() && self.now.acknowledged == Some(self.notice)
    }
}

/// The real thing.
struct Real {
    disk: Disk,
    ledger: Arc<Ledger>,
    gate: Gate,
}

impl Real {
    fn start(disk: Disk, version: u8) -> Self {
        let opened = disk.open().unwrap();
        assert!(opened.not_forgotten.is_none());
        let gate = opened.ledger.gate(&notice(&version.to_string())).unwrap();
        Self { disk, ledger: opened.ledger, gate }
    }

    fn change(&self, change: Change, now: i64) -> bool {
        match change {
            Change::Grant(for_ms) => self.gate.grant(&EDA, for_ms.map(|ms| now + ms), now),
            Change::Acknowledge => self.gate.acknowledge(now),
            Change::Pause => self.gate.pause(now),
            Change::Unpause => self.gate.unpause(now),
            Change::Withdraw => self.gate.withdraw(now),
        }
        .is_ok()
    }
}

fn run(ops: Vec<Op>) {
    let mut model = Model::new();
    let mut real = Real::start(Disk::default(), 0);
    let mut permits: Vec<Permit<Collect>> = Vec::new();
    let mut ended: Vec<Permit<Collect>> = Vec::new();
    let mut newest = 0;
    for op in ops {
        let epoch = real.gate.epoch();
        if let Op::Restart | Op::KilledWriting(..) | Op::Notice(_) = op {
            // Permits end with their process.
            permits.clear();
            ended.clear();
        }
        match op {
            Op::Change(change) => {
                let succeeds = model.change(change, model.full);
                assert_eq!(real.change(change, model.clock), succeeds);
                if succeeds || matches!(change, Change::Pause | Change::Withdraw) {
                    assert!(real.gate.epoch() > epoch);
                    ended.append(&mut permits);
                }
                assert!(real.gate.epoch() >= epoch);
            }
            Op::Tick(by) => {
                model.tick(by);
                real.gate.tick(model.clock);
                assert!(real.ledger.seen(model.clock).is_ok() || model.full);
            }
            Op::Restart => {
                model.restart();
                real = Real::start(real.disk, model.notice);
            }
            Op::KilledWriting(change, bytes) => {
                real.disk.fill(false);
                model.full = false;
                real.disk.kill_while_writing(bytes);
                assert!(!real.change(change, model.clock));
                model.change(change, true);
                model.restart();
                real = Real::start(real.disk, model.notice);
            }
            Op::Notice(version) => {
                real.disk.fill(false);
                (model.full, model.notice) = (false, version);
                model.restart();
                real = Real::start(real.disk, version);
            }
            Op::DiskFull(full) => {
                real.disk.fill(full);
                model.full = full;
            }
            Op::Countersign => {
                if let Some(last) = real.ledger.receipts().last() {
                    let head = Head::sign(last, 9, &key(9)).unwrap();
                    assert!(real.ledger.countersigned(head).is_ok() || model.full);
                }
            }
        }
        let collect = real.gate.permit::<Collect>(Modality::Eda);
        assert_eq!(collect.is_ok(), model.collects(), "after {op:?}: {model:?}");
        let infers = real.gate.permit::<Infer>(Modality::Eda).is_ok();
        assert_eq!(infers, model.infers(), "after {op:?}: {model:?}");
        assert!(ended.iter().all(|permit| permit.check().is_err()));
        permits.extend(collect);

        let receipts = real.ledger.receipts().len();
        assert!(receipts >= newest, "no receipt is ever lost");
        newest = receipts;
    }
    let ledger = real.disk.open().unwrap().ledger;
    let (receipts, head) = (ledger.receipts(), ledger.head());
    if !receipts.is_empty() {
        assert_eq!(verify_chain(&receipts, head.as_ref()), Ok(()));
    }
    assert_eq!(receipts.len(), newest, "what was recorded is on disk");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn c1_c5_c6_c8_ledger_and_gate_do_as_the_model_does(ops in prop::collection::vec(op(), 0..40)) {
        run(ops);
    }

    /// A grant that was seen to end never comes back, whatever the clock and the process do.
    #[test]
    fn c6_what_has_expired_stays_expired(
        lasts in 1i64..100_000,
        before in prop::collection::vec(-90_000i64..90_000, 0..6),
        after in prop::collection::vec((-200_000i64..200_000, any::<bool>()), 1..8),
    ) {
        let real = Real::start(Disk::default(), 0);
        let mut clock = 1_000_000;
        real.gate.grant(&EDA, Some(clock + lasts), clock).unwrap();
        let end = clock + lasts;
        for step in before.into_iter().map(|by| clock + by).chain([end]) {
            real.gate.tick(step);
            real.ledger.seen(step).unwrap();
        }
        let mut real = real;
        for (by, restart) in after {
            clock += by;
            if restart {
                real = Real::start(real.disk, 0);
            }
            real.gate.tick(clock);
            real.ledger.seen(clock).unwrap();
            prop_assert!(real.gate.permit::<Collect>(Modality::Eda).is_err());
        }
    }

    /// After a withdrawal nothing is permitted until a new grant, whatever else happens.
    #[test]
    fn c3_withdrawn_stays_withdrawn(
        ops in prop::collection::vec(op(), 0..15),
        then in prop::collection::vec(op(), 0..15),
    ) {
        let granting = |op: &Op| matches!(op,
            Op::Change(Change::Grant(_)) | Op::KilledWriting(..) | Op::DiskFull(true));
        let mut all = ops;
        all.extend([Op::DiskFull(false), Op::Change(Change::Withdraw)]);
        let withdrawn_at = all.len();
        all.extend(then.into_iter().filter(|op| !granting(op)));
        // The model agrees with the ledger at each step, and says no throughout.
        let mut model = Model::new();
        for (at, op) in all.iter().enumerate() {
            match *op {
                Op::Change(change) => drop(model.change(change, model.full)),
                Op::Tick(by) => model.tick(by),
                Op::Restart => model.restart(),
                Op::KilledWriting(change, _) => {
                    model.full = false;
                    model.change(change, true);
                    model.restart();
                }
                Op::Notice(version) => {
                    (model.full, model.notice) = (false, version);
                    model.restart();
                }
                Op::DiskFull(full) => model.full = full,
                Op::Countersign => {}
            }
            prop_assert!(at < withdrawn_at || !model.collects());
        }
        run(all);
    }
}

/// Whatever bytes are on disk: an error, never a panic, and never a permit without a receipt.
mod hostile {
    use super::*;

    proptest! {
        #[test]
        fn any_frames_are_read(frames in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..60), 0..6))
        {
            let frames: Vec<Vec<u8>> = frames;
            let opened = Ledger::open(
                key(1), &frames, Box::<crate::frames::MemoryFrames>::default(), Box::new(|| Ok(())));
            if let Ok(opened) = opened {
                prop_assert!(opened.ledger.receipts().is_empty());
            }
        }

        /// One byte of one frame is changed: found, or without effect on what was agreed.
        #[test]
        fn c8_a_changed_byte_grants_nothing(at in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(), with in 1u8..)
        {
            let real = Real::start(Disk::default(), 0);
            real.gate.grant(&EDA, None, 1).unwrap();
            real.gate.acknowledge(2).unwrap();
            real.gate.pause(3).unwrap();
            let honest = real.ledger.receipts();
            let mut frames = real.disk.stored();
            let at = at.index(frames.len());
            let frame = &mut frames[at];
            let byte = byte.index(frame.len());
            frame[byte] ^= with;
            let opened = Ledger::open(
                key(1), &frames, Box::<crate::frames::MemoryFrames>::default(), Box::new(|| Ok(())));
            if let Ok(opened) = opened {
                let found = opened.ledger.receipts();
                prop_assert!(honest.starts_with(&found));
                prop_assert!(found.len() == honest.len() || opened.torn);
            }
        }
    }
}
