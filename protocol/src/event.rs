//! What a device reports, in batches, at least once.

use crate::{
    consent::Modality,
    intent::IntentEstimate,
    offer::{Money, OfferRevision},
    problem::ErrorCode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Most events a server takes in one batch.
pub const MAX_BATCH_EVENTS: usize = 500;
/// Most bytes a server takes in one request.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// One thing that happened, derived on the device. Never a raw signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Identifies the event (UUIDv7); the server keeps the first of equal ids.
    pub id: Uuid,
    /// Grows with each event of a device. A gap is an event that was dropped or purged; after a
    /// withdrawal it may begin again at 1.
    pub sequence: u64,
    /// The device.
    pub device: Uuid,
    /// The person, under a pseudonym.
    pub person: Uuid,
    /// The session it happened in.
    pub session: Uuid,
    /// The consent record it was made under.
    pub consent_record: Uuid,
    /// The epoch of that record.
    pub consent_epoch: u64,
    /// What it was derived from: each needs a grant to share.
    pub modalities: Vec<Modality>,
    /// When, Unix milliseconds by the device's clock.
    pub at_unix_ms: i64,
    /// When, milliseconds of session time.
    pub at_session_ms: u64,
    /// What.
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// A session began.
    SessionStarted {
        /// Version of the SDK.
        sdk_version: String,
    },
    /// A summary of the features of one modality.
    Features {
        /// Name to value, in the units of the feature schema.
        values: BTreeMap<String, f64>,
        /// Share of the windows that was real data, 0..=1.
        coverage: f64,
    },
    /// What the model inferred.
    Intent(IntentEstimate),
    /// The offer was changed.
    OfferRevised(Box<OfferRevision>),
    /// The interaction ended: the label that everything else learns from.
    Outcome(Outcome),
    /// A session ended.
    SessionEnded {
        /// Samples lost between device and features, by the devices' own counters.
        samples_lost: u64,
    },
}

impl EventBody {
    /// The tag on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SessionStarted { .. } => "session_started",
            Self::Features { .. } => "features",
            Self::Intent(_) => "intent",
            Self::OfferRevised(_) => "offer_revised",
            Self::Outcome(_) => "outcome",
            Self::SessionEnded { .. } => "session_ended",
        }
    }
}

/// How an interaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// Bought.
    Purchased,
    /// Said no.
    Declined,
    /// Left without a word.
    Abandoned,
}

/// The end of one interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Outcome {
    /// How it ended.
    pub kind: OutcomeKind,
    /// The offer's sku.
    pub sku: String,
    /// The revision on screen; 0 = the offer as listed.
    pub revision: u32,
    /// What was paid, for a purchase.
    pub paid: Option<Money>,
}

/// The device's clocks at one moment.
///
/// An event of the same session is dated by the session clock, which nobody can set: received time
/// minus what passed since the event. Others are dated by the wall clock and its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SentAt {
    /// Unix milliseconds by the device's clock.
    pub unix_ms: i64,
    /// The session under way.
    pub session: Uuid,
    /// Milliseconds of session time.
    pub session_ms: u64,
}

/// The body of `POST /v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventBatch {
    /// When the batch left, by the device's clocks: tells their error.
    pub sent_at: SentAt,
    /// Items this device has dropped, ever: its queue was full, or they grew too old.
    pub dropped: u64,
    /// At most [`MAX_BATCH_EVENTS`], in order of sequence.
    pub events: Vec<Event>,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Stored.
    Stored,
    /// Stored before, the same body: done.
    Duplicate,
    /// Not now: keep it and send it again.
    Retry,
    /// Never: take it out of the queue.
    Rejected {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        detail: String,
    },
}

/// The verdict on one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemVerdict {
    /// The item.
    pub id: Uuid,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The answer to a batch: one verdict an item, in the order sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchReply {
    /// One an item.
    pub verdicts: Vec<ItemVerdict>,
}
