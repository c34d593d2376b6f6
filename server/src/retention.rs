//! How long each kind of data is kept (C16), and its end.

use crate::{
    app::App,
    store::{AgeCutoffs, Cutoffs, Expired, StoreError},
};
use models::profile::Source;
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
    /// what names them. Statements that you pass on end so, too, once nothing else is left of the
    /// person.
    pub proof_days: u32,
    /// The audit log.
    pub audit_days: u32,
    /// How requests to take something in went, and rows that were not taken.
    pub intake_days: u32,
    /// Circumstances of places: about nobody, and without end otherwise.
    pub circumstance_days: u32,
    /// Orders, from their end, with everything that happened to them; and what was suggested.
    pub order_days: u32,
    /// What models foretold, counted from the newest forecast.
    pub forecast_days: u32,
    /// Work that was done, and the content of models that went out of service.
    pub job_days: u32,
    /// What models learn from, source by source.
    pub facts: FactsRetention,
}

/// Days from arrival until deletion of facts, source by source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FactsRetention {
    /// Conversions.
    pub conversion_days: u32,
    /// What people do in apps and on pages.
    pub behaviour_days: u32,
    /// Circumstances of a person's place.
    pub context_days: u32,
    /// Banded attributes.
    pub demographics_days: u32,
    /// A loyalty programme's transactions.
    pub loyalty_days: u32,
    /// What third parties report.
    pub third_party_days: u32,
}

/// Purchases tell most after years (a customer's rhythm), visits after weeks.
impl Default for FactsRetention {
    fn default() -> Self {
        Self {
            conversion_days: 3 * 365,
            behaviour_days: 365,
            context_days: 365,
            demographics_days: 365,
            loyalty_days: 3 * 365,
            third_party_days: 365,
        }
    }
}

impl FactsRetention {
    /// In the order of [`Source::ALL`].
    fn days(self) -> [u32; Source::ALL.len()] {
        Source::ALL.map(|source| match source {
            Source::Conversion => self.conversion_days,
            Source::Behaviour => self.behaviour_days,
            Source::Context => self.context_days,
            Source::Demographics => self.demographics_days,
            Source::Loyalty => self.loyalty_days,
            Source::ThirdParty => self.third_party_days,
        })
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            derived_days: 30,
            behaviour_days: 365,
            proof_days: 3 * 365,
            audit_days: 2 * 365,
            intake_days: 90,
            circumstance_days: 2 * 365,
            order_days: 3 * 365,
            forecast_days: 365,
            job_days: 90,
            facts: FactsRetention::default(),
        }
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
            ages: AgeCutoffs {
                facts: self.facts.days().map(before),
                intake: before(self.intake_days),
                circumstances: before(self.circumstance_days),
                jobs: before(self.job_days),
                orders: before(self.order_days),
                forecasts_ms: i64::from(self.forecast_days) * DAY_MS,
            },
        }
    }
}

/// Deletes what has reached its age, and finishes what an erasure left.
pub(crate) async fn run(app: &App, now_unix_ms: i64) -> Result<Expired, StoreError> {
    let cutoffs = app.retention.cutoffs(now_unix_ms);
    app.store.finish_erasures(now_unix_ms).await?;
    let expired = app.store.expire(&cutoffs, now_unix_ms).await?;
    app.features.rebuild_stale(&app.store, &app.shutdown).await?;
    if expired.any() {
        app.live.expired(&expired, &cutoffs);
    }
    if !app.store.checkpoint().await? {
        log!(warn, "a reader kept the write-ahead log from being emptied; tried again later");
    }
    let Expired { derived, behaviour, recognised, people, receipts, audit, aged, .. } = expired;
    let facts = aged.facts;
    log!(info, "retention", derived, behaviour, recognised, people, receipts, audit, facts);
    Ok(expired)
}
