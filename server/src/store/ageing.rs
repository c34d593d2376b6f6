//! Facts that have reached their age, source by source, and what intake and models leave behind.
//!
//! Age counts from arrival, which a fact's id says: it is a UUIDv7. On PostgreSQL a part of the
//! time series in which nothing is left to keep goes with its table; everything else goes row by
//! row, in steps short enough for others to write between. Whose facts went has a profile that says
//! more than they do: it is marked, to be told anew from the facts.

use super::{
    Store, StoreError, Writing, bytes,
    facts::DAY_MS,
    id_of,
    parts::table_of,
    retention::STEP_ROWS,
    sql::{MOST_ROWS, list},
};
use models::profile::Source;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What arrived before goes; Unix milliseconds by the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeCutoffs {
    /// Facts, in the order of [`Source::ALL`].
    pub facts: [i64; Source::ALL.len()],
    /// Requests, and rows that were not taken.
    pub intake: i64,
    /// Circumstances of places.
    pub circumstances: i64,
    /// Work that was done, and models that went out of service.
    pub jobs: i64,
    /// Orders that ended, and suggestions.
    pub orders: i64,
    /// Forecasts this much older than the newest go, milliseconds: they may be about the past.
    pub forecasts_ms: i64,
}

/// How much went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Aged {
    /// Facts.
    pub facts: u64,
    /// Requests, and rows that were not taken.
    pub intake: u64,
    /// Circumstances of places.
    pub circumstances: u64,
    /// Forecasts.
    pub forecasts: u64,
    /// Jobs.
    pub jobs: u64,
    /// Orders.
    pub orders: u64,
    /// Sums of days.
    pub days: u64,
    /// Models that are out of service: their content.
    pub models: u64,
}

/// Recognising a repeat serves no purpose once what it would repeat is past every age.
const TAKEN: &str = "DELETE FROM taken WHERE key IN (SELECT key FROM taken
    WHERE received_unix_ms < $1 LIMIT $2)";
const QUARANTINE: &str = "DELETE FROM quarantine WHERE (request, row) IN (
    SELECT q.request, q.row FROM quarantine AS q WHERE q.received_unix_ms < $1 LIMIT $2)";
const REQUESTS: &str = "DELETE FROM requests WHERE id IN (SELECT r.id FROM requests AS r
    WHERE r.received_unix_ms < $1
      AND NOT EXISTS (SELECT 1 FROM quarantine AS q WHERE q.request = r.id) LIMIT $2)";
const CIRCUMSTANCES: &str = "DELETE FROM circumstances
    WHERE (place, name, at_unix_ms, known_unix_ms) IN (
        SELECT c.place, c.name, c.at_unix_ms, c.known_unix_ms FROM circumstances AS c
        WHERE c.received_unix_ms < $1 LIMIT $2)";
/// The newest of a kind says when the next is due.
const JOBS: &str = "DELETE FROM jobs WHERE id IN (SELECT j.id FROM jobs AS j
    WHERE j.done_unix_ms < $1 AND EXISTS (SELECT 1 FROM jobs AS n
        WHERE n.kind = j.kind AND n.due_unix_ms > j.due_unix_ms) LIMIT $2)";
/// Sums of days on which nothing happened that is still kept.
const ROLLUPS: &str = "DELETE FROM rollups WHERE (day, source, name, currency) IN (
    SELECT r.day, r.source, r.name, r.currency FROM rollups AS r WHERE r.day < $1 LIMIT $2)";
const FORECASTS: &str = "DELETE FROM forecasts WHERE (model, as_of_unix_ms, person) IN (
    SELECT f.model, f.as_of_unix_ms, f.person FROM forecasts AS f WHERE f.as_of_unix_ms <
        (SELECT max(n.as_of_unix_ms) FROM forecasts AS n) - $1 LIMIT $2)";

const NEEDS: &str = "DELETE FROM needs WHERE (person, made_unix_ms) IN (
    SELECT f.person, f.made_unix_ms FROM needs AS f WHERE f.made_unix_ms <
        (SELECT max(n.made_unix_ms) FROM needs AS n) - $1 LIMIT $2)";
/// What has ended has no time that is to be looked at.
const ORDER_EVENTS: &str = "DELETE FROM order_events WHERE id IN (
    SELECT e.id FROM orders AS o JOIN order_events AS e ON e.order_id = o.id
    WHERE o.due_unix_ms IS NULL AND o.changed_unix_ms < $1 LIMIT $2)";
