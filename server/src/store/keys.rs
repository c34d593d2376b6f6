//! The people's keys and the tombstones of the erased: a small database of its own, to be backed up
//! apart, with short retention.
//!
//! **Invariant.** It holds no pseudonym, only hashes of them, and knows nothing of the main
//! database; that the two agree is the business of [`super::erasure`].

use super::{
    StoreError,
    db::BUSY_TIMEOUT,
    seal::{KEY_BYTES, PersonKey, random},
    sql::{MOST_ROWS, list},
};
use protocol::digest::Digest;
use sqlx::{
    AssertSqlSafe, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The name of the key database inside the data folder.
pub const KEYS_FILE_NAME: &str = "keys.sqlite3";

/// A handle on the key database.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pool: SqlitePool,
    cache: Arc<Cache>,
}

/// Keys that were used not long ago, in two generations: when the young one is full it becomes the
/// old one, and what was old and not used is forgotten.
#[derive(Debug, Default)]
struct Cache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    generations: [HashMap<Digest, PersonKey>; 2],
    /// How often something was to be forgotten: what was looked up before that may be shredded.
    forgotten: u64,
}

/// Keys in a generation: with about 600 bytes each, 20 MB in all.
const GENERATION: usize = 16_384;

impl Cache {
    fn get(&self, person: &Digest) -> Option<PersonKey> {
        let generations = &mut self.lock().generations;
        if let Some(key) = generations[0].get(person) {
            return Some(key.clone());
        }
        let key = generations[1].remove(person)?;
        Self::keep(generations, *person, key.clone());
        Some(key)
    }

    /// To be asked before a key is looked up.
    fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Keeps a key, unless something was to be forgotten since it began to be looked up.
    fn put(&self, person: Digest, key: PersonKey, forgotten: u64) {
        let mut kept = self.lock();
        if kept.forgotten == forgotten {
            Self::keep(&mut kept.generations, person, key);
        }
    }

    fn forget(&self, person: &Digest) {
        let mut kept = self.lock();
        for keys in &mut kept.generations {
            keys.remove(person);
        }
        kept.forgotten += 1;
    }

    fn clear(&self) {
        let mut kept = self.lock();
        kept.generations.iter_mut().for_each(HashMap::clear);
        kept.forgotten += 1;
    }

