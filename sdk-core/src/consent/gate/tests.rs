use super::super::{Collect, Infer, Share};
use super::*;
use proptest::prelude::*;
use protocol::digest::Digest;
use std::sync::atomic::AtomicU64;

const EDA_COLLECT: (Modality, Purpose) = (Modality::Eda, Purpose::Collect);

fn gate() -> Gate {
    Gate::new(Uuid::from_u128(1), Uuid::from_u128(2), NoticeRef::unknown())
}

fn granted() -> (Gate, Permit<Collect>) {
    let gate = gate();
    gate.grant(&[EDA_COLLECT], None, 0).unwrap();
    let permit = gate.permit(Modality::Eda).unwrap();
    (gate, permit)
}

#[test]
fn c1_default_deny_per_modality_and_purpose() {
    let (gate, _) = granted();
    assert!(gate.permit::<Collect>(Modality::Hrv).is_err());
    assert!(gate.permit::<Infer>(Modality::Eda).is_err());
    let refused = gate.permit::<Share>(Modality::Eda).unwrap_err();
    assert_eq!(refused.to_string(), "no consent to share eda: ask the person for it first");
}

#[test]
fn c2_every_change_ends_the_permits_before_it() {
    for change in [
        |g: &Gate| g.withdraw(1),
        |g: &Gate| g.pause(1),
        |g: &Gate| g.grant(&[EDA_COLLECT], None, 1),
    ] {
        let (gate, permit) = granted();
        assert_eq!(permit.check(), Ok(()));
        change(&gate).unwrap();
        assert_eq!(permit.check(), Err(Refused::Superseded));
    }
}

#[test]
fn c11_nothing_is_inferred_before_the_current_notice_is_acknowledged() {
    let infer = |gate: &Gate| gate.permit::<Infer>(Modality::Eda).map(drop);
    let gate = gate();
    let uses = [EDA_COLLECT, (Modality::Eda, Purpose::Infer)];
    gate.grant(&uses, None, 0).unwrap();
    assert_eq!(infer(&gate), Err(Refused::NotAcknowledged));
    assert!(gate.permit::<Collect>(Modality::Eda).is_ok());
    gate.acknowledge(1).unwrap();
    assert_eq!(infer(&gate), Ok(()));

    // A new text, even under the old version, is another notice.
    let stored = gate.record();
    let notice = NoticeRef { sha256: Digest([1; 32]), ..NoticeRef::unknown() };
    let updated = Gate::new(stored.person, stored.device, notice);
    updated.resume(stored).unwrap();
    assert_eq!(infer(&updated), Err(Refused::NotAcknowledged));
    updated.grant(&uses, None, 2).unwrap();
    assert_eq!(infer(&updated), Err(Refused::NotAcknowledged));
    updated.acknowledge(3).unwrap();
    assert_eq!(infer(&updated), Ok(()));
}

/// Remembers what it was told.
#[derive(Debug, Default)]
struct Minutes(Mutex<Vec<String>>);

impl Witness for Minutes {
    fn record(&self, record: &ConsentRecord) -> Result<(), FramesError> {
        self.0.lock().unwrap().push(format!("{} {:?}", record.epoch, record.state));
        Ok(())
    }

    fn forget(&self) -> Result<(), FramesError> {
        self.0.lock().unwrap().push("forgotten".into());
        Ok(())
    }
}

#[test]
fn c8_what_stopped_is_written_down_in_its_place() {
    let minutes = Arc::new(Minutes::default());
    let gate = gate().witnessed(Arc::<Minutes>::clone(&minutes));
    gate.grant(&[EDA_COLLECT], None, 0).unwrap();
    gate.pause_now(1);
    gate.withdraw_now(2);
    assert_eq!(minutes.0.lock().unwrap().len(), 1, "stopping waits for no disk");
    gate.grant(&[EDA_COLLECT], None, 3).unwrap();
    gate.settle().unwrap();
    let expected = ["1 Given", "2 Paused", "3 Withdrawn", "forgotten", "4 Given"];
    assert_eq!(*minutes.0.lock().unwrap(), expected);
}

/// A witness whose disk is full, or that cannot destroy.
#[derive(Debug)]
struct Failing {
    records: bool,
    /// How often it was tried.
    forgotten: AtomicU64,
}

impl Witness for Failing {
    fn record(&self, _: &ConsentRecord) -> Result<(), FramesError> {
        if self.records { Ok(()) } else { Err(FramesError::new("the disk is full")) }
    }

