//! What people buy and how often, and what was foretold of it.
//!
//! A consumption belongs to the root of a group, is made of the same facts as the profile, and goes
//! with it. As profiles, consumptions come out closed: opening and scoring happens on whatever thread
//! has time.

use super::{
    Closed, Foretold, Store, StoreError, Writing, bytes, id_of,
    predictions::ProfileRow,
    seal::Sealed,
    sql::{MOST_ROWS, list},
};
use models::reorder::Consumption;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;
use uuid::Uuid;

type Row = (Vec<u8>, Vec<u8>, Vec<u8>);

/// Whether a consumption is still the one that was scored.
const CURRENT: &str =
    "EXISTS (SELECT 1 FROM consumption AS c WHERE c.person = column2 AND c.nonce = column5)";

impl Writing {
    /// What roots buy, as this turn sees it; who buys nothing is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consumption_of(
        &mut self,
        roots: &[Uuid],
    ) -> Result<HashMap<Uuid, Consumption>, StoreError> {
        self.load_keys(roots.iter().copied()).await?;
        let mut found = HashMap::with_capacity(roots.len());
        for some in roots.chunks(MOST_ROWS) {
            let text = format!(
                "SELECT person, nonce, sealed FROM consumption WHERE person IN {}",
                list(1, some.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for root in some {
                query = query.bind(bytes(root));
            }
            let rows: Vec<Row> = query.fetch_all(&mut *self.transaction).await?;
            for (person, nonce, sealed) in rows {
                let root = id_of(&person)?;
                found.insert(root, self.key(root).await?.open(&person, &nonce, &sealed)?);
            }
        }
        Ok(found)
    }

    /// Stores what people buy, in the place of what was there; who buys nothing has no row.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_consumption(
        &mut self,
        changed: &[(Uuid, Consumption)],
    ) -> Result<(), StoreError> {
        let nothing = changed.iter().filter(|(_, consumption)| consumption.is_empty());
        let nothing: Vec<Uuid> = nothing.map(|(root, _)| *root).collect();
        self.delete_of(&["consumption", "suggestions"], &nothing).await?;
        let some: Vec<_> = changed.iter().filter(|(_, own)| !own.is_empty()).collect();
        for some in some.chunks(MOST_ROWS) {
            let mut sealed = Vec::with_capacity(some.len());
            for (root, consumption) in some {
                let json = serde_json::to_vec(consumption)?;
                sealed.push(self.key(*root).await?.seal(root.as_bytes(), &json)?);
            }
            let text = format!(
                "INSERT INTO consumption (person, nonce, sealed) VALUES {}
                 ON CONFLICT (person) DO UPDATE
                     SET nonce = excluded.nonce, sealed = excluded.sealed",
                self.rows(some.len(), 3)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for ((root, _), Sealed { nonce, bytes: body }) in some.iter().zip(&sealed) {
                query = query.bind(bytes(root)).bind(&nonce[..]).bind(&body[..]);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Stores what was not sure enough to be asked for, in the place of what was there, of people
    /// whose consumption is still the one that was scored.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_all_suggestions(
        &mut self,
        said: &[Foretold],
        made_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let query = |rows: String| {
            format!(
                "INSERT INTO suggestions (made_unix_ms, person, nonce, sealed)
                 SELECT column1, column2, column3, column4 FROM (VALUES {rows}) AS said
                 WHERE {CURRENT} ON CONFLICT (person) DO UPDATE
                     SET made_unix_ms = excluded.made_unix_ms, nonce = excluded.nonce,
                         sealed = excluded.sealed"
            )
        };
        self.put_of_needs(said, made_unix_ms, query).await
    }

    /// Stores what was foretold of people's needs, to be checked, of those whose consumption is
    /// still the one that was scored.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_needs(
        &mut self,
        said: &[Foretold],
        made_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let query = |rows: String| {
            format!(
                "INSERT INTO needs (made_unix_ms, person, nonce, sealed)
                 SELECT column1, column2, column3, column4 FROM (VALUES {rows}) AS said
                 WHERE {CURRENT} ON CONFLICT DO NOTHING"
            )
        };
        self.put_of_needs(said, made_unix_ms, query).await
    }

    async fn put_of_needs(
        &mut self,
        said: &[Foretold],
        made_unix_ms: i64,
        query: impl Fn(String) -> String,
    ) -> Result<(), StoreError> {
        for part in said.chunks(MOST_ROWS) {
            let query = AssertSqlSafe(query(self.rows(part.len(), 5)));
            let mut insert = sqlx::query(query);
            for one in part {
                let (nonce, body) = one.sealed();
                insert = insert.bind(made_unix_ms).bind(bytes(&one.person)).bind(nonce);
                insert = insert.bind(body).bind(one.version());
            }
            insert.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Deletes the suggestions of people who have none any more.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn drop_suggestions(&mut self, roots: &[Uuid]) -> Result<(), StoreError> {
        self.delete_of(&["suggestions"], roots).await
    }

    /// Keeps what came of what was foretold at a time.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_need_check(
        &mut self,
        made_unix_ms: i64,
        check: &impl Serialize,
        now_unix_ms: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO need_checks (made_unix_ms, checked_unix_ms, body) VALUES ($1, $2, $3)
             ON CONFLICT (made_unix_ms) DO UPDATE
                 SET checked_unix_ms = excluded.checked_unix_ms, body = excluded.body",
        )
        .bind(made_unix_ms)
        .bind(now_unix_ms)
        .bind(serde_json::to_string(check)?)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}

impl Store {
    /// What people buy, in the order of their roots, after one of them; with them the last that was
    /// looked at, `None` at the end. Left out are who has been erased, and whose profile says more
    /// than the facts that are left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consumption_after(
        &self,
        after: Uuid,
        most: u32,
    ) -> Result<(Vec<Closed>, Option<Uuid>), StoreError> {
        let rows: Vec<ProfileRow> = sqlx::query_as(
            "SELECT c.person, p.stale, c.nonce, c.sealed FROM consumption AS c
             JOIN profiles AS p ON p.person = c.person WHERE c.person > $1
             ORDER BY c.person LIMIT $2",
        )
        .bind(bytes(&after))
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let last = rows.last().map(|(person, ..)| id_of(person)).transpose()?;
        let fresh = rows.into_iter().filter(|(_, stale, ..)| *stale == 0).collect();
        Ok((self.closed(fresh).await?, last))
    }

    /// What a root buys; `None` for who buys nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consumption(&self, root: Uuid) -> Result<Option<Consumption>, StoreError> {
        Ok(self.consumption_of_many(&[root]).await?.remove(&root))
    }

    /// What some roots buy; who buys nothing is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consumption_of_many(
        &self,
        roots: &[Uuid],
    ) -> Result<HashMap<Uuid, Consumption>, StoreError> {
        let mut found = HashMap::with_capacity(roots.len());
        for some in roots.chunks(MOST_ROWS) {
            let text = format!(
                "SELECT person, 0, nonce, sealed FROM consumption WHERE person IN {}",
                list(1, some.len())
            );
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for root in some {
                query = query.bind(bytes(root));
            }
            let rows: Vec<ProfileRow> = query.fetch_all(&self.readers).await?;
            for closed in self.closed(rows).await? {
                found.insert(closed.person, closed.open()?);
            }
        }
        Ok(found)
    }

    /// How many people buy something.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consumption_count(&self) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM consumption");
        Ok(count.fetch_one(&self.readers).await?.unsigned_abs())
    }

    /// When needs were foretold up to a time and not checked yet, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn needs_to_check(&self, up_to_unix_ms: i64) -> Result<Vec<i64>, StoreError> {
        let times = sqlx::query_scalar(
            "SELECT DISTINCT made_unix_ms FROM needs WHERE made_unix_ms <= $1
                 AND made_unix_ms NOT IN (SELECT made_unix_ms FROM need_checks)
             ORDER BY made_unix_ms",
        );
        Ok(times.bind(up_to_unix_ms).fetch_all(&self.readers).await?)
    }

    /// What was foretold at a time, after a person, in the order of people.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn needs_at<T: DeserializeOwned>(
        &self,
        made_unix_ms: i64,
        after: Uuid,
        most: u32,
    ) -> Result<(Vec<(Uuid, T)>, Option<Uuid>), StoreError> {
        let rows: Vec<ProfileRow> = sqlx::query_as(
            "SELECT person, made_unix_ms, nonce, sealed FROM needs
             WHERE made_unix_ms = $1 AND person > $2 ORDER BY person LIMIT $3",
        )
        .bind(made_unix_ms)
        .bind(bytes(&after))
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        let last = rows.last().map(|(person, ..)| id_of(person)).transpose()?;
        let closed = self.closed(rows).await?;
        let opened = closed.iter().map(|one| Ok((one.person, one.open()?)));
        Ok((opened.collect::<Result<_, StoreError>>()?, last))
    }

    /// What was foretold of a person after a time, as far as it is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn needs_of<T: DeserializeOwned>(
        &self,
        person: Uuid,
        after_unix_ms: i64,
    ) -> Result<Vec<T>, StoreError> {
        let rows: Vec<ProfileRow> = sqlx::query_as(
            "SELECT person, made_unix_ms, nonce, sealed FROM needs
             WHERE person = $1 AND made_unix_ms > $2",
        )
        .bind(bytes(&person))
        .bind(after_unix_ms)
        .fetch_all(&self.readers)
        .await?;
        self.closed(rows).await?.iter().map(Closed::open).collect()
    }

    /// What came of what was foretold since a time, the oldest first, with the time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn need_checks<T: DeserializeOwned>(
        &self,
        since_unix_ms: i64,
    ) -> Result<Vec<(i64, T)>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT made_unix_ms, body FROM need_checks WHERE made_unix_ms >= $1
             ORDER BY made_unix_ms",
        )
        .bind(since_unix_ms)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(|(at, body)| Ok((at, serde_json::from_str(&body)?))).collect()
    }
}
