//! The people's keys and the tombstones of the erased: a small database of its own, to be backed up
//! apart, with short retention.
//!
//! **Invariant.** It holds no pseudonym, only hashes of them, and knows nothing of the main
//! database; that the two agree is the business of [`super::erasure`].

use super::{
    BUSY_TIMEOUT, StoreError,
    seal::{KEY_BYTES, PersonKey, random},
};
use protocol::digest::Digest;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::path::Path;

/// The name of the key database inside the data folder.
pub const KEYS_FILE_NAME: &str = "keys.sqlite3";

/// A handle on the key database.
#[derive(Debug, Clone)]
pub(super) struct Keys(SqlitePool);

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
        Ok(Self(pool))
    }

    pub(super) async fn find(&self, person: &Digest) -> Result<Option<PersonKey>, StoreError> {
        let key: Option<Vec<u8>> = sqlx::query_scalar("SELECT key FROM person_keys WHERE hash = ?")
            .bind(&person.0[..])
            .fetch_optional(&self.0)
            .await?;
        key.map(|bytes| PersonKey::new(&bytes)).transpose()
    }

    /// The person's key, made now if there is none; `None` if the person was erased.
    pub(super) async fn find_or_make(
        &self,
        person: &Digest,
    ) -> Result<Option<PersonKey>, StoreError> {
        let fresh: [u8; KEY_BYTES] = random()?;
        sqlx::query(
            "INSERT INTO person_keys (hash, key) SELECT ?1, ?2
             WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE hash = ?1)
             ON CONFLICT DO NOTHING",
        )
        .bind(&person.0[..])
        .bind(&fresh[..])
        .execute(&self.0)
        .await?;
        self.find(person).await
    }

    pub(super) async fn erased(&self, person: &Digest) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tombstones WHERE hash = ?)");
        Ok(query.bind(&person.0[..]).fetch_one(&self.0).await?)
    }

    /// From now on nothing about the person is taken.
    pub(super) async fn bury(&self, person: &Digest, now_unix_ms: i64) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO tombstones VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(&person.0[..])
            .bind(now_unix_ms)
            .execute(&self.0)
            .await?;
        Ok(())
    }

    /// Makes every body of the person unreadable, wherever a copy of it is.
    pub(super) async fn shred(&self, person: &Digest) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM person_keys WHERE hash = ?")
            .bind(&person.0[..])
            .execute(&self.0)
            .await?;
        Ok(())
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
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&self.0).await?;
        rows.into_iter().map(|row| Ok(Digest(super::fixed(&row)?))).collect()
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}
