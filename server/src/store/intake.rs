//! What was taken in, by the senders' own numbers; the requests that brought it, and the rows that
//! were not taken; circumstances of places.

use super::{
    Store, StoreError, Writing, bytes, fixed, id_of,
    sql::{MOST_ROWS, list},
};
use models::profile::Fact;
use protocol::{
    digest::Digest,
    intake::{RequestState, RequestStatus, RowError},
};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Something that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The fact it became.
    pub fact: Uuid,
    /// When it happened, Unix milliseconds.
    pub at_unix_ms: i64,
    /// The node it is about.
    pub person: Uuid,
    /// Of the row as sent.
    pub digest: Digest,
    /// Whether it was taken back.
    pub retracted: bool,
}

/// A circumstance of a place.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCircumstance {
    /// Where.
    pub place: String,
    /// What.
    pub name: String,
    /// When, Unix milliseconds.
    pub at_unix_ms: i64,
    /// Known since, Unix milliseconds.
    pub known_unix_ms: i64,
    /// How much.
    pub number: f64,
}

/// Place, name and time.
pub type CircumstanceKey = (String, String, i64);
/// The numbers of a circumstance, by since when each is known.
pub type Numbers = BTreeMap<i64, f64>;

/// A request as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// What it brought.
    pub kind: String,
    /// When it arrived, Unix milliseconds.
    pub received_unix_ms: i64,
    /// How it went.
    pub status: RequestStatus,
}

type TakenColumns = (Vec<u8>, Vec<u8>, i64, Vec<u8>, Vec<u8>, i64);

