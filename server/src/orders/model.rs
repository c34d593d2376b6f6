//! The model of needs at work, and how sure it must be.

use super::{outcome::Check, service::Orders};
use crate::store::{Action, Actor, Entry, ModelRow, ModelState, Store, StoreError};
use models::{
    confidence::{Adaptive, Level, Period, Realised, Wanted},
    reorder::{Bundle, BundleError},
};
use protocol::{log, log::LogSafe};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};
use thiserror::Error;

/// The kind of models that are registered here.
pub(crate) const KIND: &str = "orders";
const DAY_MS: i64 = 86_400_000;
/// Checks that the level learns from: two years of days.
const LOOKED_BACK_DAYS: i64 = 730;
/// Chances left to the lot that say enough to move the level.
const LEAST_LEFT_ALONE: u64 = 20;

/// Why there is no model.
#[derive(Debug, Error)]
pub(crate) enum ServingError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Messages name models, nothing of people.
impl LogSafe for ServingError {}

/// What training says of a model of needs, on its standard output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OrdersReport {
    /// What it was fitted on and how.
    pub lineage: Value,
}

/// A model at work.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) level: Level,
}

impl Orders {
    /// The model at work; `None` while there is none.
    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in a model that training made: it serves from now on, because the newest was calibrated
    /// on the newest completed days. Gives its id.
    ///
    /// # Errors
    /// [`ServingError`]; the model before goes on.
    pub(crate) async fn register(
        &self,
        store: &Store,
        bytes: &[u8],
        report: OrdersReport,
        now_unix_ms: i64,
    ) -> Result<String, ServingError> {
        let bundle = Bundle::from_json(bytes)?;
        let id = bundle.id().to_owned();
        let decided = |state: ModelState, reason: &str| json!({"at_unix_ms": now_unix_ms, "state": state, "reason": reason});
        let mut turn = store.begin().await?;
        for row in store.models(KIND).await? {
            if row.state == ModelState::Champion && row.id != id {
                let mut lineage = row.lineage;
                lineage["decisions"] = json!([decided(ModelState::Retired, "a newer one serves")]);
                turn.change_model(&row.id, ModelState::Retired, &lineage).await?;
            }
        }
        let reason = "the newest, calibrated on the newest completed days";
        let row = ModelRow {
            id: id.clone(),
            state: ModelState::Champion,
            created_unix_ms: now_unix_ms,
            lineage: json!({
                "training": report.lineage, "decisions": [decided(ModelState::Champion, reason)],
            }),
        };
        if !turn.put_model(KIND, &row, bytes).await? {
            turn.change_model(&id, ModelState::Champion, &row.lineage).await?;
        }
        let entry = Entry {
            actor: Actor::Server,
            action: Action::Model,
            about: None,
            result: format!("{id} tells needs: {reason}"),
        };
        turn.audit(&entry, now_unix_ms).await?;
        turn.commit().await?;
        self.refresh(store, now_unix_ms).await?;
        Ok(id)
    }

    /// Serves what the database says, at the level that what came since allows.
    ///
    /// # Errors
    /// [`ServingError`].
    pub(crate) async fn refresh(
        &self,
        store: &Store,
        now_unix_ms: i64,
    ) -> Result<(), ServingError> {
        let rows = store.models(KIND).await?;
        let champion = rows.into_iter().find(|row| row.state == ModelState::Champion);
        let serving = match champion {
            None => None,
            Some(row) => {
                let known = self.serving().filter(|known| known.bundle.id() == row.id);
                let bundle = match known {
                    Some(known) => Arc::clone(&known.bundle),
                    None => {
                        let bytes = store.bundle(&row.id).await?.unwrap_or_default();
                        match Bundle::from_json(&bytes) {
                            Ok(bundle) => Arc::new(bundle),
                            Err(error) => {
                                let error = ServingError::from(error);
                                // The operator runs an older or a newer server.
                                log!(warn, "the model of needs cannot be used: train anew", error);
                                return Ok(());
                            }
                        }
                    }
                };
                let level = bundle.level(&self.adapted(store, now_unix_ms).await?, &self.wanted);
                Some(Arc::new(Serving { bundle, level }))
            }
        };
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = serving;
        Ok(())
    }

    async fn adapted(&self, store: &Store, now_unix_ms: i64) -> Result<Adaptive, StoreError> {
        let since = now_unix_ms.saturating_sub(LOOKED_BACK_DAYS * DAY_MS);
        let checks = store.need_checks::<Check>(since).await?;
        Ok(adapted(&self.wanted, checks.iter().map(|(_, check)| check)))
    }
}

/// The wrong share that is aimed at, by what came where the lot said that nobody asks: what was asked
/// for and approved would look needed. Days are put together until they say enough.
fn adapted<'a>(wanted: &Wanted, checks: impl Iterator<Item = &'a Check>) -> Adaptive {
    let mut adaptive = Adaptive::new(wanted);
    let mut realised = Realised::default();
    for check in checks {
        realised.add(&check.left_alone);
        if check.proposed.proposals > 0 && realised.proposals < LEAST_LEFT_ALONE {
            continue;
        }
        adaptive.record(&Period { known_on: check.known_on, realised });
        adaptive.advance(check.known_on);
        realised = Realised::default();
    }
    adaptive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(day: i32, proposals: u64, wrong: u64, proposed: u64) -> Check {
        let of = |proposals, wrong| Realised { predictions: proposals, proposals, wrong };
        let known_on = day + 15;
        Check {
            day,
            known_on,
            left_alone: of(proposals, wrong),
            proposed: of(proposed, 0),
            ..Check::default()
        }
    }

    #[test]
    fn the_aim_falls_by_what_the_lot_left_alone_whatever_was_approved() {
        let wanted = Wanted::default();
        let aim = |checks: &[Check]| adapted(&wanted, checks.iter()).aim();
        let few = [check(0, 10, 10, 200), check(1, 9, 9, 200)];
        assert_eq!(aim(&few), wanted.wrong_share(), "not enough to say so");
        let enough = [check(0, 10, 6, 200), check(1, 10, 6, 200), check(2, 1, 1, 20)];
        assert!((aim(&enough) - 0.05).abs() < 1e-12, "0.1 + 0.1 (0.1 - 0.6)");
        // Who proposes nothing proposes nothing wrong.
        let nothing = [check(0, 20, 20, 200), check(1, 0, 0, 0)];
        assert!((aim(&nothing) - 0.02).abs() < 1e-12, "{}", aim(&nothing));
    }
}
