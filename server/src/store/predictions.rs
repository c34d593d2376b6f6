//! What models said about people: the newest prediction of everyone, and forecasts that are kept
//! until they can be checked.
//!
//! Scoring goes by pages: profiles come out closed, with the keys that open them, so that opening,
//! scoring and sealing happen on whatever thread has time, and nothing here waits for them.

use super::{
    Store, StoreError, Writing, fixed, id_of,
    seal::{PersonKey, Sealed, person_hash},
    sql,
};
use models::profile::{Fact, Source};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;
use uuid::Uuid;

/// Length of a nonce of AES-GCM, bytes.
const NONCE_BYTES: usize = 12;

/// Whether a profile is still the one that was scored. Both databases call the columns of VALUES
/// so.
const CURRENT: &str =
    "EXISTS (SELECT 1 FROM profiles AS p WHERE p.person = column3 AND p.nonce = column6)";

/// A profile, or what else is one row of a person, as it lies in the database, and its person's key.
#[derive(Debug)]
pub struct Closed {
    /// Whose: the root of a group.
    pub person: Uuid,
    /// When it last changed, Unix milliseconds.
    pub changed_unix_ms: i64,
    key: PersonKey,
    nonce: [u8; NONCE_BYTES],
    sealed: Vec<u8>,
}

/// Something about a person, sealed and ready to be stored, as long as the profile that it follows
/// from is still the person's: nothing is said from what was withdrawn or erased meanwhile.
#[derive(Debug)]
pub struct Foretold {
    /// About whom.
    pub person: Uuid,
    /// Nonces are random: that of a profile names one version of it.
    profile: [u8; NONCE_BYTES],
    sealed: Sealed,
}

impl Foretold {
    /// Nonce and body.
    pub(super) fn sealed(&self) -> (&[u8], &[u8]) {
        (&self.sealed.nonce, &self.sealed.bytes)
    }

    /// The nonce of what it follows from.
    pub(super) fn version(&self) -> &[u8] {
        &self.profile
    }
}

/// One version of a profile, readable or not.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    person: Uuid,
    nonce: [u8; NONCE_BYTES],
}

/// The newest prediction of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// Whose: the root of a group.
    pub person: Uuid,
    /// By which model.
    pub model: String,
    /// As of when, Unix milliseconds.
    pub scored_unix_ms: i64,
    /// What it says.
    pub body: T,
}

/// When and by which model something was said.
#[derive(Debug, Clone, Copy)]
pub struct Saying<'a> {
    /// The model's id.
    pub model: &'a str,
    /// As of when, Unix milliseconds.
    pub as_of_unix_ms: i64,
}

/// Person, a number, nonce, body: what [`Store::closed`] takes.
pub(super) type ProfileRow = (Vec<u8>, i64, Vec<u8>, Vec<u8>);
type PredictionRow = (Vec<u8>, String, i64, Vec<u8>, Vec<u8>);
type FactRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
type ForecastRow = (Vec<u8>, Vec<u8>, Vec<u8>);

impl Closed {
    /// Opens the profile.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] or [`StoreError::Record`] if it is not what was stored.
    pub fn open<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        self.key.open(self.person.as_bytes(), &self.nonce, &self.sealed)
    }

    /// Which version of the profile this is: a changed one has another.
    #[must_use]
    pub const fn version(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.nonce;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Seals what is said about the person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn say(&self, body: &impl Serialize) -> Result<Foretold, StoreError> {
        let sealed = self.key.seal(self.person.as_bytes(), &serde_json::to_vec(body)?)?;
        Ok(Foretold { person: self.person, profile: self.nonce, sealed })
    }
}

