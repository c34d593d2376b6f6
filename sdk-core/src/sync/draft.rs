//! What goes into the outbox, under which consent, and why it may not.

use crate::{
    clock::Nanos,
    consent::{Epoch, Gate, Permit, Refused, Share},
    frames::FramesError,
};
use protocol::{
    consent::{ConsentRecord, Modality, Purpose},
    event::EventBody,
};
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// An event before the outbox numbers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The session it happened in.
    pub session: Uuid,
    /// The consent it was made under.
    pub epoch: Epoch,
    /// What it was derived from. What the app did is [`Modality::Behaviour`]; so is an event that
    /// names nothing.
    pub modalities: Vec<Modality>,
    /// Session time.
    pub at: Nanos,
    /// Wall time, Unix milliseconds.
    pub at_unix_ms: i64,
    /// What happened.
    pub body: EventBody,
}

/// What may be shared at one moment.
#[derive(Debug)]
pub struct Sharing {
    pub(super) record: ConsentRecord,
    permits: Vec<Permit<Share>>,
}

impl Sharing {
    /// What a gate permits now.
    #[must_use]
    pub fn of(gate: &Gate) -> Self {
        let record = gate.record();
        let permits = Modality::ALL.iter().filter_map(|m| gate.permit(*m).ok()).collect();
        Self { record, permits }
    }

    /// Whether a draft may be queued, and as what.
    pub(super) fn check(&self, mut draft: Draft) -> Result<Draft, Refused> {
        if draft.modalities.is_empty() {
            draft.modalities.push(Modality::Behaviour);
        }
        let purpose = Purpose::Share;
        for &modality in &draft.modalities {
            let permit = self.permits.iter().find(|p| p.modality() == modality);
            let permit = permit.ok_or(Refused::NotGranted { modality, purpose })?;
            permit.check()?;
            if permit.epoch().0 != self.record.epoch {
                return Err(Refused::Superseded);
            }
        }
        // What was made under another consent does not become what this one permits.
        if draft.epoch.0 == self.record.epoch { Ok(draft) } else { Err(Refused::Superseded) }
    }
}

/// Why an event is not queued.
#[derive(Debug, Clone, Error)]
pub enum QueueError {
    /// The person did not agree to share it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No request could ever carry it.
    #[error("the event has {bytes} bytes, at most {most} can be sent: make it smaller")]
    TooLarge {
        /// Its size as JSON.
        bytes: usize,
        /// The most that fits a request.
        most: usize,
    },
    /// It has no form on the wire.
    #[error("the event holds a number that is not finite, or text that JSON cannot carry: mend it")]
    NotJson,
    /// The disk did not take it.
    #[error(
        "the event could not be written to disk and is not queued: {0}; make room or mend the \
         folder, then queue it again"
    )]
    Disk(Arc<FramesError>),
    /// The person asked for erasure.
    #[error("the person's data was erased on the server: nothing about them is queued any more")]
    Erased,
    /// There is nobody to queue it.
    #[error("synchronisation has ended: start a session, then queue the event again")]
    Ended,
}