    fn keep(generations: &mut [HashMap<Digest, PersonKey>; 2], person: Digest, key: PersonKey) {
        if generations[0].len() >= GENERATION {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        generations[0].insert(person, key);
    }

    /// A panic elsewhere leaves it whole: at worst a key is forgotten.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unless the person was erased, or has one.
const MAKE: &str = "INSERT INTO person_keys (hash, key) SELECT $1, $2
    WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE hash = $1)
    ON CONFLICT DO NOTHING";

impl Keys {
    pub(super) async fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(KEYS_FILE_NAME);
        // No write-ahead log: a key that was deleted must not live on in a second file.
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { path, source })?;
        sqlx::migrate!("migrations/keys").run(&pool).await?;
        Ok(Self { pool, cache: Arc::default() })
    }

    pub(super) async fn find(&self, person: &Digest) -> Result<Option<PersonKey>, StoreError> {
        if let Some(key) = self.cache.get(person) {
            return Ok(Some(key));
        }
        let forgotten = self.cache.forgotten();
        let key: Option<Vec<u8>> = sqlx::query_scalar("SELECT key FROM person_keys WHERE hash = ?")
            .bind(&person.0[..])
            .fetch_optional(&self.pool)
            .await?;
        let Some(bytes) = key else { return Ok(None) };
        let key = PersonKey::new(&bytes)?;
        self.cache.put(*person, key.clone(), forgotten);
        Ok(Some(key))
    }

    /// The keys of many people; who has none is not in it.
    pub(super) async fn find_all(
        &self,
        people: &[Digest],
    ) -> Result<HashMap<Digest, PersonKey>, StoreError> {
        let mut found = HashMap::with_capacity(people.len());
        let mut wanted = Vec::new();
        for person in people {
            match self.cache.get(person) {
                Some(key) => drop(found.insert(*person, key)),
                None => wanted.push(*person),
            }
        }
        let forgotten = self.cache.forgotten();
        for some in wanted.chunks(MOST_ROWS) {
            let select = "SELECT hash, key FROM person_keys WHERE hash IN ";
            let query = format!("{select}{}", list(1, some.len()));
            let mut query =
                sqlx::query_as(AssertSqlSafe(query)).persistent(some.len() == MOST_ROWS);
            for person in some {
                query = query.bind(&person.0[..]);
            }
            let rows: Vec<(Vec<u8>, Vec<u8>)> = query.fetch_all(&self.pool).await?;
            for (hash, key) in rows {
                let (person, key) = (Digest(super::fixed(&hash)?), PersonKey::new(&key)?);
                self.cache.put(person, key.clone(), forgotten);
                found.insert(person, key);
            }
        }
        Ok(found)
    }

    /// The same, with keys made now for who has none, by one sync for all of them. Who was erased
    /// is not in it.
    pub(super) async fn find_or_make_all(
        &self,
        people: &[Digest],
    ) -> Result<HashMap<Digest, PersonKey>, StoreError> {
        let mut found = self.find_all(people).await?;
        let without: Vec<Digest> =
            people.iter().filter(|person| !found.contains_key(person)).copied().collect();
        if without.is_empty() {
            return Ok(found);
        }
        let mut making = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for person in &without {
            let fresh: [u8; KEY_BYTES] = random()?;
            sqlx::query(MAKE).bind(&person.0[..]).bind(&fresh[..]).execute(&mut *making).await?;
        }
        making.commit().await?;
        found.extend(self.find_all(&without).await?);
        Ok(found)
    }

    /// The person's key, made now if there is none; `None` if the person was erased.
    pub(super) async fn find_or_make(
        &self,
        person: &Digest,
    ) -> Result<Option<PersonKey>, StoreError> {
        let fresh: [u8; KEY_BYTES] = random()?;
        sqlx::query(MAKE).bind(&person.0[..]).bind(&fresh[..]).execute(&self.pool).await?;
        self.find(person).await
    }

    /// When these were buried, of those that were.
    pub(super) async fn erased_of(
        &self,
        hashes: &[Digest],
    ) -> Result<HashMap<Digest, i64>, StoreError> {
        let mut erased = HashMap::new();
        for some in hashes.chunks(MOST_ROWS) {
            let select = "SELECT hash, erased_unix_ms FROM tombstones WHERE hash IN ";
            let query = format!("{select}{}", list(1, some.len()));
            let mut query =
                sqlx::query_as(AssertSqlSafe(query)).persistent(some.len() == MOST_ROWS);
            for hash in some {
                query = query.bind(&hash.0[..]);
            }
            let found: Vec<(Vec<u8>, i64)> = query.fetch_all(&self.pool).await?;
            for (hash, at_unix_ms) in found {
                erased.insert(Digest(super::fixed(&hash)?), at_unix_ms);
            }
        }
        Ok(erased)
    }

    pub(super) async fn erased(&self, person: &Digest) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tombstones WHERE hash = ?)");
        Ok(query.bind(&person.0[..]).fetch_one(&self.pool).await?)
    }

    /// From now on nothing about the person is taken.
    pub(super) async fn bury(&self, person: &Digest, now_unix_ms: i64) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO tombstones VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(&person.0[..])
            .bind(now_unix_ms)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The same for many, each from a time on, by one sync for all of them.
    pub(super) async fn bury_all(&self, people: &[(Digest, i64)]) -> Result<(), StoreError> {
        let mut burying = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (person, at_unix_ms) in people {
            sqlx::query("INSERT INTO tombstones VALUES (?, ?) ON CONFLICT DO NOTHING")
                .bind(&person.0[..])
                .bind(at_unix_ms)
                .execute(&mut *burying)
                .await?;
        }
        Ok(burying.commit().await?)
    }

    /// Makes every body of the person unreadable, wherever a copy of it is.
    pub(super) async fn shred(&self, person: &Digest) -> Result<(), StoreError> {
        self.cache.forget(person);
        sqlx::query("DELETE FROM person_keys WHERE hash = ?")
            .bind(&person.0[..])
            .execute(&self.pool)
            .await?;
        // Again: it may have been looked up until now.
        self.cache.forget(person);
        Ok(())
    }

    /// The same for many, by one sync for all of them.
    pub(super) async fn shred_all(&self, people: &[Digest]) -> Result<(), StoreError> {
        let mut shredding = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for person in people {
            self.cache.forget(person);
            sqlx::query("DELETE FROM person_keys WHERE hash = ?")
                .bind(&person.0[..])
                .execute(&mut *shredding)
                .await?;
        }
        Ok(shredding.commit().await?)
    }

    /// Forgets what was looked up: somebody else may have shredded it.
    pub(super) fn forget_looked_up(&self) {
        self.cache.clear();
    }

    /// Everybody who was erased.
    pub(super) async fn tombstones(&self) -> Result<Vec<Digest>, StoreError> {
        self.hashes("SELECT hash FROM tombstones").await
    }

    /// Everybody who has a key.
    pub(super) async fn holders(&self) -> Result<Vec<Digest>, StoreError> {
        self.hashes("SELECT hash FROM person_keys").await
    }

    async fn hashes(&self, query: &'static str) -> Result<Vec<Digest>, StoreError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&self.pool).await?;
        rows.into_iter().map(|row| Ok(Digest(super::fixed(&row)?))).collect()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_that_was_looked_up_while_it_was_shredded_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).await.unwrap();
        let person = Digest::of(b"somebody");
        for _ in 0..20 {
            keys.find_or_make(&person).await.unwrap().unwrap();
            keys.forget_looked_up();
            let (found, shredded) = tokio::join!(keys.find(&person), keys.shred(&person));
            found.unwrap();
            shredded.unwrap();
            assert!(keys.find(&person).await.unwrap().is_none());
        }
    }

    #[test]
    fn what_was_looked_up_before_something_was_forgotten_is_not_kept() {
        let (cache, person) = (Cache::default(), Digest::of(b"somebody"));
        let key = || PersonKey::new(&[7; KEY_BYTES]).unwrap();
        let forgotten = cache.forgotten();
        cache.forget(&person);
        cache.put(person, key(), forgotten);
        assert!(cache.get(&person).is_none());
        cache.put(person, key(), cache.forgotten());
        assert!(cache.get(&person).is_some());
    }
}
