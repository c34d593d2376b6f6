//! One transaction of the only writer.

use super::StoreError;
use crate::consent::Standing;
use protocol::{
    consent::{ConsentRecord, ConsentState},
    event::Event,
    outcome::{Outcome, OutcomeKind},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

/// SHA-256 over the body of an item as the server reads it: what the server does not know does not
/// count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

/// An open transaction. Dropped without [`commit`](Self::commit), it leaves no trace.
#[derive(Debug)]
pub struct Writing {
    transaction: Transaction<'static, Sqlite>,
}

impl Writing {
    pub(super) fn new(transaction: Transaction<'static, Sqlite>) -> Self {
        Self { transaction }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`StoreError::Query`]: nothing was stored.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// [`StoreError::Query`] when the connection broke; nothing was stored either way.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }

    /// The digest of the body that was taken under an id.
    ///
    /// # Errors
    /// [`StoreError::Query`].
    pub async fn digest_of(&mut self, id: Uuid) -> Result<Option<Digest>, StoreError> {
        let digest: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT digest FROM received WHERE id = ?")
                .bind(bytes(&id))
                .fetch_optional(&mut *self.transaction)
                .await?;
        Ok(digest.and_then(|bytes| bytes.try_into().ok()).map(Digest))
    }

    /// Whether a record other than a withdrawal holds an epoch.
    ///
    /// # Errors
    /// [`StoreError::Query`].
    pub async fn epoch_taken(&mut self, record: &ConsentRecord) -> Result<bool, StoreError> {
        let taken = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM consents
             WHERE person = ? AND device = ? AND epoch = ? AND state <> 'withdrawn')",
        )
        .bind(bytes(&record.person))
        .bind(bytes(&record.device))
        .bind(whole(record.epoch, "the consent epoch")?)
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok(taken)
    }

    /// The record that counts for a person on a device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn in_force(
        &mut self,
        person: Uuid,
        device: Uuid,
    ) -> Result<Option<ConsentRecord>, StoreError> {
        in_force(&mut self.transaction, person, device).await
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
    ) -> Result<Standing, StoreError> {
        let made_under: Option<String> = sqlx::query_scalar(
            "SELECT record FROM consents WHERE id = ? AND person = ? AND device = ?",
        )
        .bind(bytes(&record))
        .bind(bytes(&person))
        .bind(bytes(&device))
        .fetch_optional(&mut *self.transaction)
        .await?;
        let withdrawn: Option<i64> = sqlx::query_scalar(
            "SELECT max(epoch) FROM consents
             WHERE person = ? AND device = ? AND state = 'withdrawn'",
        )
        .bind(bytes(&person))
        .bind(bytes(&device))
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok(Standing {
            in_force: self.in_force(person, device).await?,
            made_under: made_under.map(|json| serde_json::from_str(&json)).transpose()?,
            withdrawn_epoch: withdrawn.and_then(|epoch| u64::try_from(epoch).ok()),
        })
    }

    /// Stores a consent record.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_consent(
        &mut self,
        record: &ConsentRecord,
        received_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let json = self.put_received(record.id, record, received_unix_ms).await?;
        sqlx::query(
            "INSERT INTO consents (id, person, device, epoch, state, received_unix_ms, record)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(bytes(&record.id))
        .bind(bytes(&record.person))
        .bind(bytes(&record.device))
        .bind(whole(record.epoch, "the consent epoch")?)
        .bind(state_name(record.state))
        .bind(received_unix_ms)
        .bind(json)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Stores an event.
    ///
    /// `clock_correction_ms`: what the device's clock was behind the server's when it was sent.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_event(
        &mut self,
        event: &Event,
        received_unix_ms: i64,
        clock_correction_ms: i64,
    ) -> Result<(), StoreError> {
        let json = self.put_received(event.id, event, received_unix_ms).await?;
        sqlx::query(
            "INSERT INTO events (id, kind, person, device, session, sequence, consent_record,
                 consent_epoch, at_unix_ms, at_session_ms, received_unix_ms, clock_correction_ms,
                 payload)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(bytes(&event.id))
        .bind(event.body.kind())
        .bind(bytes(&event.person))
        .bind(bytes(&event.device))
        .bind(bytes(&event.session))
        .bind(whole(event.sequence, "the sequence number")?)
        .bind(bytes(&event.consent_record))
        .bind(whole(event.consent_epoch, "the consent epoch")?)
        .bind(event.at_unix_ms)
        .bind(whole(event.at_session_ms, "the session time")?)
        .bind(received_unix_ms)
        .bind(clock_correction_ms)
        .bind(json)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Stores an outcome.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_outcome(
        &mut self,
        outcome: &Outcome,
        received_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let json = self.put_received(outcome.id, outcome, received_unix_ms).await?;
        sqlx::query(
            "INSERT INTO outcomes (id, kind, person, device, session, consent_record,
                 consent_epoch, at_unix_ms, received_unix_ms, payload)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(bytes(&outcome.id))
        .bind(outcome_name(outcome.kind))
        .bind(bytes(&outcome.person))
        .bind(bytes(&outcome.device))
        .bind(bytes(&outcome.session))
        .bind(bytes(&outcome.consent_record))
        .bind(whole(outcome.consent_epoch, "the consent epoch")?)
        .bind(outcome.at_unix_ms)
        .bind(received_unix_ms)
        .bind(json)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Remembers an id and the digest of its body; gives the body back as JSON.
    async fn put_received(
        &mut self,
        id: Uuid,
        body: &impl Serialize,
        received_unix_ms: i64,
    ) -> Result<String, StoreError> {
        let json = serde_json::to_string(body)?;
        let digest = Digest::of_json(&json);
        sqlx::query("INSERT INTO received (id, digest, received_unix_ms) VALUES (?, ?, ?)")
            .bind(bytes(&id))
            .bind(digest.0.as_slice())
            .bind(received_unix_ms)
            .execute(&mut *self.transaction)
            .await?;
        Ok(json)
    }
}

impl Digest {
    /// The digest of a body.
    ///
    /// # Errors
    /// [`StoreError::Record`] when it has no JSON form.
    pub fn of(body: &impl Serialize) -> Result<Self, StoreError> {
        Ok(Self::of_json(&serde_json::to_string(body)?))
    }

    fn of_json(json: &str) -> Self {
        Self(Sha256::digest(json).into())
    }
}

/// Highest epoch first; within an epoch a withdrawal, then the record that arrived first.
pub(super) async fn in_force(
    connection: &mut SqliteConnection,
    person: Uuid,
    device: Uuid,
) -> Result<Option<ConsentRecord>, StoreError> {
    let json: Option<String> = sqlx::query_scalar(
        "SELECT record FROM consents WHERE person = ? AND device = ?
         ORDER BY epoch DESC, state = 'withdrawn' DESC, number LIMIT 1",
    )
    .bind(bytes(&person))
    .bind(bytes(&device))
    .fetch_optional(connection)
    .await?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}

fn bytes(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

fn whole(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Range(what))
}

/// The names in the schema's CHECK.
const fn state_name(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Given => "given",
        ConsentState::Paused => "paused",
        ConsentState::Withdrawn => "withdrawn",
    }
}

const fn outcome_name(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Purchased => "purchased",
        OutcomeKind::Declined => "declined",
        OutcomeKind::Abandoned => "abandoned",
    }
}
