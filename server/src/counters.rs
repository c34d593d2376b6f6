//! What was stored and what was refused: loss is counted, never silent.

use crate::store::Totals;
use protocol::{event::Verdict, problem::ErrorCode};

/// A reading of the server's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Consent records in the database.
    pub consents: u64,
    /// Events in the database.
    pub events: u64,
    /// Outcomes in the database.
    pub outcomes: u64,
    /// Items recognised as stored before, since the server started.
    pub duplicates: u64,
    /// What was refused since the server started.
    pub refused: Refused,
}

/// Refusals by reason, since the server started. An item of a batch counts as one; so does a
/// request that was refused unread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Items without a valid grant.
    pub no_consent: u64,
    /// Items whose id or epoch was used for another body.
    pub conflict: u64,
    /// Items with a value out of range.
    pub invalid: u64,
    /// Requests that could not be read.
    pub malformed: u64,
    /// Requests with too much.
    pub too_large: u64,
}

impl Refused {
    /// All reasons together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.no_consent + self.conflict + self.invalid + self.malformed + self.too_large
    }

    pub(crate) const fn count(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::NoConsent => self.no_consent += 1,
            ErrorCode::Conflict => self.conflict += 1,
            ErrorCode::Invalid => self.invalid += 1,
            ErrorCode::Malformed => self.malformed += 1,
            ErrorCode::TooLarge => self.too_large += 1,
            // Not refusals of what a client sent.
            ErrorCode::NotFound | ErrorCode::Unavailable | ErrorCode::Internal => {}
        }
    }
}

impl Counters {
    pub(crate) fn starting_with(totals: Totals) -> Self {
        let Totals { consents, events, outcomes } = totals;
        Self { consents, events, outcomes, ..Self::default() }
    }

    /// Counts what did not become a new row.
    pub(crate) const fn count_rest(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Duplicate => self.duplicates += 1,
            Verdict::Rejected { code, .. } => self.refused.count(*code),
            Verdict::Stored | Verdict::Retry => {}
        }
    }
}