impl Writing {
    /// What was taken under these keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn taken(&mut self, keys: &[Digest]) -> Result<HashMap<Digest, Taken>, StoreError> {
        let mut taken = HashMap::new();
        for chunk in keys.chunks(MOST_ROWS) {
            let text = format!(
                "SELECT key, fact, at_unix_ms, person, digest, retracted FROM taken
                 WHERE key IN {}",
                list(1, chunk.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for key in chunk {
                query = query.bind(&key.0[..]);
            }
            let found: Vec<TakenColumns> = query.fetch_all(&mut *self.transaction).await?;
            for (key, fact, at_unix_ms, person, digest, retracted) in found {
                let one = Taken {
                    fact: id_of(&fact)?,
                    at_unix_ms,
                    person: id_of(&person)?,
                    digest: Digest(fixed(&digest)?),
                    retracted: retracted != 0,
                };
                taken.insert(Digest(fixed(&key)?), one);
            }
        }
        Ok(taken)
    }

    /// Remembers what was taken; what was remembered under a key before is replaced.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_taken(
        &mut self,
        taken: &[(Digest, Taken)],
        received_unix_ms: i64,
    ) -> Result<(), StoreError> {
        for chunk in taken.chunks(MOST_ROWS) {
            let text = format!(
                "INSERT INTO taken
                     (key, fact, at_unix_ms, person, digest, retracted, received_unix_ms)
                 VALUES {} ON CONFLICT (key) DO UPDATE
                     SET fact = excluded.fact, at_unix_ms = excluded.at_unix_ms,
                         digest = excluded.digest, retracted = excluded.retracted",
                self.rows(chunk.len(), 7)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (key, one) in chunk {
                query = query
                    .bind(&key.0[..])
                    .bind(bytes(&one.fact))
                    .bind(one.at_unix_ms)
                    .bind(bytes(&one.person))
                    .bind(&one.digest.0[..])
                    .bind(i64::from(one.retracted))
                    .bind(received_unix_ms);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Facts of one node at one time, of those that are there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts_by_id(
        &mut self,
        person: Uuid,
        at_unix_ms: i64,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Fact>, StoreError> {
        let mut facts = HashMap::new();
        for chunk in ids.chunks(MOST_ROWS) {
            let text = format!(
                "SELECT id, nonce, sealed FROM facts WHERE at_unix_ms = $1 AND id IN {}",
                list(2, chunk.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text)).bind(at_unix_ms);
            for id in chunk {
                query = query.bind(bytes(id));
            }
            let found: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> =
                query.fetch_all(&mut *self.transaction).await?;
            for (id, nonce, sealed) in found {
                let fact = self.key(person).await?.open(&id, &nonce, &sealed)?;
                facts.insert(id_of(&id)?, fact);
            }
        }
        Ok(facts)
    }

    /// Deletes what is stored of a source about nodes up to a time, and what it was recognised by.
    /// Gives the number of facts.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn remove_source(
        &mut self,
        people: &[Uuid],
        source: &str,
        up_to_unix_ms: i64,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        for person in people {
            sqlx::query(
                "DELETE FROM taken WHERE person = $1 AND fact IN (SELECT id FROM facts
                     WHERE person = $1 AND source = $2 AND at_unix_ms <= $3)",
            )
            .bind(bytes(person))
            .bind(source)
            .bind(up_to_unix_ms)
            .execute(&mut *self.transaction)
            .await?;
            let deleted = sqlx::query(
                "DELETE FROM facts WHERE person = $1 AND source = $2 AND at_unix_ms <= $3",
            )
            .bind(bytes(person))
            .bind(source)
            .bind(up_to_unix_ms)
            .execute(&mut *self.transaction)
            .await?;
            removed += deleted.rows_affected();
        }
        Ok(removed)
    }

    /// Keeps how a request went.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_request(
        &mut self,
        id: Uuid,
        kind: &str,
        received_unix_ms: i64,
        status: &RequestStatus,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO requests (id, kind, received_unix_ms, status) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET status = excluded.status",
        )
        .bind(bytes(&id))
        .bind(kind)
        .bind(received_unix_ms)
        .bind(serde_json::to_string(status)?)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Keeps which rows were not taken, and why.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_quarantine(
        &mut self,
        request: Uuid,
        errors: &[RowError],
        received_unix_ms: i64,
    ) -> Result<(), StoreError> {
        for chunk in errors.chunks(MOST_ROWS) {
            let text = format!(
                "INSERT INTO quarantine (request, row, reason, detail, received_unix_ms)
                 VALUES {}",
                self.rows(chunk.len(), 5)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for error in chunk {
                query = query
                    .bind(bytes(&request))
                    .bind(i64::try_from(error.row).unwrap_or(i64::MAX))
                    .bind(error.reason.code())
                    .bind(&error.detail)
                    .bind(received_unix_ms);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// What is known of the places, names and times of these circumstances.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_circumstances(
        &mut self,
        circumstances: &[NewCircumstance],
    ) -> Result<HashMap<CircumstanceKey, Numbers>, StoreError> {
        let mut known: HashMap<_, Numbers> = HashMap::new();
        for chunk in circumstances.chunks(MOST_ROWS) {
            let text = format!(
                "SELECT place, name, at_unix_ms, known_unix_ms, number FROM circumstances
                 WHERE (place, name, at_unix_ms) IN (VALUES {})",
                self.rows(chunk.len(), 3)
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for one in chunk {
                query = query.bind(&one.place).bind(&one.name).bind(one.at_unix_ms);
            }
            let found: Vec<(String, String, i64, i64, f64)> =
                query.fetch_all(&mut *self.transaction).await?;
            for (place, name, at, since, number) in found {
                known.entry((place, name, at)).or_default().insert(since, number);
            }
        }
        Ok(known)
    }

    /// Keeps circumstances; one that is there stays as it is. Gives how many are new.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_circumstances(
        &mut self,
        circumstances: &[NewCircumstance],
        received_unix_ms: i64,
    ) -> Result<u64, StoreError> {
        let mut stored = 0;
        for chunk in circumstances.chunks(MOST_ROWS) {
            let text = format!(
                "INSERT INTO circumstances
                     (place, name, at_unix_ms, known_unix_ms, number, received_unix_ms)
                 VALUES {} ON CONFLICT (place, name, at_unix_ms, known_unix_ms) DO NOTHING",
                self.rows(chunk.len(), 6)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for one in chunk {
                query = query
                    .bind(&one.place)
                    .bind(&one.name)
                    .bind(one.at_unix_ms)
                    .bind(one.known_unix_ms)
                    .bind(one.number)
                    .bind(received_unix_ms);
            }
            stored += query.execute(&mut *self.transaction).await?.rows_affected();
        }
        Ok(stored)
    }
}

impl Store {
    /// A request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn request(&self, id: Uuid) -> Result<Option<StoredRequest>, StoreError> {
        let found: Option<(String, i64, String)> =
            sqlx::query_as("SELECT kind, received_unix_ms, status FROM requests WHERE id = $1")
                .bind(bytes(&id))
                .fetch_optional(&self.readers)
                .await?;
        let Some((kind, received_unix_ms, status)) = found else { return Ok(None) };
        let status = serde_json::from_str(&status)?;
        Ok(Some(StoredRequest { kind, received_unix_ms, status }))
    }

    /// Says of a request, or of all, that it broke off if it still runs. Gives how many did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn break_requests(&self, only: Option<Uuid>) -> Result<u64, StoreError> {
        let state = |state: RequestState| -> Result<String, StoreError> {
            Ok(format!("\"state\":{}", serde_json::to_string(&state)?))
        };
        let update = "UPDATE requests SET status = replace(status, $1, $2)
            WHERE status LIKE '%' || $1 || '%'";
        let mut writing = self.begin().await?;
        let text = format!("{update}{}", if only.is_some() { " AND id = $3" } else { "" });
        let mut query = sqlx::query(AssertSqlSafe(text))
            .bind(state(RequestState::Running)?)
            .bind(state(RequestState::Broken)?);
        if let Some(id) = &only {
            query = query.bind(bytes(id));
        }
        let broken = query.execute(&mut *writing.transaction).await?.rows_affected();
        writing.commit().await?;
        Ok(broken)
    }

    /// A page of the rows of a request that were not taken, after a row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn quarantine(
        &self,
        request: Uuid,
        after: u64,
        most: u32,
    ) -> Result<Vec<RowError>, StoreError> {
        let found: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT row, reason, detail FROM quarantine WHERE request = $1 AND row > $2
             ORDER BY row LIMIT $3",
        )
        .bind(bytes(&request))
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let rows = found.into_iter().map(|(row, reason, detail)| {
            let reason = serde_json::from_value(serde_json::Value::String(reason))?;
            Ok(RowError { row: row.unsigned_abs(), reason, detail })
        });
        rows.collect()
    }
}