impl Store {
    /// Profiles in the order of their people, after one of them. People whose key is gone are left
    /// out; the last person that was looked at comes with the page, `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn profiles_after(
        &self,
        after: Uuid,
        most: u32,
    ) -> Result<(Vec<Closed>, Option<Uuid>), StoreError> {
        let rows: Vec<ProfileRow> = sqlx::query_as(
            "SELECT person, changed_unix_ms, nonce, sealed FROM profiles WHERE person > $1
             ORDER BY person LIMIT $2",
        )
        .bind(&after.as_bytes()[..])
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let last = rows.last().map(|(person, ..)| id_of(person)).transpose()?;
        Ok((self.closed(rows).await?, last))
    }

    /// Profiles that are to be scored by a time, the longest due first; with them the versions of
    /// all that were looked at, whose keys are gone included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn profiles_due(
        &self,
        by_unix_ms: i64,
        most: u32,
    ) -> Result<(Vec<Closed>, Vec<Version>), StoreError> {
        let rows: Vec<ProfileRow> = sqlx::query_as(
            "SELECT person, changed_unix_ms, nonce, sealed FROM profiles WHERE due_unix_ms <= $1
             ORDER BY due_unix_ms LIMIT $2",
        )
        .bind(by_unix_ms)
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let version = |(person, _, nonce, _): &ProfileRow| {
            Ok::<_, StoreError>(Version { person: id_of(person)?, nonce: fixed(nonce)? })
        };
        let versions = rows.iter().map(version).collect::<Result<_, _>>()?;
        Ok((self.closed(rows).await?, versions))
    }

    /// The profile of a root.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn closed_profile(&self, root: Uuid) -> Result<Option<Closed>, StoreError> {
        let row: Option<ProfileRow> = sqlx::query_as(
            "SELECT person, changed_unix_ms, nonce, sealed FROM profiles WHERE person = $1",
        )
        .bind(&root.as_bytes()[..])
        .fetch_optional(&self.readers)
        .await?;
        Ok(self.closed(row.into_iter().collect()).await?.pop())
    }

    pub(super) async fn closed(&self, rows: Vec<ProfileRow>) -> Result<Vec<Closed>, StoreError> {
        let people =
            rows.iter().map(|(person, ..)| id_of(person)).collect::<Result<Vec<_>, _>>()?;
        let mut keys = self.keys_of(&people).await?;
        let mut closed = Vec::with_capacity(rows.len());
        for ((_, changed_unix_ms, nonce, sealed), person) in rows.into_iter().zip(people) {
            let Some(key) = keys.remove(&person) else { continue };
            let nonce = fixed(&nonce)?;
            closed.push(Closed { person, changed_unix_ms, key, nonce, sealed });
        }
        Ok(closed)
    }

    /// How many people have a profile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn profile_count(&self) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM profiles");
        Ok(count.fetch_one(&self.readers).await?.unsigned_abs())
    }

    /// Since when something is known of somebody, Unix milliseconds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_since(&self) -> Result<Option<i64>, StoreError> {
        let oldest = sqlx::query_scalar("SELECT min(known_unix_ms) FROM facts");
        Ok(oldest.fetch_one(&self.readers).await?)
    }

    /// Of how many people something was known at a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn people_known_by(&self, at_unix_ms: i64) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM subjects AS r WHERE r.root = r.person AND EXISTS (
                 SELECT 1 FROM subjects AS n JOIN facts AS f ON f.person = n.person
                 WHERE n.root = r.person AND f.known_unix_ms <= $1)",
        );
        Ok(count.bind(at_unix_ms).fetch_one(&self.readers).await?.unsigned_abs())
    }

    /// The newest prediction of a root.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prediction<T: DeserializeOwned>(
        &self,
        root: Uuid,
    ) -> Result<Option<Stored<T>>, StoreError> {
        Ok(self.predictions_of(&[root]).await?.pop())
    }

    /// The newest predictions of some roots, in no order; who has none is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn predictions_of<T: DeserializeOwned>(
        &self,
        roots: &[Uuid],
    ) -> Result<Vec<Stored<T>>, StoreError> {
        let mut found = Vec::with_capacity(roots.len());
        for part in roots.chunks(sql::MOST_ROWS) {
            let query = AssertSqlSafe(format!(
                "SELECT person, model, scored_unix_ms, nonce, sealed FROM predictions
                 WHERE person IN {}",
                sql::list(1, part.len())
            ));
            let mut rows = sqlx::query_as(query);
            for root in part {
                rows = rows.bind(&root.as_bytes()[..]);
            }
            let rows: Vec<PredictionRow> = rows.fetch_all(&self.readers).await?;
            found.extend(self.opened(rows).await?);
        }
        Ok(found)
    }

    /// The newest predictions in the order of their people, after one of them; with them the last
    /// person that was looked at, `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn predictions_after<T: DeserializeOwned>(
        &self,
        after: Uuid,
        most: u32,
    ) -> Result<(Vec<Stored<T>>, Option<Uuid>), StoreError> {
        let rows: Vec<PredictionRow> = sqlx::query_as(
            "SELECT person, model, scored_unix_ms, nonce, sealed FROM predictions
             WHERE person > $1 ORDER BY person LIMIT $2",
        )
        .bind(&after.as_bytes()[..])
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let last = rows.last().map(|(person, ..)| id_of(person)).transpose()?;
        Ok((self.opened(rows).await?, last))
    }

    async fn opened<T: DeserializeOwned>(
        &self,
        rows: Vec<PredictionRow>,
    ) -> Result<Vec<Stored<T>>, StoreError> {
        let people =
            rows.iter().map(|(person, ..)| id_of(person)).collect::<Result<Vec<_>, _>>()?;
        let keys = self.keys_of(&people).await?;
        let mut opened = Vec::with_capacity(rows.len());
        for ((_, model, scored_unix_ms, nonce, sealed), person) in rows.into_iter().zip(people) {
            let Some(key) = keys.get(&person) else { continue };
            let body = key.open(person.as_bytes(), &nonce, &sealed)?;
            opened.push(Stored { person, model, scored_unix_ms, body });
        }
        Ok(opened)
    }

    /// The forecasts of a model as of a time, after a person, in the order of people.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forecasts<T: DeserializeOwned>(
        &self,
        said: Saying<'_>,
        after: Uuid,
        most: u32,
    ) -> Result<Vec<(Uuid, T)>, StoreError> {
        let rows: Vec<ForecastRow> = sqlx::query_as(
            "SELECT person, nonce, sealed FROM forecasts
             WHERE model = $1 AND as_of_unix_ms = $2 AND person > $3 ORDER BY person LIMIT $4",
        )
        .bind(said.model)
        .bind(said.as_of_unix_ms)
        .bind(&after.as_bytes()[..])
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let people =
            rows.iter().map(|(person, ..)| id_of(person)).collect::<Result<Vec<_>, _>>()?;
        let keys = self.keys_of(&people).await?;
        let mut found = Vec::with_capacity(rows.len());
        for ((_, nonce, sealed), person) in rows.into_iter().zip(people) {
            let Some(key) = keys.get(&person) else { continue };
            found.push((person, key.open(person.as_bytes(), &nonce, &sealed)?));
        }
        Ok(found)
    }

    /// Which models' forecasts there are up to a time, the oldest first: model and time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forecast_times(&self, up_to: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let times = sqlx::query_as(
            "SELECT model, as_of_unix_ms FROM forecasts WHERE as_of_unix_ms <= $1
             GROUP BY model, as_of_unix_ms ORDER BY as_of_unix_ms, model",
        );
        Ok(times.bind(up_to).fetch_all(&self.readers).await?)
    }

    /// What people did after a time: the conversions of their groups within `after..=to`, as far as
    /// they were known by a time, in the order in which they became known. Who did nothing is left
    /// out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conversions(
        &self,
        people: &[Uuid],
        after_unix_ms: i64,
        to_unix_ms: i64,
        known_by_unix_ms: i64,
    ) -> Result<HashMap<Uuid, Vec<Fact>>, StoreError> {
        let mut found: HashMap<Uuid, Vec<Fact>> = HashMap::new();
        for part in people.chunks(sql::MOST_ROWS) {
            // CROSS JOIN is how SQLite is told to begin with the few people, not with all facts.
            let query = AssertSqlSafe(format!(
                "SELECT asked.person, f.person, f.id, f.nonce, f.sealed FROM subjects AS asked
                 CROSS JOIN subjects AS node CROSS JOIN facts AS f
                 WHERE node.root = asked.root AND f.person = node.person
                   AND f.source = $1 AND f.at_unix_ms > $2 AND f.at_unix_ms <= $3
                   AND f.known_unix_ms <= $4 AND asked.person IN {}
                 ORDER BY f.known_unix_ms, f.id",
                sql::list(5, part.len())
            ));
            let mut rows = sqlx::query_as(query).bind(Source::Conversion.name());
            rows = rows.bind(after_unix_ms).bind(to_unix_ms).bind(known_by_unix_ms);
            for person in part {
                rows = rows.bind(&person.as_bytes()[..]);
            }
            let rows: Vec<FactRow> = rows.fetch_all(&self.readers).await?;
            let nodes =
                rows.iter().map(|(_, node, ..)| id_of(node)).collect::<Result<Vec<_>, _>>()?;
            let keys = self.keys_of(&nodes).await?;
            for ((asked, _, id, nonce, sealed), node) in rows.into_iter().zip(nodes) {
                let Some(key) = keys.get(&node) else { continue };
                let fact = key.open(&id, &nonce, &sealed)?;
                found.entry(id_of(&asked)?).or_default().push(fact);
            }
        }
        Ok(found)
    }

    async fn keys_of(&self, people: &[Uuid]) -> Result<HashMap<Uuid, PersonKey>, StoreError> {
        let hashes: Vec<_> = people.iter().map(|person| person_hash(*person)).collect();
        let mut keys = self.keys.find_all(&hashes).await?;
        let found = people.iter().zip(&hashes);
        Ok(found.filter_map(|(person, hash)| Some((*person, keys.remove(hash)?))).collect())
    }
}

