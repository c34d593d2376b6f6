//! What comes in: check it, see whether it came before, ask for consent, store it.
//!
//! Each call runs in one transaction: the request's number, the consent that was checked and what
//! was stored hold together or not at all, and a batch is stored by one sync of the disk.
//!
//! **Invariant.** The order is fixed: an item that cannot be is refused first, then one that came
//! before is recognised (its answer must not change while a device repeats it), then consent is
//! asked. Nothing is written before all three.

mod clock;
mod consents;
mod rights;
mod validate;

pub use consents::{TakenConsents, consent_in_force, take_consents};
pub use rights::{erase_for, export_for};

use crate::{
    consent::{Claim, Standing},
    store::{Admission, ReceivedEvent, Store, StoreError, Writing},
};
use protocol::{
    digest::Digest,
    event::{Event, EventBatch, ItemVerdict, Verdict},
    problem::ErrorCode,
    signing::Signer,
};
use std::collections::{HashMap, hash_map::Entry};
use thiserror::Error;
use uuid::Uuid;

/// Why a request as a whole is refused. Nothing of it was stored.
#[derive(Debug, Error)]
pub enum Denied {
    /// For the reason in the code.
    #[error("{detail}")]
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        detail: String,
    },
    /// Its number is not new.
    #[error(
        "the request number must be greater than {last}: sign the request again with a new one"
    )]
    Replayed {
        /// The highest number accepted of the device.
        last: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Denied {
    pub(crate) fn refused(code: ErrorCode, detail: impl ToString) -> Self {
        Self::Refused { code, detail: detail.to_string() }
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct TakenBatch {
    /// One verdict an event, in the order sent.
    pub verdicts: Vec<ItemVerdict>,
    /// The events that were stored.
    pub stored: Vec<ReceivedEvent>,
    /// Set if every event was refused for the same of two reasons, no consent or erasure: then the
    /// request is, too, and has left no trace.
    pub refused: Option<(ErrorCode, String)>,
    /// By how much the device's count of dropped items grew.
    pub newly_dropped: u64,
}

/// Takes a batch of events: each is stored, recognised or refused on its own.
///
/// # Errors
/// [`Denied`]: nothing was stored.
pub async fn take_events(
    store: &Store,
    signer: &Signer,
    batch: EventBatch,
    received_unix_ms: i64,
) -> Result<TakenBatch, Denied> {
    let device = signer.key.device_id();
    if batch.events.iter().any(|event| event.device != device) {
        return Err(other_device());
    }
    let mut writing = store.begin().await?;
    let known = admit(&mut writing, signer, received_unix_ms).await?;
    let mut taken = TakenBatch {
        verdicts: Vec::with_capacity(batch.events.len()),
        stored: vec![],
        refused: None,
        newly_dropped: 0,
    };
    let mut standings = Standings::new();
    for event in batch.events {
        let verdict = judge_event(&mut writing, &mut standings, &event, received_unix_ms).await?;
        taken.verdicts.push(ItemVerdict { id: event.id, verdict: verdict.clone() });
        if verdict == Verdict::Stored {
            let times = clock::times(&event, &batch.sent_at, received_unix_ms);
            writing.put_event(&event, times).await?;
            taken.stored.push(ReceivedEvent { event, received_unix_ms });
        }
    }
    taken.refused = refused_altogether(&taken.verdicts);
    if known && taken.refused.is_none() {
        taken.newly_dropped = writing.note_dropped(device, batch.dropped).await?;
        writing.commit().await?;
    } else {
        writing.rollback().await?;
    }
    Ok(taken)
}

/// Checks and raises the request number; whether the device is known.
async fn admit(
    writing: &mut Writing,
    signer: &Signer,
    received_unix_ms: i64,
) -> Result<bool, Denied> {
    match writing.admit(signer, received_unix_ms).await? {
        Admission::Admitted => Ok(true),
        Admission::Unknown => Ok(false),
        Admission::Replayed(last) => Err(Denied::Replayed { last }),
        Admission::OtherKey => Err(other_device()),
    }
}

fn other_device() -> Denied {
    let detail = "the request is signed by another device than the one it is about";
    Denied::refused(ErrorCode::Unauthenticated, detail)
}

fn erased() -> Denied {
    Denied::refused(ErrorCode::Erased, ERASED)
}

const ERASED: &str = "the person was erased: nothing about them is taken any more; delete it";

fn other_owner() -> Denied {
    let detail = "this pseudonym belongs to another device: make a new one for this device";
    Denied::refused(ErrorCode::NoConsent, detail)
}

/// What one transaction has looked up, by person, record and epoch: a batch asks once. `None` for
/// a person who was erased.
type Standings = HashMap<(Uuid, Uuid, u64), Option<Standing>>;

async fn judge_event(
    writing: &mut Writing,
    standings: &mut Standings,
    event: &Event,
    received_unix_ms: i64,
) -> Result<Verdict, StoreError> {
    if let Err(error) = validate::event(event) {
        return Ok(rejected(ErrorCode::Invalid, error));
    }
    if let Some(verdict) = seen(writing, event).await? {
        return Ok(verdict);
    }
    let Event { person, device, consent_record: record, consent_epoch: epoch, .. } = *event;
    let standing = match standings.entry((person, record, epoch)) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(if writing.erased(person).await? {
            None
        } else {
            Some(writing.standing(person, device, record, epoch).await?)
        }),
    };
    let Some(standing) = standing else { return Ok(rejected(ErrorCode::Erased, ERASED)) };
    let claim = Claim {
        epoch,
        modalities: &event.modalities,
        raises_price: validate::raises_price(event),
        at_unix_ms: event.at_unix_ms,
    };
    Ok(match standing.check(&claim, received_unix_ms) {
        Ok(()) => Verdict::Stored,
        Err(refusal) => rejected(ErrorCode::NoConsent, refusal),
    })
}

/// The verdict on an event whose id was used before.
async fn seen(writing: &mut Writing, event: &Event) -> Result<Option<Verdict>, StoreError> {
    let Some(known) = writing.digest_of(event.id).await? else { return Ok(None) };
    let same = known == Digest::of(&serde_json::to_vec(event)?);
    let conflict = "this id was used before for another body: give every item its own UUIDv7";
    Ok(Some(if same { Verdict::Duplicate } else { rejected(ErrorCode::Conflict, conflict) }))
}

/// The first event's reason, if every event is refused for the same reason and that is no consent
/// or erasure.
fn refused_altogether(verdicts: &[ItemVerdict]) -> Option<(ErrorCode, String)> {
    let reason = |item: &ItemVerdict| match &item.verdict {
        Verdict::Rejected { code: code @ (ErrorCode::NoConsent | ErrorCode::Erased), detail } => {
            Some((*code, detail.clone()))
        }
        _ => None,
    };
    let (code, detail) = reason(verdicts.first()?)?;
    let all = verdicts.iter().all(|item| reason(item).is_some_and(|(other, _)| other == code));
    all.then(|| match code {
        ErrorCode::Erased => (code, detail),
        _ => (code, format!("no event of the batch has consent; the first: {detail}")),
    })
}

fn rejected(code: ErrorCode, detail: impl ToString) -> Verdict {
    Verdict::Rejected { code, detail: detail.to_string() }
}
