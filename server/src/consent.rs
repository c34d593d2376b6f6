//! Whether something may be stored: the gate of the server.
//!
//! A pure function over what the database knows: receipts that devices signed.
//!
//! **Invariant.** Silence is refusal: no arm of [`Standing::check`] lets through what no record
//! permits.

use protocol::consent::{ConsentRecord, ConsentState, Modality, Purpose, Recipient};
use thiserror::Error;

/// What the database knows that bears on one claim.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The record that counts now for the person on the device.
    pub in_force: Option<ConsentRecord>,
    /// The record that the item names, if it is known and of this person and device.
    pub made_under: Option<ConsentRecord>,
    /// The highest epoch at which the person withdrew on this device.
    pub withdrawn_epoch: Option<u64>,
}

/// What an item says about its own permission.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The epoch of the consent record that it was made under.
    pub epoch: u64,
    /// What it was derived from; nothing counts as [`Modality::Behaviour`].
    pub modalities: &'a [Modality],
    /// Whether it set a price above its list price.
    pub raises_price: bool,
    /// When it was made, Unix milliseconds by the device's clock.
    pub at_unix_ms: i64,
}

/// Why a claim does not hold. The messages name no person and no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The named record was never received for this person and device.
    #[error(
        "the consent record it names is not known for this person and device: \
         send the record to /v1/consents first"
    )]
    Unknown,
    /// The named record has another epoch.
    #[error("the consent record it names is of epoch {known}, not {claimed}")]
    Epoch {
        /// The epoch of the record.
        known: u64,
        /// The epoch that was claimed.
        claimed: u64,
    },
    /// The person withdrew at that epoch or later.
    #[error("consent was withdrawn at epoch {at}; delete what was made under epoch {claimed}")]
    Withdrawn {
        /// The epoch of the withdrawal.
        at: u64,
        /// The epoch that was claimed.
        claimed: u64,
    },
    /// The record it was made under did not permit sharing this with the operator.
    #[error("the consent record it was made under did not permit sharing {} with the operator",
        .0.name())]
    NotPermittedThen(Modality),
    /// The record in force does not permit sharing this with the operator.
    #[error("the consent record in force does not permit sharing {} with the operator", .0.name())]
    NotPermittedNow(Modality),
    /// The record it was made under did not permit raising a price by this.
    #[error("the consent record it was made under did not permit raising a price by {}", .0.name())]
    PriceRaised(Modality),
}

impl Standing {
    /// Whether a claim holds when it is received. It does if
    ///
    /// 1. the record it names is known for the same person and device, with the epoch it claims;
    /// 2. the person has not withdrawn at that epoch or a later one, even if consent was given
    ///    again since: withdrawal beats late data;
    /// 3. that record permitted sharing every modality when the item was made (device's clock);
    /// 4. that record permitted raising prices by every modality, if the item raised one (C17);
    /// 5. the record in force permits sharing when the item is received (server's clock).
    ///
    /// # Errors
    /// The first [`Refusal`] in this order.
    pub fn check(&self, claim: &Claim<'_>, received_unix_ms: i64) -> Result<(), Refusal> {
        let made_under = self.made_under.as_ref().ok_or(Refusal::Unknown)?;
        if made_under.epoch != claim.epoch {
            return Err(Refusal::Epoch { known: made_under.epoch, claimed: claim.epoch });
        }
        if let Some(at) = self.withdrawn_epoch.filter(|at| *at >= claim.epoch) {
            return Err(Refusal::Withdrawn { at, claimed: claim.epoch });
        }
        let in_force = self.in_force.as_ref().ok_or(Refusal::Unknown)?;
        let modalities = match claim.modalities {
            [] => &[Modality::Behaviour],
            named => named,
        };
        for &modality in modalities {
            if !shared(made_under, modality, claim.at_unix_ms) {
                return Err(Refusal::NotPermittedThen(modality));
            }
            if claim.raises_price && !may_raise(made_under, modality, claim.at_unix_ms) {
                return Err(Refusal::PriceRaised(modality));
            }
            if !shared(in_force, modality, received_unix_ms) {
                return Err(Refusal::NotPermittedNow(modality));
            }
        }
        Ok(())
    }
}

/// Which modalities a record lets the operator receive at a time.
#[must_use]
pub fn shared_modalities(record: &ConsentRecord, now_unix_ms: i64) -> Vec<Modality> {
    Modality::ALL.into_iter().filter(|m| shared(record, *m, now_unix_ms)).collect()
}

/// Whether a record ends all that came before it.
#[must_use]
pub fn is_withdrawal(record: &ConsentRecord) -> bool {
    record.state == ConsentState::Withdrawn
}

fn shared(record: &ConsentRecord, modality: Modality, now_unix_ms: i64) -> bool {
    record.permits(modality, Purpose::Share, Recipient::Operator, now_unix_ms)
}

