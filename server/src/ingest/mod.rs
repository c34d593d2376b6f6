//! What comes in: check it, see whether it came before, ask for consent, store it.
//!
//! Each call runs in one transaction, so that the consent that was checked is the consent that
//! holds at the moment of storing, and a batch is stored by one sync of the disk.
//!
//! **Invariant.** The order is fixed: an item that cannot be is refused first, then one that came
//! before is recognised (its answer must not change while a device repeats it), then consent is
//! asked. Nothing is written before all three.

mod validate;

use crate::{
    consent::{Claim, Standing},
    store::{Digest, Store, StoreError, Writing},
};
use protocol::{
    consent::{ConsentRecord, Modality},
    event::{Event, EventBatch, ItemVerdict, Verdict},
    outcome::Outcome,
    problem::ErrorCode,
};
use serde::Serialize;
use std::collections::{HashMap, hash_map::Entry};
use uuid::Uuid;

/// What became of a batch.
#[derive(Debug)]
pub struct TakenBatch {
    /// One verdict an event, in the order sent.
    pub verdicts: Vec<ItemVerdict>,
    /// The events that were stored.
    pub stored: Vec<Event>,
}

/// What became of a consent record.
#[derive(Debug)]
pub struct TakenConsent {
    /// What became of it.
    pub verdict: Verdict,
    /// The record that counts from now on for its person and device.
    pub in_force: Option<ConsentRecord>,
}

/// Takes a consent record. A withdrawal is never refused for its epoch.
///
/// # Errors
/// [`StoreError`]: nothing was stored.
pub async fn take_consent(
    store: &Store,
    record: &ConsentRecord,
    received_unix_ms: i64,
) -> Result<TakenConsent, StoreError> {
    let refused = |verdict| TakenConsent { verdict, in_force: None };
    if let Err(error) = validate::consent(record) {
        return Ok(refused(rejected(ErrorCode::Invalid, error)));
    }
    let mut writing = store.begin().await?;
    if let Some(verdict) = seen(&mut writing, record.id, record).await? {
        return Ok(refused(verdict));
    }
    if !crate::consent::is_withdrawal(record) && writing.epoch_taken(record).await? {
        let detail = "another record of this person and device has the same epoch: \
                      count the epoch up with every change";
        return Ok(refused(rejected(ErrorCode::Conflict, detail)));
    }
    writing.put_consent(record, received_unix_ms).await?;
    let in_force = writing.in_force(record.person, record.device).await?;
    writing.commit().await?;
    Ok(TakenConsent { verdict: Verdict::Stored, in_force })
}

/// Takes a batch of events: each is stored, recognised or refused on its own.
///
/// # Errors
/// [`StoreError`]: nothing was stored.
pub async fn take_events(
    store: &Store,
    batch: EventBatch,
    received_unix_ms: i64,
) -> Result<TakenBatch, StoreError> {
    // By the device's clock the batch left "now": the rest is its clock's error, transit included.
    let clock_correction_ms = received_unix_ms.saturating_sub(batch.sent_at_unix_ms);
    let mut taken = TakenBatch { verdicts: Vec::with_capacity(batch.events.len()), stored: vec![] };
    let mut writing = store.begin().await?;
    let mut standings = Standings::new();
    for event in batch.events {
        let verdict = judge_event(&mut writing, &mut standings, &event, received_unix_ms).await?;
        taken.verdicts.push(ItemVerdict { id: event.id, verdict: verdict.clone() });
        if verdict == Verdict::Stored {
            writing.put_event(&event, received_unix_ms, clock_correction_ms).await?;
            taken.stored.push(event);
        }
    }
    writing.commit().await?;
    Ok(taken)
}

/// Takes an outcome.
///
/// # Errors
/// [`StoreError`]: nothing was stored.
pub async fn take_outcome(
    store: &Store,
    outcome: &Outcome,
    received_unix_ms: i64,
) -> Result<Verdict, StoreError> {
    if let Err(error) = validate::outcome(outcome) {
        return Ok(rejected(ErrorCode::Invalid, error));
    }
    let mut writing = store.begin().await?;
    if let Some(verdict) = seen(&mut writing, outcome.id, outcome).await? {
        return Ok(verdict);
    }
    let claim = Claim {
        person: outcome.person,
        device: outcome.device,
        record: outcome.consent_record,
        epoch: outcome.consent_epoch,
        modalities: &[Modality::Behaviour],
        at_unix_ms: outcome.at_unix_ms,
    };
    let mut standings = Standings::new();
    let verdict = ask_consent(&mut writing, &mut standings, &claim, received_unix_ms).await?;
    if verdict == Verdict::Stored {
        writing.put_outcome(outcome, received_unix_ms).await?;
        writing.commit().await?;
    }
    Ok(verdict)
}

/// What one transaction has looked up, by person, device and record: a batch asks once.
type Standings = HashMap<(Uuid, Uuid, Uuid), Standing>;

async fn judge_event(
    writing: &mut Writing,
    standings: &mut Standings,
    event: &Event,
    received_unix_ms: i64,
) -> Result<Verdict, StoreError> {
    if let Err(error) = validate::event(event) {
        return Ok(rejected(ErrorCode::Invalid, error));
    }
    if let Some(verdict) = seen(writing, event.id, event).await? {
        return Ok(verdict);
    }
    let claim = Claim {
        person: event.person,
        device: event.device,
        record: event.consent_record,
        epoch: event.consent_epoch,
        modalities: &event.modalities,
        at_unix_ms: event.at_unix_ms,
    };
    ask_consent(writing, standings, &claim, received_unix_ms).await
}

/// The verdict on an item whose id was used before.
async fn seen(
    writing: &mut Writing,
    id: Uuid,
    body: &impl Serialize,
) -> Result<Option<Verdict>, StoreError> {
    let Some(known) = writing.digest_of(id).await? else { return Ok(None) };
    let same = known == Digest::of(body)?;
    let conflict = "this id was used before for another body: give every item its own UUIDv7";
    Ok(Some(if same { Verdict::Duplicate } else { rejected(ErrorCode::Conflict, conflict) }))
}

/// [`Verdict::Stored`] if the item may be stored.
async fn ask_consent(
    writing: &mut Writing,
    standings: &mut Standings,
    claim: &Claim<'_>,
    received_unix_ms: i64,
) -> Result<Verdict, StoreError> {
    let standing = match standings.entry((claim.person, claim.device, claim.record)) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => {
            place.insert(writing.standing(claim.person, claim.device, claim.record).await?)
        }
    };
    Ok(match standing.check(claim, received_unix_ms) {
        Ok(()) => Verdict::Stored,
        Err(refusal) => rejected(ErrorCode::NoConsent, refusal),
    })
}

fn rejected(code: ErrorCode, detail: impl ToString) -> Verdict {
    Verdict::Rejected { code, detail: detail.to_string() }
}
