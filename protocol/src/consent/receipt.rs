//! Signed consent records in a chain, and the server's signature under its newest link.
//!
//! A receipt names the digest of the receipt before it, so that nothing can be changed, left out
//! or put in between without breaking the chain. What can be cut off unseen is its end; against
//! that stands the [`Head`], which the server signed for the newest receipt it received.

use crate::{
    canonical::{NotCanonical, canonical_bytes},
    consent::ConsentRecord,
    digest::Digest,
    key::{PublicKey, Signature},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Most receipts a server takes in one request.
pub const MAX_BATCH_RECEIPTS: usize = 500;

/// Keeps a signature of one kind from passing as one of another.
#[cfg(feature = "crypto")]
const RECEIPT_DOMAIN: &[u8] = b"attune consent receipt v1\n";
#[cfg(feature = "crypto")]
const HEAD_DOMAIN: &[u8] = b"attune consent head v1\n";

/// A consent record, signed by the device on which the person made the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// The state after the change. Its epoch is the place in the chain, from 1.
    pub record: ConsentRecord,
    /// Digest of the receipt before; zeros for the first.
    pub previous: Digest,
    /// The device's key.
    pub key: PublicKey,
    /// Of `key`, over everything above.
    pub signature: Signature,
}

/// The server's word on how far it has seen a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Head {
    /// Whose chain.
    pub person: Uuid,
    /// Of which device.
    pub device: Uuid,
    /// The newest receipt's epoch.
    pub epoch: u64,
    /// The newest receipt's digest.
    pub receipt: Digest,
    /// When it was received, Unix milliseconds by the server's clock.
    pub received_unix_ms: i64,
    /// The server's key.
    pub key: PublicKey,
    /// Of `key`, over everything above.
    pub signature: Signature,
}

/// The body of `POST /v1/consents`: what the server may not have, in the order of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentBatch {
    /// At most [`MAX_BATCH_RECEIPTS`], all of one person and device.
    pub receipts: Vec<Receipt>,
}

/// The answer: all of them are stored, now or before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentReply {
    /// The server's signature under the newest receipt it has.
    pub head: Head,
}

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// The chain is empty.
    #[error("there is no receipt")]
    Empty,
    /// A receipt stands in the wrong place.
    #[error("receipt {expected} is missing: found number {found} in its place")]
    Missing {
        /// The place.
        expected: u64,
        /// What stands there.
        found: u64,
    },
    /// A receipt does not follow from the one before it.
    #[error("receipt {epoch} does not follow receipt {}: one of them was changed", .epoch - 1)]
    Link {
        /// The receipt.
        epoch: u64,
    },
    /// A signature does not hold.
    #[error("receipt {epoch} was changed: its signature does not hold")]
    Signature {
        /// The receipt.
        epoch: u64,
    },
    /// The device's id is not that of the key.
    #[error("receipt {epoch} is signed by another device than it names")]
    Device {
        /// The receipt.
        epoch: u64,
    },
    /// The receipt is of another chain.
    #[error("receipt {epoch} is of another person or device than the first")]
    Foreign {
        /// The receipt.
        epoch: u64,
    },
    /// The server saw more than there is.
    #[error("the newest receipts are missing: the server has signed for {seen}, there are {found}")]
    Truncated {
        /// What the server saw.
        seen: u64,
        /// What there is.
        found: u64,
    },
    /// The server saw another receipt in this place.
    #[error("receipt {epoch} is not the one that the server has signed for")]
    Forked {
        /// The receipt.
        epoch: u64,
    },
    /// The server's signature does not hold, or is of another chain or server.
    #[error("the server's signature under the chain does not hold")]
    Head,
    /// A record that cannot be signed.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
}

#[cfg(feature = "crypto")]
#[derive(Serialize)]
struct ReceiptBody<'a> {
    record: &'a ConsentRecord,
    previous: &'a Digest,
    key: &'a PublicKey,
}

impl Receipt {
    /// The digest that the next receipt names.
    ///
    /// # Errors
    /// [`NotCanonical`], which no record of this crate is.
    pub fn digest(&self) -> Result<Digest, NotCanonical> {
        Ok(Digest::of(&canonical_bytes(self)?))
    }

    #[cfg(feature = "crypto")]
    fn signed_bytes(
        record: &ConsentRecord,
        previous: &Digest,
        key: &PublicKey,
    ) -> Result<Vec<u8>, NotCanonical> {
        let body = canonical_bytes(&ReceiptBody { record, previous, key })?;
        Ok([RECEIPT_DOMAIN, &body].concat())
    }

