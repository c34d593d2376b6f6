//! The holder of what a person agreed to on this device.

use super::permit::{Epoch, Permit, Refused, Scope, Shared};
use protocol::consent::{ConsentRecord, ConsentState, Grant, Modality, Purpose, Recipient};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering};
use thiserror::Error;
use uuid::Uuid;

/// Decides what may run. Default deny; cheap to clone, all clones are the same gate.
///
/// # Examples
/// ```
/// use protocol::consent::{Modality, Purpose};
/// use sdk_core::consent::{Collect, Gate};
/// use uuid::Uuid;
///
/// let gate = Gate::new(Uuid::now_v7(), Uuid::now_v7());
/// assert!(gate.permit::<Collect>(Modality::Eda).is_err());
///
/// gate.grant("notice-1", &[(Modality::Eda, Purpose::Collect)], None, 0);
/// let permit = gate.permit::<Collect>(Modality::Eda).unwrap();
/// assert!(permit.check().is_ok());
///
/// gate.withdraw(1);
/// assert!(permit.check().is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Gate {
    shared: Arc<Shared>,
    record: Arc<Mutex<ConsentRecord>>,
}

/// Why a stored record cannot be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GateError {
    /// The record belongs to somebody else.
    #[error("the consent record is of another person or device: ask this person anew")]
    Foreign,
    /// The record is older than what the gate knows.
    #[error("the consent record has epoch {found}, the gate is at {current}: it is out of date")]
    Older {
        /// Epoch of the record.
        found: u64,
        /// Epoch of the gate.
        current: u64,
    },
}

impl Gate {
    /// A gate that permits nothing.
    #[must_use]
    pub fn new(person: Uuid, device: Uuid) -> Self {
        let record = ConsentRecord {
            id: Uuid::now_v7(),
            person,
            device,
            epoch: 0,
            state: ConsentState::Withdrawn,
            grants: Vec::new(),
            notice_version: String::new(),
            at_unix_ms: 0,
        };
        Self { shared: Arc::default(), record: Arc::new(Mutex::new(record)) }
    }

    /// Takes up a record stored by an earlier session: pause and grants survive a restart (C5).
    ///
    /// # Errors
    /// [`GateError`] when the record is of somebody else, or older than the gate.
    pub fn resume(&self, stored: ConsentRecord) -> Result<(), GateError> {
        let mut record = self.lock();
        if (stored.person, stored.device) != (record.person, record.device) {
            return Err(GateError::Foreign);
        }
        if stored.epoch < record.epoch {
            return Err(GateError::Older { found: stored.epoch, current: record.epoch });
        }
        self.shared.epoch.store(stored.epoch, Ordering::Release);
        *record = stored;
        Ok(())
    }

    /// Records that the person, having seen the notice, agreed to exactly these uses. What was
    /// granted before and is not listed is gone.
    pub fn grant(
        &self,
        notice_version: &str,
        uses: &[(Modality, Purpose)],
        expires_unix_ms: Option<i64>,
        now_unix_ms: i64,
    ) -> ConsentRecord {
        let grants = uses.iter().map(|&(modality, purpose)| Grant {
            modality,
            purpose,
            recipient: recipient(purpose),
            expires_unix_ms,
        });
        let grants = grants.collect();
        self.change(now_unix_ms, |record| {
            record.state = ConsentState::Given;
            record.grants = grants;
            record.notice_version = notice_version.to_owned();
        })
    }

    /// Takes everything back. When this returns, every permit ever handed out is refused (C3).
    pub fn withdraw(&self, now_unix_ms: i64) -> ConsentRecord {
        self.change(now_unix_ms, |record| {
            record.state = ConsentState::Withdrawn;
            record.grants.clear();
        })
    }

    /// Stops everything, keeping the grants (C5). Does nothing to what was withdrawn.
    pub fn pause(&self, now_unix_ms: i64) -> ConsentRecord {
        self.change(now_unix_ms, |record| {
            if record.state == ConsentState::Given {
                record.state = ConsentState::Paused;
            }
        })
    }

    /// Lets what was paused run again.
    pub fn unpause(&self, now_unix_ms: i64) -> ConsentRecord {
        self.change(now_unix_ms, |record| {
            if record.state == ConsentState::Paused {
                record.state = ConsentState::Given;
            }
        })
    }

