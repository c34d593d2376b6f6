//! What a person agreed to, as the device keeps it and the server checks it.
//!
//! Collecting, inferring, adapting, raising a price and sharing are separate purposes: a grant for
//! one never implies another (GDPR 7(2), 9(2)(a)). Silence is refusal.
//!
//! A [`ConsentRecord`] says where consent stands after a change; a [`Receipt`] is a signed record,
//! chained to the one before it; a [`Head`] is the server's signature under the newest receipt it
//! has. [`Notice`] is what the person was told.

pub mod export;
mod notice;
mod receipt;

pub use notice::{Controller, Notice, NoticeError, NoticeRef, Recipients, Retention, Setting};
#[cfg(feature = "crypto")]
pub use receipt::verify_chain;
pub use receipt::{ChainError, ConsentBatch, ConsentReply, Head, MAX_BATCH_RECEIPTS, Receipt};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Electrodermal activity (skin conductance).
    Eda,
    /// Heart-rate variability, from RR intervals.
    Hrv,
    /// Facial expression, from camera frames.
    Face,
    /// Gaze, from an eye tracker or camera frames.
    Gaze,
    /// What the person does in the app: exposures, outcomes.
    Behaviour,
}

impl Modality {
    /// Every modality, in the order of the type.
    pub const ALL: [Self; 5] = [Self::Eda, Self::Hrv, Self::Face, Self::Gaze, Self::Behaviour];

    /// The name on the wire and in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eda => "eda",
            Self::Hrv => "hrv",
            Self::Face => "face",
            Self::Gaze => "gaze",
            Self::Behaviour => "behaviour",
        }
    }
}

/// What it is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Open the sensor and read it, on the device.
    Collect,
    /// Infer interest, hesitation or stress from it, on the device.
    Infer,
    /// Adapt the offer by what was inferred: content, and price downward.
    AdaptOffer,
    /// Let what was inferred raise a price above its list price.
    RaisePrice,
    /// Send derived values (never raw signals) to the recipient.
    Share,
}

impl Purpose {
    /// Every purpose, in the order of the type.
    pub const ALL: [Self; 5] =
        [Self::Collect, Self::Infer, Self::AdaptOffer, Self::RaisePrice, Self::Share];

    /// The name on the wire and in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Infer => "infer",
            Self::AdaptOffer => "adapt_offer",
            Self::RaisePrice => "raise_price",
            Self::Share => "share",
        }
    }
}

/// Who receives what a grant lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// Nobody: it stays on the person's device.
    Device,
    /// The operator's server.
    Operator,
}

/// One permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grant {
    /// What may be measured.
    pub modality: Modality,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Who may receive the result.
    pub recipient: Recipient,
    /// When the grant ends by itself, Unix milliseconds; `None` = with the record.
    pub expires_unix_ms: Option<i64>,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// The grants hold.
    Given,
    /// The grants are kept, nothing runs.
    Paused,
    /// The grants are gone.
    Withdrawn,
}

/// The state of one person's consent on one device after a change.
///
/// Records of one person and device are ordered by `epoch`; only the highest counts, whatever the
/// order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentRecord {
    /// Identifies the record (UUIDv7).
    pub id: Uuid,
    /// The person, under a pseudonym that only the device can resolve.
    pub person: Uuid,
    /// The device the person agreed on.
    pub device: Uuid,
    /// Grows with every change on this device.
    pub epoch: u64,
    /// Where the record stands.
    pub state: ConsentState,
    /// The permissions; empty once withdrawn.
    pub grants: Vec<Grant>,
    /// The notice that was in force.
    pub notice: NoticeRef,
    /// When the person acknowledged that notice, Unix milliseconds; `None` = not yet. Without it
    /// nothing may be inferred.
    pub acknowledged_unix_ms: Option<i64>,
    /// When the change was made, Unix milliseconds by the device's clock.
    pub at_unix_ms: i64,
}

impl ConsentRecord {
    /// Whether the record permits `purpose` on `modality` toward `recipient` at a time.
    #[must_use]
    pub fn permits(
        &self,
        modality: Modality,
        purpose: Purpose,
        recipient: Recipient,
        now_unix_ms: i64,
    ) -> bool {
        self.state == ConsentState::Given
            && self.grants.iter().any(|g| {
                g.modality == modality
                    && g.purpose == purpose
                    && g.recipient == recipient
                    && g.expires_unix_ms.is_none_or(|end| now_unix_ms < end)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn record(state: ConsentState, grants: Vec<Grant>) -> ConsentRecord {
        ConsentRecord {
            id: Uuid::nil(),
            person: Uuid::nil(),
            device: Uuid::nil(),
            epoch: 1,
            state,
            grants,
            notice: NoticeRef::unknown(),
            acknowledged_unix_ms: None,
            at_unix_ms: 0,
        }
    }

    fn collect_eda(expires_unix_ms: Option<i64>) -> Grant {
        Grant {
            modality: Modality::Eda,
            purpose: Purpose::Collect,
            recipient: Recipient::Device,
            expires_unix_ms,
        }
    }

    fn check(record: &ConsentRecord, modality: Modality, purpose: Purpose, expected: bool) {
        assert_eq!(record.permits(modality, purpose, Recipient::Device, HOUR_MS), expected);
    }

    #[test]
    fn c1_only_the_exact_grant_permits() {
        check(&record(ConsentState::Given, vec![]), Modality::Eda, Purpose::Collect, false);
        let one = record(ConsentState::Given, vec![collect_eda(None)]);
        check(&one, Modality::Eda, Purpose::Collect, true);
        check(&one, Modality::Eda, Purpose::Infer, false);
        check(&one, Modality::Hrv, Purpose::Collect, false);
        assert!(!one.permits(Modality::Eda, Purpose::Collect, Recipient::Operator, HOUR_MS));
    }

    #[test]
    fn c5_paused_and_withdrawn_permit_nothing() {
        for state in [ConsentState::Paused, ConsentState::Withdrawn] {
            check(&record(state, vec![collect_eda(None)]), Modality::Eda, Purpose::Collect, false);
        }
    }

    #[test]
    fn c6_grants_end_by_themselves() {
        for (end, expected) in [(HOUR_MS, false), (HOUR_MS + 1, true)] {
            let r = record(ConsentState::Given, vec![collect_eda(Some(end))]);
            check(&r, Modality::Eda, Purpose::Collect, expected);
        }
    }
}
