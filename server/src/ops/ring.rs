//! The keys in use, in memory: a request costs no database write, and mostly no read.
//!
//! A key is read again when it was not for [`FRESH`]: a revocation by another process on the same
//! data reaches the server within that time. What is done through this server counts at once.

use super::{
    keys::{KeyState, Token},
    limits::Bucket,
    scope::{Scope, Scopes},
};
use crate::store::{ApiKeyRow, Store, StoreError};
use protocol::{digest::Digest, log};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long a key is used as it was read.
pub(crate) const FRESH: Duration = Duration::from_secs(5);
/// How exactly the last use is kept: a write a key and minute at most.
pub(crate) const USE_EVERY: Duration = Duration::from_secs(60);

/// A key that was shown and holds.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) id: Uuid,
    pub(crate) scopes: Scopes,
    /// How fast it may ask.
    pub(crate) bucket: Arc<Bucket>,
}

impl Holder {
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }
}

/// Why a key does not hold. All of them read the same on the wire but the last two, which only the
/// holder of the secret gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    Unknown,
    Expired,
    Revoked,
}

/// The keys that were used of late.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    known: Mutex<HashMap<Uuid, Known>>,
    /// Whether a key was ever made: once so, always so.
    any: AtomicBool,
}

#[derive(Debug, Clone)]
struct Known {
    row: Arc<ApiKeyRow>,
    scopes: Scopes,
    read: Instant,
    bucket: Arc<Bucket>,
    used_unix_ms: Arc<AtomicI64>,
}

impl Ring {
    /// Whether the key is in memory: looking at it costs nothing.
    pub(crate) fn has(&self, id: Uuid) -> bool {
        self.lock().contains_key(&id)
    }

    /// Checks a key.
    ///
    /// # Errors
    /// [`StoreError`] when the database had to be asked and did not answer.
    pub(crate) async fn check(
        &self,
        store: &Store,
        token: &Token,
        now_unix_ms: i64,
    ) -> Result<Result<Holder, Invalid>, StoreError> {
        let found = self.current(store, token.id()).await?;
        // Compared even where there is nothing to compare with: the time tells no ids.
        let stored = found.as_ref().map_or(Digest::NONE, |known| known.row.hash);
        let same = bool::from(stored.0.ct_eq(&token.hash().0));
        let Some(known) = found.filter(|_| same) else { return Ok(Err(Invalid::Unknown)) };
        Ok(known.hold(now_unix_ms))
    }

    /// Checks again a key that was checked before, by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn recheck(
        &self,
        store: &Store,
        id: Uuid,
        now_unix_ms: i64,
    ) -> Result<Result<Holder, Invalid>, StoreError> {
        let found = self.current(store, id).await?;
        Ok(found.map_or(Err(Invalid::Unknown), |known| known.hold(now_unix_ms)))
    }

    /// Whether a key was ever made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn any(&self, store: &Store) -> Result<bool, StoreError> {
        if !self.any.load(Ordering::Relaxed) && store.has_api_keys().await? {
            self.any.store(true, Ordering::Relaxed);
        }
        Ok(self.any.load(Ordering::Relaxed))
    }

    /// Forgets what was read: the next request reads it again.
    pub(crate) fn changed(&self) {
        for known in self.lock().values_mut() {
            known.read = known.read.checked_sub(FRESH).unwrap_or(known.read);
        }
    }

    /// Writes down when keys were last used; says so in the log if it could not.
    pub(crate) async fn flush(&self, store: &Store) {
        let used: Vec<(Uuid, i64)> = self
            .lock()
            .iter()
            .map(|(id, known)| (*id, known.used_unix_ms.swap(0, Ordering::Relaxed)))
            .filter(|(_, at)| *at > 0)
            .collect();
        if used.is_empty() {
            return;
        }
        let written = async {
            let mut writing = store.begin().await?;
            for (id, at) in used {
                writing.note_api_key_used(id, at).await?;
            }
            writing.commit().await
        };
        let written: Result<(), StoreError> = written.await;
        if let Err(error) = written {
            log!(warn, "when keys were last used was not written", error);
        }
    }

    async fn current(&self, store: &Store, id: Uuid) -> Result<Option<Known>, StoreError> {
        let known = self.lock().get(&id).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.read.elapsed() < FRESH) {
            return Ok(Some(known.clone()));
        }
        let read = Instant::now();
        let Some(row) = store.api_key(id).await? else {
            self.lock().remove(&id);
            return Ok(None);
        };
        let scopes = Scopes::parse(&row.scopes);
        let row = Arc::new(row);
        let fresh = match known {
            Some(known) => Known { row, scopes, read, ..known },
            None => {
                Known { row, scopes, read, bucket: Arc::default(), used_unix_ms: Arc::default() }
            }
        };
        self.lock().insert(id, fresh.clone());
        Ok(Some(fresh))
    }

    /// A panic elsewhere leaves the map whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn hold(&self, now_unix_ms: i64) -> Result<Holder, Invalid> {
        match self.row.state(now_unix_ms) {
            KeyState::Expired => Err(Invalid::Expired),
            KeyState::Revoked => Err(Invalid::Revoked),
            KeyState::Active => {
                self.used_unix_ms.fetch_max(now_unix_ms, Ordering::Relaxed);
                Ok(Holder {
                    id: self.row.id,
                    scopes: self.scopes,
                    bucket: Arc::clone(&self.bucket),
                })
            }
        }
    }
}