    /// Asks for a permit.
    ///
    /// # Errors
    /// [`Refused`] says which grant is missing, or that sensing is paused.
    pub fn permit<S: Scope>(&self, modality: Modality) -> Result<Permit<S>, Refused> {
        let record = self.lock();
        if record.state == ConsentState::Paused {
            return Err(Refused::Paused);
        }
        let to = recipient(S::PURPOSE);
        let grant = record
            .grants
            .iter()
            .find(|g| (g.modality, g.purpose, g.recipient) == (modality, S::PURPOSE, to))
            .filter(|_| record.state == ConsentState::Given)
            .ok_or(Refused::NotGranted { modality, purpose: S::PURPOSE })?;
        let permit = Permit::new(
            modality,
            Epoch(record.epoch),
            grant.expires_unix_ms,
            Arc::clone(&self.shared),
        );
        permit.check().map(|()| permit)
    }

    /// Tells the gate the wall time, for expiry. Time never moves back (C6).
    pub fn tick(&self, now_unix_ms: i64) {
        let now = u64::try_from(now_unix_ms).unwrap_or(0);
        self.shared.latest_unix_ms.fetch_max(now, Ordering::AcqRel);
    }

    /// The record in force.
    #[must_use]
    pub fn record(&self) -> ConsentRecord {
        self.lock().clone()
    }

    /// The epoch in force.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.shared.epoch.load(Ordering::Acquire))
    }

    fn change(&self, now_unix_ms: i64, edit: impl FnOnce(&mut ConsentRecord)) -> ConsentRecord {
        self.tick(now_unix_ms);
        let mut record = self.lock();
        edit(&mut record);
        record.epoch += 1;
        record.id = Uuid::now_v7();
        record.at_unix_ms = now_unix_ms;
        self.shared.epoch.store(record.epoch, Ordering::Release);
        record.clone()
    }

    /// A poisoned lock is taken all the same: the record is replaced as a whole, never half.
    fn lock(&self) -> MutexGuard<'_, ConsentRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sharing means the operator; everything else stays on the device.
const fn recipient(purpose: Purpose) -> Recipient {
    match purpose {
        Purpose::Share => Recipient::Operator,
        Purpose::Collect | Purpose::Infer | Purpose::AdaptOffer | Purpose::RaisePrice => {
            Recipient::Device
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Collect, Infer, Share};
    use super::*;
    use proptest::prelude::*;

    const EDA_COLLECT: (Modality, Purpose) = (Modality::Eda, Purpose::Collect);

    fn gate() -> Gate {
        Gate::new(Uuid::from_u128(1), Uuid::from_u128(2))
    }

    fn granted() -> (Gate, Permit<Collect>) {
        let gate = gate();
        gate.grant("1", &[EDA_COLLECT], None, 0);
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
            |g: &Gate| g.grant("2", &[EDA_COLLECT], None, 1),
        ] {
            let (gate, permit) = granted();
            assert_eq!(permit.check(), Ok(()));
            change(&gate);
            assert_eq!(permit.check(), Err(Refused::Superseded));
        }
    }

    #[test]
    fn c5_pause_keeps_grants_and_survives_a_restart() {
        let (gate, _) = granted();
        let stored = gate.pause(1);
        let restarted = Gate::new(stored.person, stored.device);
        restarted.resume(stored).unwrap();
        assert_eq!(restarted.permit::<Collect>(Modality::Eda).unwrap_err(), Refused::Paused);
        restarted.unpause(2);
        assert!(restarted.permit::<Collect>(Modality::Eda).is_ok());
    }

    #[test]
    fn c6_the_clock_set_back_extends_nothing() {
        let gate = gate();
        gate.grant("1", &[EDA_COLLECT], Some(1_000), 0);
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
        let other = Gate::new(Uuid::from_u128(9), Uuid::from_u128(2));
        assert_eq!(other.resume(gate.record()), Err(GateError::Foreign));
        let old = gate.record();
        gate.pause(1);
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
                    0 => drop(gate.grant("1", &[EDA_COLLECT], None, 0)),
                    1 => drop(gate.pause(0)),
                    2 => drop(gate.unpause(0)),
                    _ => drop(gate.withdraw(0)),
                }
                permits.extend(gate.permit::<Collect>(Modality::Eda));
            }
            gate.withdraw(0);
            prop_assert!(permits.iter().all(|p| p.check().is_err()));
            prop_assert!(gate.permit::<Collect>(Modality::Eda).is_err());
        }
    }
}
