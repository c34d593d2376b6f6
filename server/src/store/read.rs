//! What the page and other readers ask. None of it can write.

use super::{
    Store, StoreError, id_of,
    receipts::{StoredReceipt, in_force_row, receipt_of},
    seal::{PersonKey, person_hash},
    write,
};
use protocol::{consent::ConsentRecord, event::Event};
use sqlx::{Row, any::AnyRow};
use std::collections::{HashMap, hash_map::Entry};
use uuid::Uuid;

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Receipts.
    pub consents: u64,
    /// Events, outcomes among them.
    pub events: u64,
    /// Outcomes.
    pub outcomes: u64,
    /// Items that the devices have dropped, by their own counts.
    pub dropped: u64,
}

/// An event and when it arrived.
#[derive(Debug, Clone)]
pub struct ReceivedEvent {
    /// The event.
    pub event: Event,
    /// Unix milliseconds by the server's clock.
    pub received_unix_ms: i64,
}

impl Store {
    /// The receipt that counts for a person on a device: the highest epoch, whatever came when.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn in_force(
        &self,
        person: Uuid,
        device: Uuid,
    ) -> Result<Option<StoredReceipt>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let Some(row) = in_force_row(&mut connection, person, device).await? else {
            return Ok(None);
        };
        let key = self.keys.find(&person_hash(person)).await?.ok_or(StoreError::Sealed)?;
        Ok(Some(receipt_of(&row, &key)?))
    }

    /// The device that a pseudonym belongs to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owner(&self, person: Uuid) -> Result<Option<Uuid>, StoreError> {
        write::owner(&mut *self.readers.acquire().await?, person).await
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        // A sum of whole numbers could overflow: a device may claim any count.
        let (consents, events, outcomes, dropped): (i64, i64, i64, f64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM events),
                 (SELECT count(*) FROM events WHERE kind = 'outcome'),
                 (SELECT coalesce(sum(CAST(dropped AS DOUBLE PRECISION)), 0.0) FROM devices)",
        )
        .fetch_one(&self.readers)
        .await?;
        let [consents, events, outcomes] = [consents, events, outcomes].map(i64::unsigned_abs);
        // The cast saturates.
        let dropped = (dropped as i64).unsigned_abs();
        Ok(Totals { consents, events, outcomes, dropped })
    }

    /// The records in force that arrived last, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_consents(&self, most: u32) -> Result<Vec<ConsentRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT person, digest, received_unix_ms, nonce, sealed FROM receipts AS c
             WHERE NOT EXISTS (SELECT 1 FROM receipts AS o
                 WHERE o.person = c.person AND o.device = c.device
                   AND (o.epoch, o.state = 'withdrawn', c.digest)
                       > (c.epoch, c.state = 'withdrawn', o.digest))
             ORDER BY number DESC LIMIT $1",
        )
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let open = |row: &AnyRow, key: &PersonKey| Ok(receipt_of(row, key)?.receipt.record);
        self.open_rows(rows, open).await
    }

    /// The events that arrived last, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_events(&self, most: u32) -> Result<Vec<ReceivedEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT person, id, received_unix_ms, nonce, sealed FROM events
             ORDER BY number DESC LIMIT $1",
        )
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let open = |row: &AnyRow, key: &PersonKey| {
            let (nonce, sealed) = (row.try_get("nonce")?, row.try_get("sealed")?);
            let event = key.open(row.try_get("id")?, nonce, sealed)?;
            Ok(ReceivedEvent { event, received_unix_ms: row.try_get("received_unix_ms")? })
        };
        self.open_rows(rows, open).await
    }

    /// Opens rows, newest first, into values, oldest first. Rows whose key is gone are left out:
    /// that they exist is said when the server starts.
    async fn open_rows<T>(
        &self,
        rows: Vec<AnyRow>,
        open: impl Fn(&AnyRow, &PersonKey) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut keys: HashMap<Uuid, Option<PersonKey>> = HashMap::new();
        let mut opened = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let person = id_of(row.try_get("person")?)?;
            let key = match keys.entry(person) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.keys.find(&person_hash(person)).await?),
            };
            if let Some(key) = key {
                opened.push(open(row, key)?);
            }
        }
        Ok(opened)
    }
}
