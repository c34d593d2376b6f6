//! Receipts: every signature and link is checked, and a withdrawal always takes effect.
//!
//! Receipts are taken one after the other. One that does not continue the stored chain is refused
//! with the place to send from, and the rest of the batch is still looked at: a withdrawal that is
//! properly signed is stored even out of place, and what it ends is deleted in the same
//! transaction.

use super::{Denied, admit, erased, other_device, other_owner, validate};
use crate::{
    consent::is_withdrawal,
    intake::{Effects, Follow},
    store::{
        Action, Actor, Entry, Removed, Store, StoreError, StoredReceipt, Tip, Writing, person_hash,
    },
};
use protocol::{
    consent::{ConsentBatch, ConsentRecord, Head, MAX_BATCH_RECEIPTS, Receipt},
    digest::Digest,
    key::SigningKey,
    problem::ErrorCode,
    signing::Signer,
};
use uuid::Uuid;

/// What became of a batch of receipts.
#[derive(Debug)]
pub struct TakenConsents {
    /// The server's signature under the receipt in force.
    pub head: Head,
    /// The record that counts from now on; `None` for a person who was erased.
    pub in_force: Option<ConsentRecord>,
    /// How many receipts are new.
    pub stored: u64,
    /// How many were there before.
    pub known: u64,
    /// The highest epoch of a new withdrawal.
    pub withdrawn: Option<u64>,
    /// What the withdrawal deleted.
    pub removed: Removed,
    /// The first receipt that was refused, though others were stored.
    pub refused: Option<RefusedReceipt>,
}

/// Why a receipt was refused.
#[derive(Debug)]
pub struct RefusedReceipt {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub detail: String,
    /// Whether another receipt stands in its place.
    pub fork: bool,
}

/// Takes receipts.
///
/// # Errors
/// [`Denied`]: nothing was stored.
pub async fn take_consents(
    store: &Store,
    follow: &dyn Follow,
    server_key: &SigningKey,
    signer: &Signer,
    batch: &ConsentBatch,
    received_unix_ms: i64,
) -> Result<TakenConsents, Denied> {
    let device = signer.key.device_id();
    let (person, last) = check_shape(batch, device)?;
    // Before the transaction: signatures take longer than rows, and nobody else can write in it.
    let checked: Vec<_> = batch.receipts.iter().map(check_receipt).collect();
    let mut writing = store.begin().await?;
    let known_device = admit(&mut writing, signer, received_unix_ms).await?;
    let owner = writing.owner(person).await?;
    if writing.erased(person).await? {
        return after_erasure(last, server_key, received_unix_ms);
    }
    if owner.is_some_and(|owner| owner != device) {
        return Err(other_owner());
    }
    let mut taking = Taking {
        writing,
        tip: Tip { epoch: 0, digest: Digest::NONE },
        signer,
        known_device,
        known_person: owner.is_some(),
        received_unix_ms,
        stored: 0,
        known: 0,
        withdrawn: None,
        unlinked: false,
        refused: None,
    };
    taking.tip = taking.writing.tip(person, device).await?;
    for (receipt, checked) in batch.receipts.iter().zip(checked) {
        match checked {
            Ok(digest) => taking.take(receipt, digest).await?,
            Err(detail) => taking.refuse(ErrorCode::Invalid, detail, false),
        }
    }
    taking.finish(person, device, server_key, follow).await
}

/// The receipt that counts for a person on the signing device, under the server's signature.
///
/// # Errors
/// [`Denied`]; 404 if none is known.
pub async fn consent_in_force(
    store: &Store,
    server_key: &SigningKey,
    signer: &Signer,
    (person, device): (Uuid, Uuid),
    received_unix_ms: i64,
) -> Result<(Receipt, Head), Denied> {
    if signer.key.device_id() != device {
        return Err(other_device());
    }
    let mut writing = store.begin().await?;
    admit(&mut writing, signer, received_unix_ms).await?;
    match writing.in_force_of(person, device).await? {
        Some(stored) => {
            writing.commit().await?;
            let head = head_of(&stored, server_key)?;
            Ok((stored.receipt, head))
        }
        None if writing.erased(person).await? => Err(erased()),
        None => {
            let detail = "no consent record is known for this person and device";
            Err(Denied::refused(ErrorCode::NotFound, detail))
        }
    }
}

/// All receipts are of one person and the signing device; gives the person and the last receipt.
fn check_shape(batch: &ConsentBatch, device: Uuid) -> Result<(Uuid, &Receipt), Denied> {
    let invalid = |detail: &str| Err(Denied::refused(ErrorCode::Invalid, detail));
    let (Some(first), Some(last)) = (batch.receipts.first(), batch.receipts.last()) else {
        return invalid("receipts is empty: send at least one");
    };
    if batch.receipts.len() > MAX_BATCH_RECEIPTS {
        let detail = format!("at most {MAX_BATCH_RECEIPTS} receipts are taken at once");
        return Err(Denied::refused(ErrorCode::TooLarge, detail));
    }
    if batch.receipts.iter().any(|receipt| receipt.record.device != device) {
        return Err(other_device());
    }
    let person = first.record.person;
    if batch.receipts.iter().any(|receipt| receipt.record.person != person) {
        return invalid("receipts are of several people: send those of each by themselves");
    }
    Ok((person, last))
}

/// What can be said of a receipt by itself; gives its digest, or what is wrong.
fn check_receipt(receipt: &Receipt) -> Result<Digest, String> {
    validate::consent(&receipt.record).map_err(|error| error.to_string())?;
    let checked = receipt.verify().and_then(|()| Ok(receipt.digest()?));
    checked.map_err(|error| error.to_string())
}

