//! What keeps a server going: who may ask and how often, what it measures of itself, how it ends.
//!
//! **Invariant.** Nothing here knows what the server is for.

mod keychain;
pub mod keys;
pub(crate) mod limits;
pub(crate) mod metrics;
pub(crate) mod ring;
pub mod scope;
pub mod settings;
pub(crate) mod tasks;
pub mod telemetry;

use crate::config::LimitsConfig;
use limits::{Addresses, Ticker};
use metrics::Metrics;
use ring::Ring;
use tasks::Tasks;
use tokio_util::sync::CancellationToken;

/// The parts; one a server.
#[derive(Debug)]
pub(crate) struct Ops {
    /// Operators' keys.
    pub(crate) ring: Ring,
    pub(crate) limits: LimitsConfig,
    /// What addresses may ask without a key.
    pub(crate) visitors: Addresses,
    /// What addresses may send for devices.
    pub(crate) devices: Addresses,
    pub(crate) ticker: Ticker,
    pub(crate) metrics: Metrics,
    /// Background work.
    pub(crate) tasks: Tasks,
    /// Cancelled when the server is about to end: it still answers, but wants no new work.
    pub(crate) draining: CancellationToken,
}

impl Ops {
    pub(crate) fn new(limits: LimitsConfig, metrics: Metrics) -> Self {
        Self {
            ring: Ring::default(),
            limits,
            visitors: Addresses::default(),
            devices: Addresses::default(),
            ticker: Ticker::default(),
            metrics,
            tasks: Tasks::default(),
            draining: CancellationToken::new(),
        }
    }
}
