//! The holder of what a person agreed to on this device.

use super::permit::{Epoch, Permit, Refused, Scope, Shared};
use crate::frames::FramesError;
use protocol::consent::{
    ConsentRecord, ConsentState, Grant, Modality, NoticeRef, Purpose, Recipient,
};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};
use thiserror::Error;
use uuid::Uuid;

/// Decides what may run. Default deny; cheap to clone, all clones are the same gate.
///
/// # Examples
/// ```
/// use protocol::consent::{Modality, NoticeRef, Purpose};
/// use sdk_core::consent::{Collect, Gate, Infer};
/// use uuid::Uuid;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let notice = NoticeRef::unknown();
/// let gate = Gate::new(Uuid::now_v7(), Uuid::now_v7(), notice);
/// assert!(gate.permit::<Collect>(Modality::Eda).is_err());
///
/// gate.grant(&[(Modality::Eda, Purpose::Collect), (Modality::Eda, Purpose::Infer)], None, 0)?;
/// let permit = gate.permit::<Collect>(Modality::Eda)?;
/// assert!(permit.check().is_ok());
///
/// assert!(gate.permit::<Infer>(Modality::Eda).is_err(), "the notice was not acknowledged");
/// gate.acknowledge(1)?;
/// assert!(gate.permit::<Infer>(Modality::Eda).is_ok());
///
/// gate.withdraw(2)?;
/// assert!(permit.check().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gate {
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
    /// Whose turn it is to write to the witness.
    turn: Arc<Mutex<()>>,
    /// The notice that is shown now.
    notice: Arc<NoticeRef>,
    witness: Option<Arc<dyn Witness>>,
}

#[derive(Debug)]
struct State {
    record: ConsentRecord,
    /// Stops that hold already and are still to be written down, oldest first.
    unrecorded: VecDeque<ConsentRecord>,
    /// Consent was withdrawn, and what was kept under it is still to be destroyed.
    unforgotten: bool,
}

/// Keeps what the gate decides where it survives the process.
pub trait Witness: Send + Sync + fmt::Debug {
    /// Writes a record through to disk, chained and signed.
    ///
    /// # Errors
    /// [`FramesError`]: it is not kept.
    fn record(&self, record: &ConsentRecord) -> Result<(), FramesError>;

    /// Writes down how late it is, so that a clock that is set back over a restart extends nothing.
    ///
    /// # Errors
    /// [`FramesError`]; it is tried again at the next call.
    fn seen(&self, unix_ms: i64) -> Result<(), FramesError> {
        let _ = unix_ms;
        Ok(())
    }

    /// Consent was withdrawn, and that is recorded: destroys what was kept under it. Called again,
    /// it does what is left to do.
    ///
    /// # Errors
    /// [`FramesError`]: something is left.
    fn forget(&self) -> Result<(), FramesError>;
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

/// Why a change of consent is not all that it should be.
#[derive(Debug, Error)]
pub enum ConsentError {
    /// A grant is only as good as its record.
    #[error("consent could not be recorded, so nothing was granted: {0}")]
    NotGranted(FramesError),
    /// A stop holds at once, whatever the disk says.
    #[error(
        "everything has stopped, but that could not be recorded and would not survive a restart: \
         {0}; stop again once that is mended"
    )]
    NotRecorded(FramesError),
    /// Withdrawn and recorded, but not everything is destroyed.
    #[error(
        "consent is withdrawn, but what was stored could not be destroyed: {0}; it is tried again \
         at the next start"
    )]
    NotForgotten(FramesError),
}

impl ConsentError {
    /// The same failure, in the way of a grant.
    fn into_not_granted(self) -> Self {
        match self {
            Self::NotGranted(error) | Self::NotRecorded(error) | Self::NotForgotten(error) => {
                Self::NotGranted(error)
            }
        }
    }
}

impl Gate {
    /// A gate that permits nothing. `notice` is the notice in force: see
    /// [`Notice::checked`](protocol::consent::Notice::checked).
    #[must_use]
    pub fn new(person: Uuid, device: Uuid, notice: NoticeRef) -> Self {
        let record = ConsentRecord {
            id: Uuid::now_v7(),
            person,
            device,
            epoch: 0,
            state: ConsentState::Withdrawn,
            grants: Vec::new(),
            notice: notice.clone(),
            acknowledged_unix_ms: None,
            at_unix_ms: 0,
        };
        Self {
            shared: Arc::default(),
            state: Arc::new(Mutex::new(State {
                record,
                unrecorded: VecDeque::new(),
                unforgotten: false,
            })),
            turn: Arc::default(),
            notice: Arc::new(notice),
            witness: None,
        }
    }

