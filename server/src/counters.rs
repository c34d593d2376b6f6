//! What was stored and what was refused: loss is counted, never silent.

use crate::store::{Removed, Totals};
use protocol::{event::Verdict, problem::ErrorCode};

/// A reading of the server's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Consent receipts in the database.
    pub consents: u64,
    /// Events in the database, outcomes among them. Withdrawal, erasure and age take them away.
    pub events: u64,
    /// Outcomes in the database.
    pub outcomes: u64,
    /// Events taken since the server started, whatever became of them afterwards.
    pub events_taken: u64,
    /// Items that devices have dropped before they could be sent, by their own counts.
    pub dropped: u64,
    /// Items recognised as stored before, since the server started.
    pub duplicates: u64,
    /// What was refused since the server started.
    pub refused: Refused,
}

/// Refusals by reason, since the server started. An item of a batch counts as one; so does a
/// request that was refused unread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Requests without a valid signature of the device they are about.
    pub unauthenticated: u64,
    /// Requests whose number was not new.
    pub replayed: u64,
    /// Items without a valid grant.
    pub no_consent: u64,
    /// Items about people who were erased.
    pub erased: u64,
    /// Items whose id or place was used for another body.
    pub conflict: u64,
    /// Items with a value out of range.
    pub invalid: u64,
    /// Requests that could not be read.
    pub malformed: u64,
    /// Requests with too much.
    pub too_large: u64,
    /// Requests whose key lacks the scope.
    pub forbidden: u64,
}

impl Refused {
    /// All reasons together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.unauthenticated
            + self.replayed
            + self.no_consent
            + self.erased
            + self.conflict
            + self.invalid
            + self.malformed
            + self.too_large
            + self.forbidden
    }

    pub(crate) const fn count(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::Unauthenticated => self.unauthenticated += 1,
            ErrorCode::Replayed => self.replayed += 1,
            ErrorCode::Erased => self.erased += 1,
            ErrorCode::NoConsent => self.no_consent += 1,
            ErrorCode::Conflict => self.conflict += 1,
            ErrorCode::Invalid => self.invalid += 1,
            ErrorCode::Malformed => self.malformed += 1,
            ErrorCode::TooLarge => self.too_large += 1,
            ErrorCode::Forbidden => self.forbidden += 1,
            // Not refusals of what a client sent.
            ErrorCode::NotFound
            | ErrorCode::TooManyRequests
            | ErrorCode::Unavailable
            | ErrorCode::Internal => {}
        }
    }
}

impl Counters {
    pub(crate) fn starting_with(totals: Totals) -> Self {
        let Totals { consents, events, outcomes, dropped } = totals;
        Self { consents, events, outcomes, dropped, ..Self::default() }
    }

    pub(crate) const fn remove(&mut self, removed: Removed) {
        self.consents = self.consents.saturating_sub(removed.receipts);
        self.events = self.events.saturating_sub(removed.events);
        self.outcomes = self.outcomes.saturating_sub(removed.outcomes);
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