    /// Signs a record.
    ///
    /// # Errors
    /// [`NotCanonical`], which no record of this crate is.
    #[cfg(feature = "crypto")]
    pub fn sign(
        record: ConsentRecord,
        previous: Digest,
        signer: &crate::key::SigningKey,
    ) -> Result<Self, NotCanonical> {
        let key = signer.public();
        let signature = signer.sign(&Self::signed_bytes(&record, &previous, &key)?);
        Ok(Self { record, previous, key, signature })
    }

    /// Checks the receipt by itself: its signature, and that the device it names is its key's.
    ///
    /// # Errors
    /// [`ChainError::Signature`] or [`ChainError::Device`].
    #[cfg(feature = "crypto")]
    pub fn verify(&self) -> Result<(), ChainError> {
        let epoch = self.record.epoch;
        if self.record.device != self.key.device_id() {
            return Err(ChainError::Device { epoch });
        }
        let bytes = Self::signed_bytes(&self.record, &self.previous, &self.key)?;
        let held = self.key.verify(&bytes, &self.signature);
        held.map_err(|_| ChainError::Signature { epoch })
    }
}

#[cfg(feature = "crypto")]
impl Head {
    /// Signs for a receipt that was received.
    ///
    /// # Errors
    /// [`NotCanonical`], which no receipt of this crate is.
    pub fn sign(
        receipt: &Receipt,
        received_unix_ms: i64,
        signer: &crate::key::SigningKey,
    ) -> Result<Self, NotCanonical> {
        let mut head = Self {
            person: receipt.record.person,
            device: receipt.record.device,
            epoch: receipt.record.epoch,
            receipt: receipt.digest()?,
            received_unix_ms,
            key: signer.public(),
            signature: Signature([0; 64]),
        };
        head.signature = signer.sign(&head.signed_bytes()?);
        Ok(head)
    }

    /// Checks the server's signature.
    ///
    /// # Errors
    /// [`ChainError::Head`].
    pub fn verify(&self) -> Result<(), ChainError> {
        let held = self.key.verify(&self.signed_bytes()?, &self.signature);
        held.map_err(|_| ChainError::Head)
    }

    fn signed_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        Ok([HEAD_DOMAIN, &canonical_bytes(&unsigned)?].concat())
    }
}

/// Checks a whole chain from its first receipt: places, links, signatures, one person and one
/// device; and against the head, where there is one, that its end was not cut off.
///
/// # Errors
/// The first [`ChainError`] from the beginning.
#[cfg(feature = "crypto")]
pub fn verify_chain(receipts: &[Receipt], head: Option<&Head>) -> Result<(), ChainError> {
    let first = &receipts.first().ok_or(ChainError::Empty)?.record;
    let mut previous = Digest::NONE;
    for (expected, receipt) in (1..).zip(receipts) {
        let (record, epoch) = (&receipt.record, receipt.record.epoch);
        if epoch != expected {
            return Err(ChainError::Missing { expected, found: epoch });
        }
        receipt.verify()?;
        if (record.person, record.device) != (first.person, first.device) {
            return Err(ChainError::Foreign { epoch });
        }
        if receipt.previous != previous {
            return Err(ChainError::Link { epoch });
        }
        previous = receipt.digest()?;
        if let Some(head) = head.filter(|head| head.epoch == epoch)
            && head.receipt != previous
        {
            return Err(ChainError::Forked { epoch });
        }
    }
    let Some(head) = head else { return Ok(()) };
    head.verify()?;
    if (head.person, head.device) != (first.person, first.device) {
        return Err(ChainError::Head);
    }
    let found = receipts.len() as u64;
    if head.epoch > found {
        return Err(ChainError::Truncated { seen: head.epoch, found });
    }
    Ok(())
}