    fn forget(&self) -> Result<(), FramesError> {
        self.forgotten.fetch_add(1, Ordering::Relaxed);
        Err(FramesError::new("the key store does not answer"))
    }
}

#[test]
fn a_full_disk_grants_nothing_and_stops_everything() {
    let (gate, permit) = granted();
    let gate = gate.witnessed(Arc::new(Failing { records: false, forgotten: AtomicU64::new(0) }));
    let refused = gate.grant(&[EDA_COLLECT], None, 1).unwrap_err().to_string();
    assert!(refused.contains("nothing was granted: the disk is full"), "{refused}");
    assert_eq!(permit.check(), Ok(()), "what was granted before stands");
    assert!(matches!(gate.pause(1), Err(ConsentError::NotRecorded(_))));
    assert_eq!(permit.check(), Err(Refused::Superseded));
    assert!(matches!(gate.withdraw(1), Err(ConsentError::NotRecorded(_))));
    assert!(gate.permit::<Collect>(Modality::Eda).is_err());
}

#[test]
fn c4_a_full_disk_does_not_keep_what_was_withdrawn() {
    let (gate, _) = granted();
    let failing = Arc::new(Failing { records: false, forgotten: AtomicU64::new(0) });
    let gate = gate.witnessed(Arc::<Failing>::clone(&failing));
    assert!(matches!(gate.withdraw(1), Err(ConsentError::NotRecorded(_))));
    assert_eq!(failing.forgotten.load(Ordering::Relaxed), 1);
}

#[test]
fn c4_what_cannot_be_destroyed_is_said() {
    let (gate, permit) = granted();
    let gate = gate.witnessed(Arc::new(Failing { records: true, forgotten: AtomicU64::new(0) }));
    assert!(matches!(gate.withdraw(1), Err(ConsentError::NotForgotten(_))));
    assert_eq!(permit.check(), Err(Refused::Superseded));
}

#[test]
fn c5_pause_keeps_grants_and_survives_a_restart() {
    let (gate, _) = granted();
    let stored = gate.pause(1).unwrap();
    let restarted = Gate::new(stored.person, stored.device, NoticeRef::unknown());
    restarted.resume(stored).unwrap();
    assert_eq!(restarted.permit::<Collect>(Modality::Eda).unwrap_err(), Refused::Paused);
    restarted.unpause(2).unwrap();
    assert!(restarted.permit::<Collect>(Modality::Eda).is_ok());
}

#[test]
fn c6_the_clock_set_back_extends_nothing() {
    let gate = gate();
    gate.grant(&[EDA_COLLECT], Some(1_000), 0).unwrap();
    let permit = gate.permit::<Collect>(Modality::Eda).unwrap();
    gate.tick(1_000);
    assert_eq!(permit.check(), Err(Refused::Expired));
    gate.tick(10);
    assert_eq!(permit.check(), Err(Refused::Expired));
    assert_eq!(gate.permit::<Collect>(Modality::Eda).unwrap_err(), Refused::Expired);
}

#[test]
fn foreign_and_older_records_are_refused() {
    let (gate, _) = granted();
    let other = Gate::new(Uuid::from_u128(9), Uuid::from_u128(2), NoticeRef::unknown());
    assert_eq!(other.resume(gate.record()), Err(GateError::Foreign));
    let old = gate.record();
    gate.pause(1).unwrap();
    assert_eq!(gate.resume(old), Err(GateError::Older { found: 1, current: 2 }));
}

proptest! {
    /// Whatever happens before: after a withdrawal no permit, old or new, holds.
    #[test]
    fn c3_after_withdrawal_nothing_is_permitted(steps in prop::collection::vec(0u8..4, 0..20)) {
        let gate = gate();
        let mut permits = Vec::new();
        for step in steps {
            match step {
                0 => drop(gate.grant(&[EDA_COLLECT], None, 0)),
                1 => drop(gate.pause(0)),
                2 => drop(gate.unpause(0)),
                _ => drop(gate.withdraw(0)),
            }
            permits.extend(gate.permit::<Collect>(Modality::Eda));
        }
        gate.withdraw(0).unwrap();
        prop_assert!(permits.iter().all(|p| p.check().is_err()));
        prop_assert!(gate.permit::<Collect>(Modality::Eda).is_err());
    }
}
