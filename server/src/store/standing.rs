//! A reader that stays out of the pool. The pool asks a connection that comes back whether it lives:
//! a second trip to its thread, as dear as the small query that it was lent for.

use super::db::Dialect;
use sqlx::{
    Any, AnyPool, FromRow,
    any::{AnyArguments, AnyRow},
    pool::PoolConnection,
    query::QueryAs,
};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Clones share the connection. There is none to a database elsewhere, which may go and come back:
/// there the pool's question is worth its price.
#[derive(Debug, Clone)]
pub(super) struct Standing(Option<Arc<Mutex<Option<PoolConnection<Any>>>>>);

impl Standing {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self((dialect == Dialect::Sqlite).then(Arc::default))
    }

    /// A row, by the standing connection if nobody uses it, else by one of the pool's. A connection
    /// that fails goes back to the pool, which looks at it.
    pub(super) async fn fetch_optional<T>(
        &self,
        pool: &AnyPool,
        query: QueryAs<'_, Any, T, AnyArguments>,
    ) -> Result<Option<T>, sqlx::Error>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        let place = self.0.as_ref().and_then(|place| place.try_lock().ok());
        let Some(mut place) = place else { return query.fetch_optional(pool).await };
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => pool.acquire().await?,
        };
        let row = query.fetch_optional(&mut *connection).await?;
        *place = Some(connection);
        Ok(row)
    }

    /// Closes a pool, which waits for everything that it lent.
    pub(super) async fn close(&self, pool: &AnyPool) {
        let Some(place) = &self.0 else { return pool.close().await };
        let mut place = place.lock().await;
        drop(place.take());
        pool.close().await;
    }
}