#[cfg(all(test, feature = "crypto"))]
#[allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
mod tests {
    use super::*;
    use crate::{
        consent::{ConsentState, Grant, Modality, NoticeRef, Purpose, Recipient},
        key::SigningKey,
    };
    use proptest::prelude::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32]).unwrap()
    }

    fn record(epoch: u64) -> ConsentRecord {
        let share = Grant {
            modality: Modality::Eda,
            purpose: Purpose::Share,
            recipient: Recipient::Operator,
            expires_unix_ms: Some(1_700_000_000_000),
        };
        ConsentRecord {
            id: Uuid::from_u128(u128::from(epoch)),
            person: Uuid::from_u128(7),
            device: key(1).public().device_id(),
            epoch,
            state: if epoch.is_multiple_of(3) {
                ConsentState::Withdrawn
            } else {
                ConsentState::Given
            },
            grants: if epoch.is_multiple_of(3) { vec![] } else { vec![share] },
            notice: NoticeRef { version: "1".into(), language: "en".into(), sha256: Digest::NONE },
            acknowledged_unix_ms: Some(5),
            at_unix_ms: epoch.cast_signed() * 1_000,
        }
    }

    fn chain(length: u64) -> Vec<Receipt> {
        let mut receipts: Vec<Receipt> = Vec::new();
        for epoch in 1..=length {
            let previous = receipts.last().map_or(Digest::NONE, |r| r.digest().unwrap());
            receipts.push(Receipt::sign(record(epoch), previous, &key(1)).unwrap());
        }
        receipts
    }

    #[test]
    fn c8_an_honest_chain_holds_and_its_bytes_are_fixed() {
        let receipts = chain(4);
        assert_eq!(verify_chain(&receipts, None), Ok(()));
        let head = Head::sign(&receipts[3], 9, &key(2)).unwrap();
        assert_eq!(verify_chain(&receipts, Some(&head)), Ok(()));
        insta::assert_json_snapshot!((&receipts[0], head));
    }

    #[test]
    fn c8_a_cut_tail_is_found_against_the_servers_head() {
        let receipts = chain(4);
        let head = Head::sign(&receipts[3], 9, &key(2)).unwrap();
        let cut = verify_chain(&receipts[..2], Some(&head));
        assert_eq!(cut, Err(ChainError::Truncated { seen: 4, found: 2 }));
        // A chain that was cut and grown again is another chain.
        let mut forked = receipts[..3].to_vec();
        let other = ConsentRecord { at_unix_ms: 1, ..record(4) };
        forked.push(Receipt::sign(other, forked[2].digest().unwrap(), &key(1)).unwrap());
        assert_eq!(verify_chain(&forked, None), Ok(()));
        assert_eq!(verify_chain(&forked, Some(&head)), Err(ChainError::Forked { epoch: 4 }));
        let forged = Head { epoch: 2, receipt: receipts[1].digest().unwrap(), ..head };
        assert_eq!(verify_chain(&receipts, Some(&forged)), Err(ChainError::Head));
    }

    #[test]
    fn c8_another_device_cannot_sign_for_this_one() {
        let stolen = Receipt::sign(record(1), Digest::NONE, &key(3)).unwrap();
        assert_eq!(stolen.verify(), Err(ChainError::Device { epoch: 1 }));
    }

    /// One change of one field of one receipt.
    fn tamper(receipt: &mut Receipt, what: u8) {
        let record = &mut receipt.record;
        match what {
            0 => record.state = ConsentState::Paused,
            1 => record.at_unix_ms += 1,
            2 => record.person = Uuid::from_u128(8),
            3 => record.epoch += 1,
            4 => record.id = Uuid::from_u128(99),
            5 => record.notice.version.push('x'),
            6 => record.acknowledged_unix_ms = None,
            7 => record.grants.push(Grant {
                modality: Modality::Hrv,
                purpose: Purpose::RaisePrice,
                recipient: Recipient::Device,
                expires_unix_ms: None,
            }),
            8 => receipt.previous.0[0] ^= 1,
            9 => receipt.signature.0[5] ^= 1,
            10 => receipt.key = key(3).public(),
            _ => record.device = Uuid::from_u128(1),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn c8_any_tampering_is_found(length in 1u64..6, at in any::<prop::sample::Index>(),
            what in 0u8..12)
        {
            let mut receipts = chain(length);
            let at = at.index(receipts.len());
            tamper(&mut receipts[at], what);
            prop_assert!(verify_chain(&receipts, None).is_err());
        }

        #[test]
        fn c8_leaving_out_or_swapping_is_found(length in 2u64..6,
            at in any::<prop::sample::Index>(), swap in any::<bool>())
        {
            let mut receipts = chain(length);
            let at = at.index(receipts.len() - 1);
            if swap { receipts.swap(at, at + 1) } else { drop(receipts.remove(at)) }
            prop_assert!(verify_chain(&receipts, None).is_err());
        }
    }
}
