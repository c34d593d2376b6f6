//! Predicting conversions: which model serves, whom it scores and when, how good it was.
//!
//! ```text
//!  ingest -> profiles --(due)--> score -> predictions -> api
//!                 \---(sweep)--> score -> forecasts --(horizon over)--> mature -> registry
//!  schedule -> attune train (a process) -> registry: challenger -> rule -> champion
//! ```
//!
//! What is due is marked in the database by whoever changed a profile: a crash loses nothing.
//!
//! **Invariant.** Nothing here fits anything, and nothing here imports `api`.

pub(crate) mod answer;
mod config;
mod examples;
mod mature;
pub(crate) mod measure;
pub(crate) mod model;
pub(crate) mod registry;
pub(crate) mod rule;
mod sample;
pub(crate) mod schedule;
mod score;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
pub(crate) mod work;

pub use config::{ConversionConfig, TrainingConfig};
pub use examples::{ExamplesError, Wanted, examples};
pub use measure::{Outcome, Paired, Quality};
pub use registry::TrainingReport;
pub use rule::Evidence;
pub(crate) use sample::Sample;

use crate::{features::Features, ops::metrics::Scoring, store::Store};
use registry::{Registry, RegistryError};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

/// Crossings that wait for a slow listener; who is slower is told how many were missed.
const WAITING_CROSSINGS: usize = 4_096;

/// Why predictions cannot begin.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct LoadError(Box<dyn std::error::Error + Send + Sync>);

impl From<RegistryError> for LoadError {
    fn from(error: RegistryError) -> Self {
        Self(error.into())
    }
}

/// A person's probability came to the crossing: what delivery starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    /// Whose: the root of a group.
    pub person: Uuid,
    /// Of a conversion within the horizon.
    pub probability: f64,
    /// By which model.
    pub model: Arc<str>,
    /// When, Unix milliseconds.
    pub as_of_unix_ms: i64,
}

/// One bell a loop: who is at work when it rings hears it afterwards.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    scoring: Notify,
    sweeping: Notify,
    training: Notify,
}

impl Wake {
    /// Rings all of them.
    pub(crate) fn all(&self) {
        for bell in [&self.scoring, &self.sweeping, &self.training] {
            bell.notify_one();
        }
    }
}

/// The predictions of a running server.
#[derive(Debug)]
pub(crate) struct Conversion {
    pub(crate) config: ConversionConfig,
    pub(crate) features: Arc<Features>,
    pub(crate) registry: Registry,
    measures: Scoring,
    crossings: broadcast::Sender<Crossing>,
    /// Told when there is something to do.
    pub(crate) wake: Wake,
}

impl Conversion {
    /// With the models that the database says are at work.
    ///
    /// # Errors
    /// [`LoadError`] when one of them cannot be read.
    pub(crate) async fn load(
        store: &Store,
        config: ConversionConfig,
        features: Arc<Features>,
        measures: Scoring,
    ) -> Result<Self, LoadError> {
        let registry =
            Registry::load(store, features.definitions().digest(), config.challengers).await?;
        let (crossings, _) = broadcast::channel(WAITING_CROSSINGS);
        Ok(Self { config, features, registry, crossings, wake: Wake::default(), measures })
    }

    /// Everybody who comes to the crossing from now on.
    pub(crate) fn crossings(&self) -> broadcast::Receiver<Crossing> {
        self.crossings.subscribe()
    }
}