impl Writing {
    /// Stores the newest predictions of people whose profile is still the one that was scored. One
    /// that is older than what is there is dropped, unless `dated`: a replay goes back in time on
    /// purpose.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_predictions(
        &mut self,
        by: Saying<'_>,
        said: &[Foretold],
        dated: bool,
    ) -> Result<(), StoreError> {
        let only_newer =
            if dated { "" } else { "WHERE excluded.scored_unix_ms >= predictions.scored_unix_ms" };
        let query = |rows: String| {
            format!(
                "INSERT INTO predictions (model, scored_unix_ms, person, nonce, sealed)
                 SELECT column1, column2, column3, column4, column5 FROM (VALUES {rows}) AS said
                 WHERE {CURRENT}
                 ON CONFLICT (person) DO UPDATE SET model = excluded.model,
                     scored_unix_ms = excluded.scored_unix_ms, nonce = excluded.nonce,
                     sealed = excluded.sealed {only_newer}"
            )
        };
        self.put_said(by, said, query).await
    }

    /// Stores forecasts about people whose profile is still the one that was scored; those that are
    /// there already stay as they were.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_forecasts(
        &mut self,
        by: Saying<'_>,
        said: &[Foretold],
    ) -> Result<(), StoreError> {
        let query = |rows: String| {
            format!(
                "INSERT INTO forecasts (model, as_of_unix_ms, person, nonce, sealed)
                 SELECT column1, column2, column3, column4, column5 FROM (VALUES {rows}) AS said
                 WHERE {CURRENT} ON CONFLICT DO NOTHING"
            )
        };
        self.put_said(by, said, query).await
    }

    async fn put_said(
        &mut self,
        by: Saying<'_>,
        said: &[Foretold],
        query: impl Fn(String) -> String,
    ) -> Result<(), StoreError> {
        for part in said.chunks(sql::MOST_ROWS) {
            let query = AssertSqlSafe(query(self.rows(part.len(), 6)));
            let mut insert = sqlx::query(query);
            for Foretold { person, profile, sealed } in part {
                insert = insert.bind(by.model).bind(by.as_of_unix_ms).bind(&person.as_bytes()[..]);
                insert = insert.bind(&sealed.nonce[..]).bind(&sealed.bytes[..]);
                insert = insert.bind(&profile[..]);
            }
            insert.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Deletes the forecasts of a model as of a time: they were checked.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn drop_forecasts(&mut self, said: Saying<'_>) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM forecasts WHERE model = $1 AND as_of_unix_ms = $2")
            .bind(said.model)
            .bind(said.as_of_unix_ms)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Says when people who were just scored are to be scored again; who has changed since stays
    /// due.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn settle(&mut self, scored: &[Version], due_unix_ms: i64) -> Result<(), StoreError> {
        for part in scored.chunks(sql::MOST_ROWS) {
            let query = AssertSqlSafe(format!(
                "UPDATE profiles SET due_unix_ms = $1 WHERE person IN {} AND nonce IN {}",
                sql::list(2, part.len()),
                sql::list(2 + part.len(), part.len())
            ));
            let mut update = sqlx::query(query).bind(due_unix_ms);
            for version in part {
                update = update.bind(&version.person.as_bytes()[..]);
            }
            for version in part {
                update = update.bind(&version.nonce[..]);
            }
            update.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }
}
