//! Making profiles anew: all, when the definitions are others than those they were made by, and
//! those of people whose facts reached their age.

use super::Features;
use crate::store::{Store, StoreError};
use protocol::log;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Groups made anew in one transaction: intake waits no longer than for these.
const AT_ONCE: u32 = 200;
/// Groups between two lines of the log.
const LOG_EVERY: u64 = 10_000;

impl Features {
    /// Makes the profiles anew that say more than the facts that are left. Gives how many people
    /// they were about.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rebuild_stale(
        &self,
        store: &Store,
        stop: &CancellationToken,
    ) -> Result<u64, StoreError> {
        let mut people = 0;
        while !stop.is_cancelled() {
            let roots = store.stale_roots(AT_ONCE).await?;
            if roots.is_empty() {
                break;
            }
            let mut writing = store.begin().await?;
            writing.remove_said(&roots).await?;
            let made = self.rebuilt(&mut writing, &roots).await?;
            writing.put_profiles(&made).await?;
            writing.commit().await?;
            people += roots.len() as u64;
        }
        Ok(people)
    }

    /// Makes all profiles anew, unless they were made by these definitions. What is asked for
    /// meanwhile is made for the occasion. Stopped half-way, it begins anew the next time. Gives
    /// how many were made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rebuild_all(
        self: &Arc<Self>,
        store: &Store,
        stop: &CancellationToken,
        now_unix_ms: i64,
    ) -> Result<u64, StoreError> {
        let digest = self.definitions.digest();
        let mut people = 0;
        if store.definitions().await? == Some(digest) {
            return Ok(people);
        }
        let mut after = Uuid::nil();
        loop {
            let roots = store.roots_after(after, AT_ONCE).await?;
            let Some(last) = roots.last() else { break };
            if stop.is_cancelled() {
                return Ok(people);
            }
            after = *last;
            let mut writing = store.begin().await?;
            let made = self.rebuilt(&mut writing, &roots).await?;
            writing.put_profiles(&made).await?;
            writing.commit().await?;
            let before = people / LOG_EVERY;
            people += made.len() as u64;
            if people / LOG_EVERY > before {
                log!(info, "making profiles anew, for the definitions are others", people);
            }
        }
        let mut writing = store.begin().await?;
        writing.put_definitions(digest, now_unix_ms).await?;
        writing.commit().await?;
        if people > 0 {
            log!(info, "all profiles are made by the definitions in force", people);
        }
        Ok(people)
    }
}