const ORDERS: &str = "DELETE FROM orders WHERE id IN (
    SELECT o.id FROM orders AS o WHERE o.due_unix_ms IS NULL AND o.changed_unix_ms < $1
      AND NOT EXISTS (SELECT 1 FROM order_events AS e WHERE e.order_id = o.id) LIMIT $2)";
const SUGGESTIONS: &str = "DELETE FROM suggestions WHERE person IN (
    SELECT s.person FROM suggestions AS s WHERE s.made_unix_ms < $1 LIMIT $2)";

impl Store {
    /// Deletes what arrived before the cutoffs.
    ///
    /// # Errors
    /// [`StoreError`]; what went before the failure is gone.
    pub async fn age(&self, cutoffs: &AgeCutoffs, now_unix_ms: i64) -> Result<Aged, StoreError> {
        let oldest = cutoffs.facts.into_iter().min().unwrap_or(i64::MIN);
        let mut facts = self.drop_parts(oldest, now_unix_ms).await?;
        for (source, before) in Source::ALL.into_iter().zip(cutoffs.facts) {
            facts += self.delete_facts(source, first_id(before), now_unix_ms).await?;
        }
        self.delete_steps(TAKEN, oldest).await?;
        let rows = self.delete_steps(QUARANTINE, cutoffs.intake).await?;
        self.delete_steps(ORDER_EVENTS, cutoffs.orders).await?;
        self.delete_steps(SUGGESTIONS, cutoffs.orders).await?;
        Ok(Aged {
            facts,
            intake: rows + self.delete_steps(REQUESTS, cutoffs.intake).await?,
            circumstances: self.delete_steps(CIRCUMSTANCES, cutoffs.circumstances).await?,
            forecasts: self.delete_steps(FORECASTS, cutoffs.forecasts_ms).await?
                + self.delete_steps(NEEDS, cutoffs.forecasts_ms).await?,
            orders: self.delete_steps(ORDERS, cutoffs.orders).await?,
            jobs: self.delete_steps(JOBS, cutoffs.jobs).await?,
            days: self.delete_steps(ROLLUPS, oldest.div_euclid(DAY_MS)).await?,
            models: self.empty_models(cutoffs.jobs).await?,
        })
    }

    /// Drops the parts in which every fact arrived before; gives the number of facts.
    async fn drop_parts(&self, before: i64, now_unix_ms: i64) -> Result<u64, StoreError> {
        let mut dropped = 0;
        for part in self.parts.ours() {
            dropped += self.drop_part(part, before, now_unix_ms).await?;
        }
        Ok(dropped)
    }

