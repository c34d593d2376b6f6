//! What became of a request.

use super::Reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "request_id": "0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e",
    "state": "done", "rows": 3, "stored": 1, "duplicates": 1, "refused": 1,
    "reasons": {"no_consent": 1}, "validate_only": false,
    "errors": [{"row": 2, "reason": "no_consent",
        "detail": "nothing says that the person agreed to this kind of data: send consent"}]
})))]
pub struct IntakeReply {
    /// Under this id the status stays to be asked for; `null` after `validate_only`.
    pub request_id: Option<Uuid>,
    /// The counts.
    #[serde(flatten)]
    pub status: RequestStatus,
    /// The first rows that were not taken, at most [`Self::MOST_ERRORS`]; the others are in the
    /// pages of the request's status.
    pub errors: Vec<RowError>,
}

impl IntakeReply {
    /// Most rows named in an answer.
    pub const MOST_ERRORS: usize = 100;
}

/// How far a request is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Rows are still being taken.
    Running,
    /// It broke off before the end: the sender went away, or the server failed. What is counted was
    /// taken; sent again, it is recognised.
    Broken,
    /// Every row was looked at.
    #[default]
    Done,
}

/// How a request went: counts, no content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestStatus {
    /// How far it is.
    pub state: RequestState,
    /// Rows looked at.
    pub rows: u64,
    /// Rows stored.
    pub stored: u64,
    /// Rows that were stored before.
    pub duplicates: u64,
    /// Rows that were not taken.
    pub refused: u64,
    /// The latter, by reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// Whether nothing was to be stored.
    pub validate_only: bool,
}

/// A row that was not taken. It names fields, never what stood in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RowError {
    /// Its place in the request, from 1.
    pub row: u64,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people: the field, and what to do.
    pub detail: String,
}

/// The status of a request, with a page of the rows that were not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "request_id": "0199a7c4-0e1b-7c33-8f4e-2a9d5b6c7d8e", "kind": "conversions",
    "received_unix_ms": 1_763_658_245_000_i64, "next_after": null,
    "state": "done", "rows": 3, "stored": 1, "duplicates": 1, "refused": 1,
    "reasons": {"no_consent": 1}, "validate_only": false,
    "errors": [{"row": 2, "reason": "no_consent",
        "detail": "nothing says that the person agreed to this kind of data: send consent"}]
})))]
pub struct QuarantinePage {
    /// The request.
    pub request_id: Uuid,
    /// What it brought.
    pub kind: String,
    /// When it arrived, Unix milliseconds.
    pub received_unix_ms: i64,
    /// The counts.
    #[serde(flatten)]
    pub status: RequestStatus,
    /// Rows that were not taken, in their order.
    pub errors: Vec<RowError>,
    /// Ask with `after` set to this for the next page; `null` on the last.
    pub next_after: Option<u64>,
}

impl RequestStatus {
    /// Counts a row that was not taken.
    pub fn refuse(&mut self, reason: Reason) {
        self.refused = self.refused.saturating_add(1);
        let count = self.reasons.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds the counts of another part of the request.
    pub fn add(&mut self, part: &Self) {
        self.rows = self.rows.saturating_add(part.rows);
        self.stored = self.stored.saturating_add(part.stored);
        self.duplicates = self.duplicates.saturating_add(part.duplicates);
        self.refused = self.refused.saturating_add(part.refused);
        for (reason, count) in &part.reasons {
            let sum = self.reasons.entry(*reason).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
}
