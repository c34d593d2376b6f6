//! Operators' keys: what is kept of them, which is not the keys themselves.

use super::{Store, StoreError, Writing, fixed, id_of};
use protocol::digest::Digest;
use sqlx::AnyConnection;
use uuid::Uuid;

/// What is stored of a key. Times are Unix milliseconds by the server's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Stands in the key, in clear.
    pub id: Uuid,
    /// What its maker calls it.
    pub name: String,
    /// SHA-256 of the whole key.
    pub hash: Digest,
    /// Names of scopes, a space between.
    pub scopes: String,
    /// When it was made.
    pub created_unix_ms: i64,
    /// From when on it is refused.
    pub expires_unix_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_unix_ms: Option<i64>,
    /// When it was last seen, to the minute.
    pub last_used_unix_ms: Option<i64>,
    /// The key that it took over from.
    pub replaces: Option<Uuid>,
}

const COLUMNS: &str = "id, name, hash, scopes, created_unix_ms, expires_unix_ms, revoked_unix_ms, \
                       last_used_unix_ms, replaces";

/// The columns, in their order.
type Columns =
    (Vec<u8>, String, Vec<u8>, String, i64, Option<i64>, Option<i64>, Option<i64>, Option<Vec<u8>>);

impl ApiKeyRow {
    fn of(columns: Columns) -> Result<Self, StoreError> {
        let (id, name, hash, scopes, created, expires, revoked, last_used, replaces) = columns;
        Ok(Self {
            id: id_of(&id)?,
            name,
            hash: Digest(fixed(&hash)?),
            scopes,
            created_unix_ms: created,
            expires_unix_ms: expires,
            revoked_unix_ms: revoked,
            last_used_unix_ms: last_used,
            replaces: replaces.as_deref().map(id_of).transpose()?,
        })
    }
}

impl Store {
    /// A key by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key(&self, id: Uuid) -> Result<Option<ApiKeyRow>, StoreError> {
        api_key(&mut *self.readers.acquire().await?, id).await
    }

    /// Every key that was made, the ended ones too, in the order of their making.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM api_keys ORDER BY created_unix_ms, id"
        ));
        let rows: Vec<Columns> = sqlx::query_as(query).fetch_all(&self.readers).await?;
        rows.into_iter().map(ApiKeyRow::of).collect()
    }

    /// Whether a key was ever made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_api_keys(&self) -> Result<bool, StoreError> {
        let first: Option<i64> = sqlx::query_scalar("SELECT created_unix_ms FROM api_keys LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        Ok(first.is_some())
    }
}

impl Writing {
    /// A key by its id, as this turn sees it: what the turns before it have written counts, though
    /// it is not durable yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key(&mut self, id: Uuid) -> Result<Option<ApiKeyRow>, StoreError> {
        api_key(&mut self.transaction, id).await
    }

    /// Keeps a new key.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is to be dropped then.
    pub async fn put_api_key(&mut self, key: &ApiKeyRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO api_keys (id, name, hash, scopes, created_unix_ms, expires_unix_ms,
             replaces) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(key.id.as_bytes().to_vec())
        .bind(key.name.clone())
        .bind(key.hash.0.to_vec())
        .bind(key.scopes.clone())
        .bind(key.created_unix_ms)
        .bind(key.expires_unix_ms)
        .bind(key.replaces.map(|id| id.as_bytes().to_vec()))
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Lets a key end at a time, unless it ends before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_api_key(&mut self, id: Uuid, at_unix_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE api_keys SET expires_unix_ms = $1
             WHERE id = $2 AND (expires_unix_ms IS NULL OR expires_unix_ms > $1)",
        )
        .bind(at_unix_ms)
        .bind(id.as_bytes().to_vec())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Revokes a key now; whether there was one to revoke.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_api_key(&mut self, id: Uuid, now_unix_ms: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE api_keys SET revoked_unix_ms = $1 WHERE id = $2 AND revoked_unix_ms IS NULL",
        )
        .bind(now_unix_ms)
        .bind(id.as_bytes().to_vec())
        .execute(&mut *self.transaction)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Keeps when a key was last seen; an earlier time changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_api_key_used(&mut self, id: Uuid, at_unix_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE api_keys SET last_used_unix_ms = $1
             WHERE id = $2 AND (last_used_unix_ms IS NULL OR last_used_unix_ms < $1)",
        )
        .bind(at_unix_ms)
        .bind(id.as_bytes().to_vec())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}

async fn api_key(
    connection: &mut AnyConnection,
    id: Uuid,
) -> Result<Option<ApiKeyRow>, StoreError> {
    let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM api_keys WHERE id = $1"));
    let row: Option<Columns> =
        sqlx::query_as(query).bind(id.as_bytes().to_vec()).fetch_optional(connection).await?;
    row.map(ApiKeyRow::of).transpose()
}
