//! One transaction of the only writer: devices, people, events. Receipts and the audit log are in
//! files of their own.

use super::{
    StoreError, bytes, fixed,
    keys::Keys,
    seal::{PersonKey, Sealed, json_of, person_hash},
    whole,
};
use protocol::{digest::Digest, event::Event, key::PublicKey, signing::Signer};
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};
use std::collections::{HashMap, hash_map::Entry};
use uuid::Uuid;

/// An open transaction. Dropped without [`commit`](Self::commit), it leaves no trace.
#[derive(Debug)]
pub struct Writing {
    pub(super) transaction: Transaction<'static, Sqlite>,
    pub(super) keys: Keys,
    /// A batch is mostly of one person: the key is looked up once.
    known_keys: HashMap<Uuid, Option<PersonKey>>,
}

/// Whether a request's number is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is; the number is raised with the transaction.
    Admitted,
    /// The device has no row yet.
    Unknown,
    /// It is not; this is the highest accepted.
    Replayed(u64),
    /// The device is known by another key.
    OtherKey,
}

/// When an event happened and arrived, Unix milliseconds by the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimes {
    /// When it happened, corrected for the device's clock.
    pub corrected_unix_ms: i64,
    /// When it arrived.
    pub received_unix_ms: i64,
}

/// How many rows are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events, outcomes among them.
    pub events: u64,
    /// Outcomes.
    pub outcomes: u64,
    /// Receipts.
    pub receipts: u64,
}

impl Writing {
    pub(super) fn new(transaction: Transaction<'static, Sqlite>, keys: Keys) -> Self {
        Self { transaction, keys, known_keys: HashMap::new() }
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

    /// Checks a request's number and raises the device's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admit(
        &mut self,
        signer: &Signer,
        now_unix_ms: i64,
    ) -> Result<Admission, StoreError> {
        let device = signer.key.device_id();
        let Some((key, last)) = known_device(&mut self.transaction, device).await? else {
            return Ok(Admission::Unknown);
        };
        if key != signer.key {
            return Ok(Admission::OtherKey);
        }
        if signer.request_number <= last {
            return Ok(Admission::Replayed(last));
        }
        sqlx::query("UPDATE devices SET last_request = ?, last_seen_unix_ms = ? WHERE device = ?")
            .bind(whole(signer.request_number, "the request number")?)
            .bind(now_unix_ms)
            .bind(bytes(&device))
            .execute(&mut *self.transaction)
            .await?;
        Ok(Admission::Admitted)
    }

    /// Makes the row of a device.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_device(
        &mut self,
        signer: &Signer,
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO devices (device, key, last_request, first_seen_unix_ms, last_seen_unix_ms)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(bytes(&signer.key.device_id()))
        .bind(&signer.key.0[..])
        .bind(whole(signer.request_number, "the request number")?)
        .bind(now_unix_ms)
        .bind(now_unix_ms)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Keeps how many items a device has dropped: its count only grows. Gives by how much it did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_dropped(&mut self, device: Uuid, dropped: u64) -> Result<u64, StoreError> {
        let known: i64 = sqlx::query_scalar("SELECT dropped FROM devices WHERE device = ?")
            .bind(bytes(&device))
            .fetch_one(&mut *self.transaction)
            .await?;
        let (known, dropped) = (known.unsigned_abs(), dropped.min(i64::MAX as u64));
        if dropped <= known {
            return Ok(0);
        }
        sqlx::query("UPDATE devices SET dropped = ? WHERE device = ?")
            .bind(whole(dropped, "dropped")?)
            .bind(bytes(&device))
            .execute(&mut *self.transaction)
            .await?;
        Ok(dropped - known)
    }