/// The price is raised on the device; a grant toward the operator says more, not less.
fn may_raise(record: &ConsentRecord, modality: Modality, at_unix_ms: i64) -> bool {
    let permits = |to| record.permits(modality, Purpose::RaisePrice, to, at_unix_ms);
    permits(Recipient::Device) || permits(Recipient::Operator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConsentState::{Given, Paused, Withdrawn};
    use Modality::{Behaviour, Eda, Hrv};
    use protocol::consent::Grant;
    use uuid::Uuid;

    const MADE_MS: i64 = 1_000;
    const RECEIVED_MS: i64 = 2_000;

    fn record(epoch: u64, state: ConsentState, modalities: &[Modality]) -> ConsentRecord {
        let share = |&modality| Grant {
            modality,
            purpose: Purpose::Share,
            recipient: Recipient::Operator,
            expires_unix_ms: None,
        };
        ConsentRecord {
            id: Uuid::from_u128(u128::from(epoch)),
            person: Uuid::nil(),
            device: Uuid::nil(),
            epoch,
            state,
            grants: modalities.iter().map(share).collect(),
            notice: protocol::consent::NoticeRef {
                version: "1".into(),
                language: "en".into(),
                sha256: protocol::digest::Digest::NONE,
            },
            acknowledged_unix_ms: None,
            at_unix_ms: 0,
        }
    }

    /// Checks a claim of epoch 1 after all of `records` arrived; the first is what it names.
    fn check(records: &[ConsentRecord], modalities: &[Modality], expected: Result<(), Refusal>) {
        let withdrawn = records.iter().filter(|r| is_withdrawal(r)).map(|r| r.epoch).max();
        let standing = Standing {
            in_force: records.iter().max_by_key(|r| r.epoch).cloned(),
            made_under: records.first().cloned(),
            withdrawn_epoch: withdrawn,
        };
        let claim = Claim { epoch: 1, modalities, raises_price: false, at_unix_ms: MADE_MS };
        assert_eq!(standing.check(&claim, RECEIVED_MS), expected);
    }

    #[test]
    fn c13_only_what_was_agreed_passes() {
        check(&[], &[Eda], Err(Refusal::Unknown));
        check(&[record(1, Given, &[Eda])], &[Eda], Ok(()));
        check(&[record(1, Given, &[Eda])], &[Eda, Hrv], Err(Refusal::NotPermittedThen(Hrv)));
        check(&[record(1, Given, &[Eda])], &[], Err(Refusal::NotPermittedThen(Behaviour)));
        check(&[record(1, Given, &[Behaviour])], &[], Ok(()));
        check(&[record(1, Paused, &[Eda])], &[Eda], Err(Refusal::NotPermittedThen(Eda)));
        let unclaimed = Refusal::Epoch { known: 2, claimed: 1 };
        check(&[record(2, Given, &[Eda])], &[Eda], Err(unclaimed));
    }

    #[test]
    fn c13_both_records_must_permit() {
        let (narrow, wide) = (record(1, Given, &[Eda]), record(2, Given, &[Eda, Hrv]));
        check(&[narrow, wide], &[Hrv], Err(Refusal::NotPermittedThen(Hrv)));
        let (wide, narrow) = (record(1, Given, &[Eda, Hrv]), record(2, Given, &[Eda]));
        check(&[wide, narrow], &[Hrv], Err(Refusal::NotPermittedNow(Hrv)));
        let paused = record(2, Paused, &[Eda]);
        check(&[record(1, Given, &[Eda]), paused], &[Eda], Err(Refusal::NotPermittedNow(Eda)));
    }

    #[test]
    fn c14_giving_again_does_not_revive_what_was_withdrawn() {
        let (given, withdrawn) = (record(1, Given, &[Eda]), record(2, Withdrawn, &[]));
        let refusal = Err(Refusal::Withdrawn { at: 2, claimed: 1 });
        check(&[given.clone(), withdrawn.clone()], &[Eda], refusal);
        check(&[given, withdrawn, record(3, Given, &[Eda])], &[Eda], refusal);
    }

    #[test]
    fn c17_raising_a_price_needs_its_own_grant_for_every_modality() {
        let mut given = record(1, Given, &[Eda, Hrv]);
        let mut check = |modalities: &[Modality], expected| {
            let standing = Standing {
                in_force: Some(given.clone()),
                made_under: Some(given.clone()),
                withdrawn_epoch: None,
            };
            let claim = Claim { epoch: 1, modalities, raises_price: true, at_unix_ms: MADE_MS };
            assert_eq!(standing.check(&claim, RECEIVED_MS), expected);
            given.grants.push(Grant {
                modality: Eda,
                purpose: Purpose::RaisePrice,
                recipient: Recipient::Device,
                expires_unix_ms: None,
            });
        };
        check(&[Eda], Err(Refusal::PriceRaised(Eda)));
        check(&[Eda], Ok(()));
        check(&[Eda, Hrv], Err(Refusal::PriceRaised(Hrv)));
    }

    #[test]
    fn c6_an_expired_grant_permits_nothing() {
        for (end, expected) in [
            (MADE_MS, Err(Refusal::NotPermittedThen(Eda))),
            (RECEIVED_MS, Err(Refusal::NotPermittedNow(Eda))),
            (RECEIVED_MS + 1, Ok(())),
        ] {
            let mut given = record(1, Given, &[Eda]);
            given.grants[0].expires_unix_ms = Some(end);
            check(&[given], &[Eda], expected);
        }
    }
}
