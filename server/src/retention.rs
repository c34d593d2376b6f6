//! How long each kind of data is kept (C16), and its end.

use crate::{
    app::App,
    store::{Cutoffs, Expired, StoreError},
};
use protocol::log;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often what has reached its age is deleted.
pub(crate) const EVERY: Duration = Duration::from_secs(60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Days from arrival until deletion, purpose by purpose. The notice that people agree to must not
/// promise less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// What was derived from the body: features and intents.
    pub derived_days: u32,
    /// Sessions, offers, outcomes.
    pub behaviour_days: u32,
    /// The proof of consent of a person who withdrew, from the withdrawal. With it ends the rest of
    /// what names them.
    pub proof_days: u32,
    /// The audit log.
    pub audit_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { derived_days: 30, behaviour_days: 365, proof_days: 3 * 365, audit_days: 2 * 365 }
    }
}

impl RetentionConfig {
    /// What arrived before is past its age at a time.
    #[must_use]
    pub(crate) fn cutoffs(&self, now_unix_ms: i64) -> Cutoffs {
        let before = |days: u32| now_unix_ms.saturating_sub(i64::from(days) * DAY_MS);
        Cutoffs {
            derived: before(self.derived_days),
            behaviour: before(self.behaviour_days),
            proof: before(self.proof_days),
            audit: before(self.audit_days),
        }
    }
}

/// Deletes what has reached its age, and finishes what an erasure left.
pub(crate) async fn run(app: &App, now_unix_ms: i64) -> Result<Expired, StoreError> {
    let cutoffs = app.retention.cutoffs(now_unix_ms);
    app.store.finish_erasures(now_unix_ms).await?;
    let expired = app.store.expire(&cutoffs, now_unix_ms).await?;
    if expired.any() {
        app.live.expired(&expired, &cutoffs);
    }
    if !app.store.checkpoint().await? {
        log!(warn, "a reader kept the write-ahead log from being emptied; tried again later");
    }
    let Expired { derived, behaviour, recognised, people, receipts, audit, .. } = expired;
    log!(info, "retention", derived, behaviour, recognised, people, receipts, audit);
    Ok(expired)
}
