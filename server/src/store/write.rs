//! One turn of the only writer: devices, people, events. Receipts and the audit log are in
//! files of their own.

use super::{
    StoreError, bytes, fixed,
    group::Turn,
    keys::Keys,
    parts::Parts,
    seal::{PersonKey, Sealed, json_of, person_hash},
    sql, whole,
};
use protocol::{digest::Digest, event::Event, key::PublicKey, signing::Signer};
use sqlx::{AnyConnection, Row};
use std::collections::{HashMap, hash_map::Entry};
use uuid::Uuid;

/// A turn of the writer: a transaction, as far as its holder sees. Dropped without
/// [`commit`](Self::commit), it leaves no trace.
#[derive(Debug)]
pub struct Writing {
    pub(super) transaction: Turn,
    pub(super) keys: Keys,
    /// A batch is mostly of one person: the key is looked up once.
    pub(super) known_keys: HashMap<Uuid, Option<PersonKey>>,
    pub(super) parts: Parts,
    /// Parts of the time series that this turn has made.
    pub(super) made_parts: Vec<i64>,
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
    pub(super) fn new(transaction: Turn, keys: Keys, parts: Parts) -> Self {
        Self { transaction, keys, known_keys: HashMap::new(), parts, made_parts: Vec::new() }
    }

    /// Places for `count` rows of `width` values.
    pub(super) fn rows(&self, count: usize, width: usize) -> String {
        sql::rows(self.transaction.dialect(), count, width)
    }

    /// Makes everything durable, by one sync with whoever else is writing.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was stored.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.keep().await?;
        self.parts.made(&self.made_parts);
        Ok(())
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// [`StoreError`] when the connection broke; nothing was stored either way.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.transaction.undo().await
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
        sqlx::query(
            "UPDATE devices SET last_request = $1, last_seen_unix_ms = $2 WHERE device = $3",
        )
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
             VALUES ($1, $2, $3, $4, $5)",
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
        let known: i64 = sqlx::query_scalar("SELECT dropped FROM devices WHERE device = $1")
            .bind(bytes(&device))
            .fetch_one(&mut *self.transaction)
            .await?;
        let (known, dropped) = (known.unsigned_abs(), dropped.min(i64::MAX as u64));
        if dropped <= known {
            return Ok(0);
        }
        sqlx::query("UPDATE devices SET dropped = $1 WHERE device = $2")
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
    pub async fn erased(&mut self, person: Uuid) -> Result<bool, StoreError> {
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
            "INSERT INTO people (person, hash, device, first_seen_unix_ms) VALUES ($1, $2, $3, $4)",
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
            sqlx::query_scalar("SELECT digest FROM received WHERE id = $1")
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
        sqlx::query("INSERT INTO received VALUES ($1, $2, $3, $4, $5, $6)")
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
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
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
            "DELETE FROM events WHERE person = $1 AND device = $2 AND consent_epoch <= $3
                 AND kind = 'outcome'",
            "DELETE FROM events WHERE person = $1 AND device = $2 AND consent_epoch <= $3",
            "DELETE FROM received WHERE person = $1 AND device = $2 AND consent_epoch <= $3",
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

    /// Looks up the keys of many people at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_keys(
        &mut self,
        people: impl Iterator<Item = Uuid>,
    ) -> Result<(), StoreError> {
        let unknown = people.filter(|person| !self.known_keys.contains_key(person));
        let people: HashMap<_, _> = unknown.map(|person| (person_hash(person), person)).collect();
        let hashes: Vec<_> = people.keys().copied().collect();
        let mut found = self.keys.find_all(&hashes).await?;
        let found = people.into_iter().map(|(hash, person)| (person, found.remove(&hash)));
        self.known_keys.extend(found);
        Ok(())
    }

    /// The key of a person, of those loaded before.
    pub(super) fn known_key(&self, person: Uuid) -> Option<&PersonKey> {
        self.known_keys.get(&person).and_then(Option::as_ref)
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
    connection: &mut AnyConnection,
    device: Uuid,
) -> Result<Option<(PublicKey, u64)>, StoreError> {
    let row = sqlx::query("SELECT key, last_request FROM devices WHERE device = $1")
        .bind(bytes(&device))
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let key = PublicKey(fixed(row.try_get("key")?)?);
    Ok(Some((key, row.try_get::<i64, _>("last_request")?.unsigned_abs())))
}

pub(super) async fn owner(
    connection: &mut AnyConnection,
    person: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    let device: Option<Vec<u8>> = sqlx::query_scalar("SELECT device FROM people WHERE person = $1")
        .bind(bytes(&person))
        .fetch_optional(connection)
        .await?;
    device.map(|device| super::id_of(&device)).transpose()
}