    /// Whose facts are in the part is marked some at a time, so that the turn that drops it is
    /// short; whose profile was made anew in between is marked once more.
    async fn drop_part(&self, part: i64, before: i64, now_unix_ms: i64) -> Result<u64, StoreError> {
        let table = table_of(part);
        let kept = format!("SELECT 1 FROM {table} WHERE id >= $1 LIMIT 1");
        let first_kept = first_id(before).as_bytes().to_vec();
        let kept_now = sqlx::query(AssertSqlSafe(kept.clone())).bind(first_kept.clone());
        if kept_now.fetch_optional(&self.readers).await?.is_some() {
            return Ok(0);
        }
        let (people, facts) = self.people_in(&table).await?;
        self.mark_in_turns(&people, now_unix_ms).await?;
        let mut writing = self.begin().await?;
        let kept = sqlx::query(AssertSqlSafe(kept)).bind(first_kept);
        if kept.fetch_optional(&mut *writing.transaction).await?.is_some() {
            writing.rollback().await?;
            return Ok(0);
        }
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}")))
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await?;
        self.parts.dropped(part);
        self.mark_in_turns(&people, now_unix_ms).await?;
        Ok(facts)
    }

    /// Whose facts are in a part, and how many facts.
    async fn people_in(&self, table: &str) -> Result<(Vec<Uuid>, u64), StoreError> {
        let (mut people, mut facts, mut after) = (Vec::new(), 0, Vec::new());
        let page = format!(
            "SELECT person, count(*) FROM {table} WHERE person > $1 GROUP BY person
             ORDER BY person LIMIT $2"
        );
        loop {
            let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(AssertSqlSafe(page.clone()))
                .bind(after)
                .bind(STEP_ROWS)
                .fetch_all(&self.readers)
                .await?;
            for (person, count) in &rows {
                people.push(id_of(person)?);
                facts += count.unsigned_abs();
            }
            match rows.into_iter().last() {
                Some((last, _)) => after = last,
                None => return Ok((people, facts)),
            }
        }
    }

    async fn mark_in_turns(&self, people: &[Uuid], now_unix_ms: i64) -> Result<(), StoreError> {
        for some in people.chunks(MOST_ROWS) {
            let mut writing = self.begin().await?;
            writing.mark_profiles(some, now_unix_ms).await?;
            writing.commit().await?;
        }
        Ok(())
    }

    async fn delete_facts(
        &self,
        source: Source,
        before: Uuid,
        now_unix_ms: i64,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let mut writing = self.begin().await?;
            let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
                "SELECT id, person FROM facts WHERE source = $1 AND id < $2 ORDER BY id LIMIT $3",
            )
            .bind(source.name())
            .bind(bytes(&before))
            .bind(STEP_ROWS)
            .fetch_all(&mut *writing.transaction)
            .await?;
            if rows.is_empty() {
                writing.rollback().await?;
                return Ok(deleted);
            }
            let people = rows.iter().map(|(_, person)| id_of(person));
            let people: Vec<Uuid> =
                people.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect();
            writing.mark_profiles(&people, now_unix_ms).await?;
            for some in rows.chunks(MOST_ROWS) {
                let delete = format!("DELETE FROM facts WHERE id IN {}", list(1, some.len()));
                let full = some.len() == MOST_ROWS;
                let mut query = sqlx::query(AssertSqlSafe(delete)).persistent(full);
                for (id, _) in some {
                    query = query.bind(id.clone());
                }
                let step = query.execute(&mut *writing.transaction).await?;
                deleted += step.rows_affected();
            }
            writing.commit().await?;
        }
    }
}

