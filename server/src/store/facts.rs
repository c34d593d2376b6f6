//! The time series: what happened to whom, appended and never changed, each fact sealed under its
//! person's key.

use super::{
    Store, StoreError, Writing,
    seal::{Sealed, person_hash},
    sql::MOST_ROWS,
};
use models::profile::Fact;
use protocol::digest::Digest;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// A day, milliseconds.
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A fact to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFact {
    /// Its id, made by the server: a UUIDv7 of when it arrived, from which its age counts.
    pub id: Uuid,
    /// Whose it is: a node that has a row in `subjects`.
    pub person: Uuid,
    /// What happened.
    pub fact: Fact,
}

/// Facts of a day: about nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySum {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Where they came from.
    pub source: String,
    /// What happened.
    pub name: String,
    /// In which currency their values are; empty for those without one.
    pub currency: String,
    /// How many.
    pub facts: i64,
    /// What they are worth, in the smallest unit of the currency.
    pub value_minor: i64,
}

impl Writing {
    /// Makes the keys of people who have none, by one sync for all; gives those who were erased,
    /// who get none. To be called before their first rows are stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make_keys(&mut self, people: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        let hashes: HashMap<Digest, Uuid> =
            people.iter().map(|person| (person_hash(*person), *person)).collect();
        let wanted: Vec<Digest> = hashes.keys().copied().collect();
        let mut keys = self.keys.find_or_make_all(&wanted).await?;
        let mut erased = HashSet::new();
        for (hash, person) in hashes {
            let key = keys.remove(&hash);
            if key.is_none() {
                erased.insert(person);
            }
            self.known_keys.insert(person, key);
        }
        Ok(erased)
    }

    /// Stores facts, and counts them in the roll-ups.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Sealed`] if one is about somebody who was erased. The turn is
    /// to be dropped then.
    pub async fn put_facts(&mut self, facts: &[NewFact]) -> Result<(), StoreError> {
        let people: HashSet<Uuid> = facts.iter().map(|new| new.person).collect();
        let unknown: Vec<Uuid> =
            people.into_iter().filter(|person| !self.known_keys.contains_key(person)).collect();
        self.make_keys(&unknown).await?;
        let times = facts.iter().map(|new| new.fact.at_unix_ms);
        let made = self.parts.ensure(&mut self.transaction, times).await?;
        self.made_parts.extend(made);
        for some in facts.chunks(MOST_ROWS) {
            let insert = "INSERT INTO facts (id, person, source, at_unix_ms, known_unix_ms, nonce,
                sealed) VALUES ";
            let query = format!("{insert}{}", self.rows(some.len(), 7));
            let mut query = sqlx::query(AssertSqlSafe(query)).persistent(some.len() == MOST_ROWS);
            for NewFact { id, person, fact } in some {
                let key = self.known_keys.get(person).and_then(Option::as_ref);
                let key = key.ok_or(StoreError::Sealed)?;
                let Sealed { nonce, bytes } =
                    key.seal(id.as_bytes(), &serde_json::to_vec(fact)?)?;
                query = query
                    .bind(id.as_bytes().to_vec())
                    .bind(person.as_bytes().to_vec())
                    .bind(fact.source.name())
                    .bind(fact.at_unix_ms)
                    .bind(fact.known_unix_ms)
                    .bind(nonce.to_vec())
                    .bind(bytes);
            }
            query.execute(&mut *self.transaction).await?;
        }
        self.count(facts).await
    }

    /// Adds facts to the sums of their days. A sum that would leave the range stays at its end.
    async fn count(&mut self, facts: &[NewFact]) -> Result<(), StoreError> {
        let mut sums: BTreeMap<(i64, &str, &str, &str), (i64, i64)> = BTreeMap::new();
        for NewFact { fact, .. } in facts {
            let currency = fact.value.as_ref().map_or("", |value| value.currency.code());
            let day = fact.at_unix_ms.div_euclid(DAY_MS);
            let sum = sums.entry((day, fact.source.name(), &fact.name, currency)).or_default();
            sum.0 = sum.0.saturating_add(i64::from(fact.count));
            sum.1 = sum.1.saturating_add(fact.value.map_or(0, |value| value.minor));
        }
        let sums: Vec<_> = sums.into_iter().collect();
        for some in sums.chunks(MOST_ROWS) {
            let query = format!("{}{}{}", COUNT[0], self.rows(some.len(), 6), COUNT[1]);
            let mut query = sqlx::query(AssertSqlSafe(query)).persistent(some.len() == 1);
            for ((day, source, name, currency), (facts, value)) in some {
                query = query
                    .bind(*day)
                    .bind(*source)
                    .bind(*name)
                    .bind(*currency)
                    .bind(*facts)
                    .bind(*value);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }
}

/// Before and after the rows.
const COUNT: [&str; 2] = [
    "INSERT INTO rollups (day, source, name, currency, facts, value_minor) VALUES ",
    " ON CONFLICT (day, source, name, currency) DO UPDATE SET
        facts = rollups.facts + excluded.facts,
        value_minor = CASE
            WHEN excluded.value_minor > 0
                AND rollups.value_minor > 9223372036854775807 - excluded.value_minor
            THEN 9223372036854775807
            WHEN excluded.value_minor < 0
                AND rollups.value_minor < -9223372036854775807 - excluded.value_minor
            THEN -9223372036854775807
            ELSE rollups.value_minor + excluded.value_minor END",
];

impl Store {
    /// The sums of some days, first and last included, in the order of days, sources and names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn day_sums(&self, first: i64, last: i64) -> Result<Vec<DaySum>, StoreError> {
        let rows: Vec<(i64, String, String, String, i64, i64)> = sqlx::query_as(
            "SELECT day, source, name, currency, facts, value_minor FROM rollups
             WHERE day >= $1 AND day <= $2 ORDER BY day, source, name, currency",
        )
        .bind(first)
        .bind(last)
        .fetch_all(&self.readers)
        .await?;
        let sum = |(day, source, name, currency, facts, value_minor)| DaySum {
            day,
            source,
            name,
            currency,
            facts,
            value_minor,
        };
        Ok(rows.into_iter().map(sum).collect())
    }
}

#[cfg(test)]
mod tests;
