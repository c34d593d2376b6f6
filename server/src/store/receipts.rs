//! Receipts as rows: a chain a person and device, and withdrawals that came out of place.
//!
//! `linked` receipts stand in an unbroken chain from the first. Only a withdrawal is ever stored
//! unlinked; it is linked once the receipts between have arrived.

use super::{
    StoreError, Writing, bytes, fixed,
    seal::{PersonKey, Sealed, json_of},
    whole,
};
use crate::consent::Standing;
use protocol::{
    consent::{ConsentRecord, ConsentState, Receipt},
    digest::Digest,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use uuid::Uuid;

/// The last link of a chain; epoch 0 and [`Digest::NONE`] before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its epoch.
    pub epoch: u64,
    /// Its digest.
    pub digest: Digest,
}

/// A receipt as stored.
#[derive(Debug, Clone)]
pub struct StoredReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// When it arrived.
    pub received_unix_ms: i64,
}

impl Writing {
    /// The last link of a chain.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tip(&mut self, person: Uuid, device: Uuid) -> Result<Tip, StoreError> {
        let row = sqlx::query(
            "SELECT epoch, digest FROM receipts WHERE person = $1 AND device = $2 AND linked = 1
             ORDER BY epoch DESC LIMIT 1",
        )
        .bind(bytes(&person))
        .bind(bytes(&device))
        .fetch_optional(&mut *self.transaction)
        .await?;
        let Some(row) = row else { return Ok(Tip { epoch: 0, digest: Digest::NONE }) };
        let epoch = row.try_get::<i64, _>("epoch")?.unsigned_abs();
        Ok(Tip { epoch, digest: Digest(fixed(row.try_get("digest")?)?) })
    }

    /// Whether a receipt was stored before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_receipt(&mut self, digest: &Digest) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT 1 FROM receipts WHERE digest = $1");
        let row = query.bind(&digest.0[..]).fetch_optional(&mut *self.transaction).await?;
        Ok(row.is_some())
    }

    /// Stores a receipt.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_receipt(
        &mut self,
        receipt: &Receipt,
        digest: &Digest,
        linked: bool,
        received_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let record = &receipt.record;
        let (json, _) = json_of(receipt)?;
        let key = self.key(record.person).await?;
        let Sealed { nonce, bytes: sealed } = key.seal(&digest.0, &json)?;
        sqlx::query(
            "INSERT INTO receipts (digest, previous, record, person, device, epoch, state, linked,
                 received_unix_ms, nonce, sealed)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&digest.0[..])
        .bind(&receipt.previous.0[..])
        .bind(bytes(&record.id))
        .bind(bytes(&record.person))
        .bind(bytes(&record.device))
        .bind(whole(record.epoch, "the consent epoch")?)
        .bind(state_name(record.state))
        .bind(i64::from(linked))
        .bind(received_unix_ms)
        .bind(&nonce[..])
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Links the withdrawals that came before what they follow; gives the last link.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn link_followers(
        &mut self,
        person: Uuid,
        device: Uuid,
        mut tip: Tip,
    ) -> Result<Tip, StoreError> {
        loop {
            let next = tip.epoch.saturating_add(1);
            let follower: Option<Vec<u8>> = sqlx::query_scalar(
                "UPDATE receipts SET linked = 1 WHERE number = (SELECT min(number) FROM receipts
                     WHERE person = $1 AND device = $2 AND epoch = $3 AND linked = 0 AND previous = $4)
                 RETURNING digest",
            )
            .bind(bytes(&person))
            .bind(bytes(&device))
            .bind(whole(next, "the consent epoch")?)
            .bind(&tip.digest.0[..])
            .fetch_optional(&mut *self.transaction)
            .await?;
            let Some(digest) = follower else { return Ok(tip) };
            tip = Tip { epoch: next, digest: Digest(fixed(&digest)?) };
        }
    }

    /// The receipt that counts for a person on a device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn in_force_of(
        &mut self,
        person: Uuid,
        device: Uuid,
    ) -> Result<Option<StoredReceipt>, StoreError> {
        let row = in_force_row(&mut self.transaction, person, device).await?;
        let Some(row) = row else { return Ok(None) };
        let key = self.key(person).await?;
        Ok(Some(receipt_of(&row, &key)?))
    }

    /// All that decides whether something made under a consent record may be stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing(
        &mut self,
        person: Uuid,
        device: Uuid,
        record: Uuid,
        epoch: u64,
    ) -> Result<Standing, StoreError> {
        let Some(in_force) = self.in_force_of(person, device).await? else {
            return Ok(Standing::default());
        };
        let in_force = in_force.receipt.record;
        let made_under = if in_force.id == record && in_force.epoch == epoch {
            Some(in_force.clone())
        } else {
            self.record(person, device, record, epoch).await?
        };
        let withdrawn: Option<i64> = sqlx::query_scalar(
            "SELECT max(epoch) FROM receipts
             WHERE person = $1 AND device = $2 AND state = 'withdrawn'",
        )
        .bind(bytes(&person))
        .bind(bytes(&device))
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok(Standing {
            in_force: Some(in_force),
            made_under,
            withdrawn_epoch: withdrawn.and_then(|epoch| u64::try_from(epoch).ok()),
        })
    }

    /// A record by its id; of several, the one of the epoch.
    async fn record(
        &mut self,
        person: Uuid,
        device: Uuid,
        record: Uuid,
        epoch: u64,
    ) -> Result<Option<ConsentRecord>, StoreError> {
        let row = sqlx::query(
            "SELECT digest, received_unix_ms, nonce, sealed FROM receipts
             WHERE person = $1 AND device = $2 AND record = $3 ORDER BY epoch = $4 DESC LIMIT 1",
        )
        .bind(bytes(&person))
        .bind(bytes(&device))
        .bind(bytes(&record))
        .bind(i64::try_from(epoch).unwrap_or(i64::MAX))
        .fetch_optional(&mut *self.transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let key = self.key(person).await?;
        Ok(Some(receipt_of(&row, &key)?.receipt.record))
    }
}

/// Highest epoch first; within an epoch a withdrawal, then the lower digest: what came first does
/// not matter.
pub(super) async fn in_force_row(
    connection: &mut AnyConnection,
    person: Uuid,
    device: Uuid,
) -> Result<Option<AnyRow>, StoreError> {
    let row = sqlx::query(
        "SELECT digest, received_unix_ms, nonce, sealed FROM receipts
         WHERE person = $1 AND device = $2
         ORDER BY epoch DESC, state = 'withdrawn' DESC, digest LIMIT 1",
    )
    .bind(bytes(&person))
    .bind(bytes(&device))
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

pub(super) fn receipt_of(row: &AnyRow, key: &PersonKey) -> Result<StoredReceipt, StoreError> {
    Ok(StoredReceipt {
        receipt: key.open(row.try_get("digest")?, row.try_get("nonce")?, row.try_get("sealed")?)?,
        received_unix_ms: row.try_get("received_unix_ms")?,
    })
}

/// The names in the schema's CHECK.
const fn state_name(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Given => "given",
        ConsentState::Paused => "paused",
        ConsentState::Withdrawn => "withdrawn",
    }
}
