//! What the page and other systems read. None of it can write.

use super::{Store, StoreError, write};
use protocol::{consent::ConsentRecord, event::Event, outcome::Outcome};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Consent records.
    pub consents: u64,
    /// Events.
    pub events: u64,
    /// Outcomes.
    pub outcomes: u64,
}

impl Store {
    /// The record that counts for a person on a device: the highest epoch, whatever came when.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn in_force(
        &self,
        person: Uuid,
        device: Uuid,
    ) -> Result<Option<ConsentRecord>, StoreError> {
        write::in_force(&mut *self.readers.acquire().await?, person, device).await
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let (consents, events, outcomes): (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM consents), (SELECT count(*) FROM events),
                 (SELECT count(*) FROM outcomes)",
        )
        .fetch_one(&self.readers)
        .await?;
        let [consents, events, outcomes] = [consents, events, outcomes].map(i64::unsigned_abs);
        Ok(Totals { consents, events, outcomes })
    }

    /// The records in force that arrived last, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_consents(&self, most: u32) -> Result<Vec<ConsentRecord>, StoreError> {
        let rows = sqlx::query_scalar(
            "SELECT record FROM consents AS c
             WHERE NOT EXISTS (SELECT 1 FROM consents AS o
                 WHERE o.person = c.person AND o.device = c.device
                   AND (o.epoch, o.state = 'withdrawn', -o.number)
                       > (c.epoch, c.state = 'withdrawn', -c.number))
             ORDER BY number DESC LIMIT ?",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        oldest_first(rows)
    }

    /// The events that arrived last, oldest first, without those that a withdrawal has overtaken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_events(&self, most: u32) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query_scalar(
            "SELECT payload FROM events AS e
             WHERE NOT EXISTS (SELECT 1 FROM consents AS w
                 WHERE w.person = e.person AND w.device = e.device
                   AND w.state = 'withdrawn' AND w.epoch >= e.consent_epoch)
             ORDER BY number DESC LIMIT ?",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        oldest_first(rows)
    }

    /// The outcomes that arrived last, oldest first, without those that a withdrawal has overtaken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_outcomes(&self, most: u32) -> Result<Vec<Outcome>, StoreError> {
        let rows = sqlx::query_scalar(
            "SELECT payload FROM outcomes AS u
             WHERE NOT EXISTS (SELECT 1 FROM consents AS w
                 WHERE w.person = u.person AND w.device = u.device
                   AND w.state = 'withdrawn' AND w.epoch >= u.consent_epoch)
             ORDER BY number DESC LIMIT ?",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        oldest_first(rows)
    }
}

fn oldest_first<T: DeserializeOwned>(rows: Vec<String>) -> Result<Vec<T>, StoreError> {
    rows.iter().rev().map(|json| Ok(serde_json::from_str(json)?)).collect()
}