/// A withdrawal of somebody who was erased is answered, for the device to be at ease, and not
/// stored; anything else is refused.
fn after_erasure(
    last: &Receipt,
    server_key: &SigningKey,
    received_unix_ms: i64,
) -> Result<TakenConsents, Denied> {
    if !is_withdrawal(&last.record) || last.verify().is_err() {
        return Err(erased());
    }
    let stored = StoredReceipt { receipt: last.clone(), received_unix_ms };
    Ok(TakenConsents {
        head: head_of(&stored, server_key)?,
        in_force: None,
        stored: 0,
        known: 0,
        withdrawn: None,
        removed: Removed::default(),
        refused: None,
    })
}

fn head_of(stored: &StoredReceipt, server_key: &SigningKey) -> Result<Head, Denied> {
    let head = Head::sign(&stored.receipt, stored.received_unix_ms, server_key);
    head.map_err(|error| Denied::refused(ErrorCode::Invalid, error))
}

struct Taking<'a> {
    writing: Writing,
    tip: Tip,
    signer: &'a Signer,
    known_device: bool,
    known_person: bool,
    received_unix_ms: i64,
    stored: u64,
    known: u64,
    withdrawn: Option<u64>,
    unlinked: bool,
    refused: Option<RefusedReceipt>,
}

impl Taking<'_> {
    async fn take(&mut self, receipt: &Receipt, digest: Digest) -> Result<(), Denied> {
        let record = &receipt.record;
        if self.writing.has_receipt(&digest).await? {
            self.known += 1;
            return Ok(());
        }
        let next = self.tip.epoch.saturating_add(1);
        let linked = record.epoch == next && receipt.previous == self.tip.digest;
        let withdrawal = is_withdrawal(record);
        if !linked && !withdrawal {
            self.refuse_place(record.epoch, next);
            return Ok(());
        }
        self.make_rows(record).await?;
        self.writing.put_receipt(receipt, &digest, linked, self.received_unix_ms).await?;
        self.stored += 1;
        if withdrawal {
            self.withdrawn = self.withdrawn.max(Some(record.epoch));
            self.unlinked |= !linked;
        }
        if linked {
            let tip = Tip { epoch: record.epoch, digest };
            self.tip = self.writing.link_followers(record.person, record.device, tip).await?;
        }
        Ok(())
    }

    /// The first receipt that is accepted makes the rows of device and person.
    async fn make_rows(&mut self, record: &ConsentRecord) -> Result<(), StoreError> {
        if !self.known_device {
            self.writing.put_device(self.signer, self.received_unix_ms).await?;
            self.known_device = true;
        }
        if !self.known_person {
            self.writing.put_person(record.person, record.device, self.received_unix_ms).await?;
            self.known_person = true;
        }
        Ok(())
    }

    fn refuse_place(&mut self, epoch: u64, next: u64) {
        if epoch > next {
            let detail = format!("receipt {next} is missing: send the receipts from epoch {next}");
            self.refuse(ErrorCode::Conflict, detail, false);
        } else {
            let detail = format!(
                "receipt {epoch} does not continue the chain that was received before, which has \
                 {} receipts: one device signed two histories; send the chain that has them, from \
                 epoch {next}",
                self.tip.epoch
            );
            self.refuse(ErrorCode::Conflict, detail, true);
        }
    }

    fn refuse(&mut self, code: ErrorCode, detail: String, fork: bool) {
        self.refused.get_or_insert(RefusedReceipt { code, detail, fork });
    }

    async fn finish(
        mut self,
        person: Uuid,
        device: Uuid,
        server_key: &SigningKey,
        follow: &dyn Follow,
    ) -> Result<TakenConsents, Denied> {
        let mut removed = Removed::default();
        if let Some(epoch) = self.withdrawn {
            removed = self.writing.remove_up_to(person, device, epoch).await?;
            // What operators report about the same person stands on the same consent.
            let now = self.received_unix_ms;
            if let Some(root) = self.writing.forget_behaviour(person, now).await? {
                let (rebuild, forgotten) = ([root].into(), [root].into());
                let effects = Effects { rebuild, forgotten, ..Effects::default() };
                follow.follow(&mut self.writing, &effects, now).await?;
            }
        }
        self.write_down(person, removed).await?;
        let in_force = self.writing.in_force_of(person, device).await?;
        let Some(in_force) = in_force else {
            // Nothing was there and nothing could be taken: no trace is left.
            self.writing.rollback().await?;
            let (code, detail) = match self.refused {
                Some(RefusedReceipt { code, detail, .. }) => (code, detail),
                None => (ErrorCode::Invalid, "no receipt could be taken".to_owned()),
            };
            return Err(Denied::Refused { code, detail });
        };
        let head = head_of(&in_force, server_key)?;
        self.writing.commit().await?;
        Ok(TakenConsents {
            head,
            in_force: Some(in_force.receipt.record),
            stored: self.stored,
            known: self.known,
            withdrawn: self.withdrawn,
            removed,
            refused: self.refused,
        })
    }

    async fn write_down(&mut self, person: Uuid, removed: Removed) -> Result<(), StoreError> {
        let (actor, about) = (Actor::Device, Some(person_hash(person)));
        if self.stored > 0 {
            let result = format!("stored {} receipts", self.stored);
            let entry = Entry { actor, action: Action::Consent, about, result };
            self.writing.audit(&entry, self.received_unix_ms).await?;
        }
        if let Some(epoch) = self.withdrawn {
            let place = if self.unlinked { "out of place" } else { "in its place" };
            let events = removed.events;
            let result = format!("at epoch {epoch}, {place}; deleted {events} events");
            let entry = Entry { actor, action: Action::Withdrawal, about, result };
            self.writing.audit(&entry, self.received_unix_ms).await?;
        }
        Ok(())
    }
}