    /// A gate in memory, for signals whose consent is on record elsewhere (a study, a simulated
    /// body): exactly these uses are granted, and the notice counts as acknowledged.
    #[must_use]
    pub fn agreed_elsewhere(uses: &[(Modality, Purpose)]) -> Self {
        let gate = Self::new(Uuid::new_v4(), Uuid::new_v4(), NoticeRef::unknown());
        // Without a witness neither can fail.
        let granted = gate.grant(uses, None, 0).and_then(|_| gate.acknowledge(0));
        debug_assert!(granted.is_ok());
        gate
    }

    /// The same gate, whose changes are witnessed from now on.
    #[must_use]
    pub fn witnessed(self, witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness), ..self }
    }

    /// Takes up a record stored by an earlier session: pause and grants survive a restart (C5).
    ///
    /// # Errors
    /// [`GateError`] when the record is of somebody else, or older than the gate.
    pub fn resume(&self, stored: ConsentRecord) -> Result<(), GateError> {
        let mut state = self.lock();
        let record = &mut state.record;
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

    /// Records that the person agreed to exactly these uses. What was granted before and is not
    /// listed is gone. Inferring also takes [`Gate::acknowledge`].
    ///
    /// # Errors
    /// [`ConsentError::NotGranted`].
    pub fn grant(
        &self,
        uses: &[(Modality, Purpose)],
        expires_unix_ms: Option<i64>,
        now_unix_ms: i64,
    ) -> Result<ConsentRecord, ConsentError> {
        let grants = uses.iter().map(|&(modality, purpose)| Grant {
            modality,
            purpose,
            recipient: recipient(purpose),
            expires_unix_ms,
        });
        let grants = grants.collect();
        self.allow(now_unix_ms, |record| {
            record.state = ConsentState::Given;
            record.grants = grants;
            if record.notice != *self.notice {
                record.notice = NoticeRef::clone(&self.notice);
                record.acknowledged_unix_ms = None;
            }
        })
    }

    /// Records that the person has read the notice in force.
    ///
    /// # Errors
    /// [`ConsentError::NotGranted`].
    pub fn acknowledge(&self, now_unix_ms: i64) -> Result<ConsentRecord, ConsentError> {
        self.allow(now_unix_ms, |record| {
            record.notice = NoticeRef::clone(&self.notice);
            record.acknowledged_unix_ms = Some(now_unix_ms);
        })
    }

    /// Lets what was paused run again.
    ///
    /// # Errors
    /// [`ConsentError::NotGranted`].
    pub fn unpause(&self, now_unix_ms: i64) -> Result<ConsentRecord, ConsentError> {
        self.allow(now_unix_ms, |record| {
            if record.state == ConsentState::Paused {
                record.state = ConsentState::Given;
            }
        })
    }

    /// Takes everything back. When this returns, every permit ever handed out is refused (C3), and
    /// what was kept under it is destroyed (C4).
    ///
    /// # Errors
    /// As [`Gate::settle`]; everything has stopped all the same.
    pub fn withdraw(&self, now_unix_ms: i64) -> Result<ConsentRecord, ConsentError> {
        let record = self.withdraw_now(now_unix_ms);
        self.settle().map(|()| record)
    }

    /// Stops everything, keeping the grants (C5). Does nothing to what was withdrawn.
    ///
    /// # Errors
    /// As [`Gate::settle`]; everything has stopped all the same.
    pub fn pause(&self, now_unix_ms: i64) -> Result<ConsentRecord, ConsentError> {
        let record = self.pause_now(now_unix_ms);
        self.settle().map(|()| record)
    }

    /// The part of [`Gate::withdraw`] that takes effect at once and waits for no disk.
    /// [`Gate::settle`] is the rest.
    pub fn withdraw_now(&self, now_unix_ms: i64) -> ConsentRecord {
        self.stop(now_unix_ms, |record| {
            record.state = ConsentState::Withdrawn;
            record.grants.clear();
        })
    }

    /// The part of [`Gate::pause`] that takes effect at once and waits for no disk.
    /// [`Gate::settle`] is the rest.
    pub fn pause_now(&self, now_unix_ms: i64) -> ConsentRecord {
        self.stop(now_unix_ms, |record| {
            if record.state == ConsentState::Given {
                record.state = ConsentState::Paused;
            }
        })
    }

    /// Writes down what has stopped, and destroys what was kept under a withdrawn consent. What
    /// fails is done again by the next call. Waits for the disk.
    ///
    /// # Errors
    /// [`ConsentError::NotRecorded`] or [`ConsentError::NotForgotten`].
    pub fn settle(&self) -> Result<(), ConsentError> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle_in(&turn)
    }

    fn settle_in(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), ConsentError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        // The lock is not held while the disk works: permits are asked for meanwhile.
        let mut settled = Ok(());
        loop {
            let Some(record) = self.lock().unrecorded.front().cloned() else { break };
            if let Err(error) = witness.record(&record) {
                settled = Err(ConsentError::NotRecorded(error));
                break;
            }
            self.lock().unrecorded.pop_front();
        }
        // A disk that takes no receipt is no reason to keep what was withdrawn.
        if self.lock().unforgotten {
            match witness.forget() {
                Ok(()) => self.lock().unforgotten = false,
                Err(error) => settled = settled.and(Err(ConsentError::NotForgotten(error))),
            }
        }
        settled
    }

    /// Asks for a permit.
    ///
    /// # Errors
    /// [`Refused`] says which grant is missing, or that sensing is paused.
    pub fn permit<S: Scope>(&self, modality: Modality) -> Result<Permit<S>, Refused> {
        let record = &self.lock().record;
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
        permit.check()?;
        // What is read into a body takes more than a grant: the person knows about it (C11).
        let informed = record.notice == *self.notice && record.acknowledged_unix_ms.is_some();
        match S::PURPOSE {
            Purpose::Infer | Purpose::AdaptOffer | Purpose::RaisePrice if !informed => {
                Err(Refused::NotAcknowledged)
            }
            _ => Ok(permit),
        }
    }

    /// Tells the gate the wall time, for expiry. Time never moves back (C6).
    pub fn tick(&self, now_unix_ms: i64) {
        let now = u64::try_from(now_unix_ms).unwrap_or(0);
        self.shared.latest_unix_ms.fetch_max(now, Ordering::AcqRel);
    }

    /// [`Gate::tick`], remembered over a restart. May wait for the disk.
    ///
    /// # Errors
    /// [`FramesError`]: not remembered; the tick holds all the same.
    pub fn seen(&self, now_unix_ms: i64) -> Result<(), FramesError> {
        self.tick(now_unix_ms);
        self.witness.as_ref().map_or(Ok(()), |witness| witness.seen(now_unix_ms))
    }

    /// The record in force.
    #[must_use]
    pub fn record(&self) -> ConsentRecord {
        self.lock().record.clone()
    }

    /// The epoch in force.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.shared.epoch.load(Ordering::Acquire))
    }

    /// More may run: it is on disk before it takes effect.
    fn allow(
        &self,
        now_unix_ms: i64,
        edit: impl FnOnce(&mut ConsentRecord),
    ) -> Result<ConsentRecord, ConsentError> {
        self.tick(now_unix_ms);
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may stop between the two: what is older is written down first.
        let mut state = loop {
            self.settle_in(&turn).map_err(ConsentError::into_not_granted)?;
            let state = self.lock();
            if state.unrecorded.is_empty() {
                break state;
            }
        };
        let changed = next(&state.record, now_unix_ms, edit);
        if let Some(witness) = &self.witness {
            witness.record(&changed).map_err(ConsentError::NotGranted)?;
        }
        self.publish(&mut state, &changed);
        Ok(changed)
    }

    /// Less may run: it takes effect before anything else.
    fn stop(&self, now_unix_ms: i64, edit: impl FnOnce(&mut ConsentRecord)) -> ConsentRecord {
        self.tick(now_unix_ms);
        let mut state = self.lock();
        let changed = next(&state.record, now_unix_ms, edit);
        let withdrawn = ConsentState::Withdrawn;
        state.unforgotten |= changed.state == withdrawn && state.record.state != withdrawn;
        self.publish(&mut state, &changed);
        if self.witness.is_some() {
            state.unrecorded.push_back(changed.clone());
        }
        changed
    }

    fn publish(&self, state: &mut State, changed: &ConsentRecord) {
        self.shared.epoch.store(changed.epoch, Ordering::Release);
        state.record = changed.clone();
    }

    /// A poisoned lock is taken all the same: the record is replaced as a whole, never half.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The record after a change.
fn next(
    record: &ConsentRecord,
    now_unix_ms: i64,
    edit: impl FnOnce(&mut ConsentRecord),
) -> ConsentRecord {
    let mut changed = record.clone();
    edit(&mut changed);
    changed.epoch += 1;
    changed.id = Uuid::now_v7();
    changed.at_unix_ms = now_unix_ms;
    changed
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
#[allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
mod tests;
