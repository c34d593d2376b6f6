//! How an interaction ended: the label that everything else learns from.

use crate::offer::Money;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How it ended.
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

/// The end of one interaction. Needs a grant to share `behaviour`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Outcome {
    /// Identifies the outcome (UUIDv7); the server keeps the first of equal ids.
    pub id: Uuid,
    /// The device.
    pub device: Uuid,
    /// The person, under a pseudonym.
    pub person: Uuid,
    /// The session it ended.
    pub session: Uuid,
    /// The consent record it was made under.
    pub consent_record: Uuid,
    /// The epoch of that record.
    pub consent_epoch: u64,
    /// When, Unix milliseconds by the device's clock.
    pub at_unix_ms: i64,
    /// How it ended.
    pub kind: OutcomeKind,
    /// The offer's sku.
    pub sku: String,
    /// The revision on screen; 0 = the offer as listed.
    pub revision: u32,
    /// What was paid, for a purchase.
    pub paid: Option<Money>,
}