impl Writing {
    /// Marks the profiles of the groups of these people: they are to be told anew from the facts.
    ///
    /// # Errors
    /// [`StoreError`]; the turn is to be dropped then.
    pub async fn mark_profiles(
        &mut self,
        people: &[Uuid],
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        for some in people.chunks(MOST_ROWS) {
            let update = format!(
                "UPDATE profiles SET stale = 1, changed_unix_ms = $1, due_unix_ms = 0
                 WHERE stale = 0 AND person IN (SELECT root FROM subjects WHERE person IN {})",
                list(2, some.len())
            );
            let full = some.len() == MOST_ROWS;
            let mut query = sqlx::query(AssertSqlSafe(update)).persistent(full).bind(now_unix_ms);
            for person in some {
                query = query.bind(person.as_bytes().to_vec());
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }
}

/// The lowest UUIDv7 of a time (RFC 9562, section 5.7: the first 48 bits are Unix milliseconds).
fn first_id(unix_ms: i64) -> Uuid {
    const MOST: u64 = (1 << 48) - 1;
    let unix_ms = u64::try_from(unix_ms).unwrap_or(0).min(MOST);
    Uuid::from_u128(u128::from(unix_ms) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        NewFact, person_hash,
        testing::{Rig, on_each},
    };
    use models::profile::Fact;

    on_each![
        c16_each_source_ends_by_its_own_age,
        c16_what_intake_and_models_leave_ends,
        c16_others_write_while_a_part_goes,
        c16_sums_of_days_end_with_the_longest_age,
    ];

    const DAY: i64 = DAY_MS;

    /// An id of a time, distinct.
    fn id(arrived_unix_ms: i64, number: u128) -> Uuid {
        Uuid::from_u128(first_id(arrived_unix_ms).as_u128() | number)
    }

    fn fact(source: Source, arrived: i64, at_unix_ms: i64, person: Uuid, number: u128) -> NewFact {
        let fact = Fact {
            source,
            name: "x".into(),
            at_unix_ms,
            known_unix_ms: arrived,
            count: 1,
            value: None,
            number: None,
            item: None,
            category: None,
        };
        NewFact { id: id(arrived, number), person, fact }
    }

    async fn put_people(writing: &mut Writing, people: &[Uuid]) {
        for person in people {
            sqlx::query(
                "INSERT INTO subjects (person, hash, root, first_seen_unix_ms)
                 VALUES ($1, $2, $1, 0)",
            )
            .bind(person.as_bytes().to_vec())
            .bind(person_hash(*person).0.to_vec())
            .execute(&mut *writing.transaction)
            .await
            .unwrap();
            sqlx::query(
                "INSERT INTO profiles (person, changed_unix_ms, due_unix_ms, nonce, sealed)
                 VALUES ($1, 1, 1, $2, $2)",
            )
            .bind(person.as_bytes().to_vec())
            .bind(vec![0_u8; 12])
            .execute(&mut *writing.transaction)
            .await
            .unwrap();
        }
    }

    async fn stale(store: &Store) -> Vec<(i64, i64)> {
        let query = "SELECT stale, changed_unix_ms FROM profiles ORDER BY person";
        sqlx::query_as(query).fetch_all(&store.readers).await.unwrap()
    }

    fn cutoffs(facts: [i64; 6]) -> AgeCutoffs {
        AgeCutoffs {
            facts,
            intake: 0,
            circumstances: 0,
            jobs: 0,
            orders: 0,
            forecasts_ms: i64::MAX,
        }
    }

    async fn c16_each_source_ends_by_its_own_age(Rig { store, .. }: Rig) {
        let people = [1, 2, 3].map(Uuid::from_u128);
        let mut writing = store.begin().await.unwrap();
        put_people(&mut writing, &people).await;
        // Arrived on day 10 or 20; happened long before, or then.
        let mut facts = Vec::new();
        for number in 0..2_100 {
            facts.push(fact(Source::Behaviour, 10 * DAY, -400 * DAY, people[0], number));
        }
        facts.push(fact(Source::Behaviour, 20 * DAY, 20 * DAY, people[1], 0));
        facts.push(fact(Source::Conversion, 10 * DAY, 500 * DAY, people[1], 9_999));
        facts.push(fact(Source::Conversion, 20 * DAY, 500 * DAY, people[2], 1));
        writing.put_facts(&facts).await.unwrap();
        writing.commit().await.unwrap();
        let left = async || {
            let facts = store.every_fact().await.unwrap();
            let of = |source| facts.iter().filter(|stored| stored.fact.source == source).count();
            (of(Source::Conversion), of(Source::Behaviour))
        };
        assert_eq!(store.age(&cutoffs([0; 6]), 5).await.unwrap().facts, 0);
        assert_eq!(left().await, (2, 2_101));
        let behaviour = cutoffs([0, 15 * DAY, 0, 0, 0, 0]);
        assert_eq!(store.age(&behaviour, 7).await.unwrap().facts, 2_100);
        assert_eq!(left().await, (2, 1));
        assert_eq!(stale(&store).await, [(1, 7), (0, 1), (0, 1)]);
        // Past every age: on PostgreSQL with the part that it was alone in.
        assert_eq!(store.age(&cutoffs([15 * DAY; 6]), 8).await.unwrap().facts, 1);
        assert_eq!(stale(&store).await, [(1, 7), (1, 8), (0, 1)]);
        assert_eq!(store.age(&cutoffs([25 * DAY; 6]), 9).await.unwrap().facts, 2);
        assert_eq!(left().await, (0, 0));
        assert_eq!(store.parts.ours(), [0; 0], "no part is left");
        // A part that was dropped is made again.
        let mut writing = store.begin().await.unwrap();
        writing.put_facts(&facts).await.unwrap();
        writing.commit().await.unwrap();
        assert_eq!(left().await, (2, 2_101));
    }

    async fn c16_others_write_while_a_part_goes(Rig { store, .. }: Rig) {
        let people: Vec<Uuid> = (1..=1_200).map(Uuid::from_u128).collect();
        let mut writing = store.begin().await.unwrap();
        put_people(&mut writing, &people).await;
        let old = |(number, person): (usize, &Uuid)| {
            fact(Source::Behaviour, 10 * DAY, 10 * DAY, *person, number as u128)
        };
        let facts: Vec<_> = people.iter().enumerate().map(old).collect();
        writing.put_facts(&facts).await.unwrap();
        writing.commit().await.unwrap();
        let [part] = store.parts.ours()[..] else { return };

        // Meanwhile all profiles are made anew as often as there is a turn.
        let there = format!("SELECT 1 FROM {} LIMIT 1", table_of(part));
        let others = async {
            let mut turns = 0;
            loop {
                let mut writing = store.begin().await.unwrap();
                let there = sqlx::query(AssertSqlSafe(there.clone()));
                if there.fetch_optional(&mut *writing.transaction).await.is_err() {
                    return turns;
                }
                sqlx::query("UPDATE profiles SET stale = 0")
                    .execute(&mut *writing.transaction)
                    .await
                    .unwrap();
                writing.commit().await.unwrap();
                turns += 1;
            }
        };
        let (dropped, turns) = tokio::join!(store.drop_parts(15 * DAY, 7), others);
        assert_eq!(dropped.unwrap(), 1_200);
        assert!(turns >= 3, "{turns} turns of others");
        assert!(stale(&store).await.iter().all(|profile| *profile == (1, 7)));
    }

    async fn c16_sums_of_days_end_with_the_longest_age(Rig { store, .. }: Rig) {
        let person = Uuid::from_u128(1);
        let mut writing = store.begin().await.unwrap();
        put_people(&mut writing, &[person]).await;
        let on = |day: i64| fact(Source::Behaviour, 100 * DAY, day * DAY, person, day as u128);
        writing.put_facts(&[on(10), on(20), on(30)]).await.unwrap();
        writing.commit().await.unwrap();
        let mut ages = [40 * DAY; 6];
        ages[0] = 20 * DAY + 1;
        assert_eq!(store.age(&cutoffs(ages), 0).await.unwrap().days, 1);
        let left = store.day_sums(0, 99).await.unwrap();
        assert_eq!(left.iter().map(|sum| sum.day).collect::<Vec<_>>(), [20, 30]);
    }

    async fn c16_what_intake_and_models_leave_ends(Rig { store, .. }: Rig) {
        let person = Uuid::from_u128(1);
        let mut writing = store.begin().await.unwrap();
        put_people(&mut writing, &[person]).await;
        let id = |number: u128| Uuid::from_u128(number).as_bytes().to_vec();
        for (number, at) in [(1, 10_i64), (2, 20)] {
            for query in [
                "INSERT INTO requests VALUES ($1, 'k', $2, '{}')",
                "INSERT INTO quarantine VALUES ($1, 1, 'r', 'd', $2)",
                "INSERT INTO jobs (id, kind, payload, due_unix_ms, done_unix_ms)
                     VALUES ($1, 'k', '{}', $2, $2)",
                "INSERT INTO circumstances VALUES ('p', 'n', length($1), $2, 1.5, $2)",
            ] {
                let row = sqlx::query(query).bind(id(number)).bind(at);
                row.execute(&mut *writing.transaction).await.unwrap();
            }
            sqlx::query("INSERT INTO forecasts VALUES ('m', $1, $2, $3, $2)")
                .bind(at)
                .bind(person.as_bytes().to_vec())
                .bind(vec![0_u8; 12])
                .execute(&mut *writing.transaction)
                .await
                .unwrap();
        }
        writing.commit().await.unwrap();
        let ends = |by| AgeCutoffs {
            intake: by,
            circumstances: by,
            jobs: by,
            orders: by,
            forecasts_ms: 20 - by,
            facts: [0; 6],
        };
        let nothing = Aged::default();
        assert_eq!(store.age(&ends(10), 0).await.unwrap(), nothing);
        let one = Aged { intake: 2, circumstances: 1, forecasts: 1, jobs: 1, ..nothing };
        assert_eq!(store.age(&ends(11), 0).await.unwrap(), one);
        // The newest job and the newest forecast stay.
        let rest = Aged { intake: 2, ..nothing };
        assert_eq!(store.age(&ends(99), 0).await.unwrap().intake, rest.intake);
        assert_eq!(store.age(&cutoffs([0; 6]), 0).await.unwrap(), nothing);
    }

    #[test]
    fn ids_stand_in_the_order_of_their_times() {
        assert!(first_id(1) > first_id(0) && first_id(0) == first_id(i64::MIN));
        let now = Uuid::now_v7();
        let (seconds, nanos) = now.get_timestamp().unwrap().to_unix();
        let unix_ms = seconds as i64 * 1_000 + i64::from(nanos / 1_000_000);
        assert!(first_id(unix_ms) <= now && now < first_id(unix_ms + 1));
        assert!(first_id(i64::MAX) > now);
    }
}