    /// The device that a pseudonym belongs to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owner(&mut self, person: Uuid) -> Result<Option<Uuid>, StoreError> {
        owner(&mut self.transaction, person).await
    }

    /// Whether the person was erased.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erased(&self, person: Uuid) -> Result<bool, StoreError> {
        self.keys.erased(&person_hash(person)).await
    }

    /// Makes the row of a person, and their key.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_person(
        &mut self,
        person: Uuid,
        device: Uuid,
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let hash = person_hash(person);
        // Before the rows that it seals: a key without rows is of no use to anybody.
        let key = self.keys.find_or_make(&hash).await?;
        self.known_keys.insert(person, key);
        sqlx::query(
            "INSERT INTO people (person, hash, device, first_seen_unix_ms) VALUES (?, ?, ?, ?)",
        )
        .bind(bytes(&person))
        .bind(&hash.0[..])
        .bind(bytes(&device))
        .bind(now_unix_ms)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// The digest of the event that was taken under an id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn digest_of(&mut self, id: Uuid) -> Result<Option<Digest>, StoreError> {
        let digest: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT digest FROM received WHERE id = ?")
                .bind(bytes(&id))
                .fetch_optional(&mut *self.transaction)
                .await?;
        digest.map(|digest| Ok(Digest(fixed(&digest)?))).transpose()
    }

    /// Stores an event and remembers its id.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_event(&mut self, event: &Event, times: EventTimes) -> Result<(), StoreError> {
        let (json, digest) = json_of(event)?;
        let key = self.key(event.person).await?;
        let Sealed { nonce, bytes: sealed } = key.seal(event.id.as_bytes(), &json)?;
        let epoch = whole(event.consent_epoch, "the consent epoch")?;
        sqlx::query("INSERT INTO received VALUES (?, ?, ?, ?, ?, ?)")
            .bind(bytes(&event.id))
            .bind(bytes(&event.person))
            .bind(bytes(&event.device))
            .bind(epoch)
            .bind(&digest.0[..])
            .bind(times.received_unix_ms)
            .execute(&mut *self.transaction)
            .await?;
        sqlx::query(
            "INSERT INTO events (id, kind, person, device, session, sequence, consent_record,
                 consent_epoch, at_unix_ms, at_session_ms, at_corrected_unix_ms, received_unix_ms,
                 nonce, sealed)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(bytes(&event.id))
        .bind(event.body.kind())
        .bind(bytes(&event.person))
        .bind(bytes(&event.device))
        .bind(bytes(&event.session))
        .bind(whole(event.sequence, "the sequence number")?)
        .bind(bytes(&event.consent_record))
        .bind(epoch)
        .bind(event.at_unix_ms)
        .bind(whole(event.at_session_ms, "the session time")?)
        .bind(times.corrected_unix_ms)
        .bind(times.received_unix_ms)
        .bind(&nonce[..])
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Deletes all that was made of a person on a device under an epoch or a lower one, and what
    /// it was recognised by.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn remove_up_to(
        &mut self,
        person: Uuid,
        device: Uuid,
        epoch: u64,
    ) -> Result<Removed, StoreError> {
        let epoch = whole(epoch, "the consent epoch")?;
        let mut counts = [0; 3];
        let queries = [
            "DELETE FROM events WHERE person = ? AND device = ? AND consent_epoch <= ?
                 AND kind = 'outcome'",
            "DELETE FROM events WHERE person = ? AND device = ? AND consent_epoch <= ?",
            "DELETE FROM received WHERE person = ? AND device = ? AND consent_epoch <= ?",
        ];
        for (query, count) in queries.into_iter().zip(&mut counts) {
            let deleted = sqlx::query(query)
                .bind(bytes(&person))
                .bind(bytes(&device))
                .bind(epoch)
                .execute(&mut *self.transaction)
                .await?;
            *count = deleted.rows_affected();
        }
        let [outcomes, others, _] = counts;
        Ok(Removed { events: outcomes + others, outcomes, receipts: 0 })
    }

    /// The key of a person who has a row.
    pub(super) async fn key(&mut self, person: Uuid) -> Result<PersonKey, StoreError> {
        let known = match self.known_keys.entry(person) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.keys.find(&person_hash(person)).await?),
        };
        known.clone().ok_or(StoreError::Sealed)
    }
}

/// A device's key and the highest request number accepted of it.
pub(super) async fn known_device(
    connection: &mut SqliteConnection,
    device: Uuid,
) -> Result<Option<(PublicKey, u64)>, StoreError> {
    let row = sqlx::query("SELECT key, last_request FROM devices WHERE device = ?")
        .bind(bytes(&device))
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let key = PublicKey(fixed(row.try_get("key")?)?);
    Ok(Some((key, row.try_get::<i64, _>("last_request")?.unsigned_abs())))
}

pub(super) async fn owner(
    connection: &mut SqliteConnection,
    person: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    let device: Option<Vec<u8>> = sqlx::query_scalar("SELECT device FROM people WHERE person = ?")
        .bind(bytes(&person))
        .fetch_optional(connection)
        .await?;
    device.map(|device| super::id_of(&device)).transpose()
}
