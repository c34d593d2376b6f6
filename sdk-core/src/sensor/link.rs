//! The seam to Bluetooth: what a transport must do, and no more.

use super::selector::Selector;
use crate::{
    clock::Nanos,
    consent::{Collect, Permit, Refused},
};
use async_trait::async_trait;
use std::time::Instant;
use thiserror::Error;
use uuid::Uuid;

/// The time base of a session: the only place of this crate that reads a clock, at its edge.
#[derive(Debug, Clone, Copy)]
pub struct SessionClock {
    origin: Instant,
}

impl SessionClock {
    /// A session that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Session time.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    /// Session time of an instant; zero before the session.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Nanos {
        Nanos::ZERO + instant.saturating_duration_since(self.origin)
    }

    /// The instant of a session time.
    #[must_use]
    pub fn instant(&self, at: Nanos) -> Instant {
        self.origin + at.since(Nanos::ZERO)
    }
}

/// One pushed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The characteristic.
    pub characteristic: Uuid,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it arrived.
    pub arrived: Nanos,
}

/// Why a link is not there.
#[derive(Debug, Error)]
pub enum LinkError {
    /// No consent.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No adapter, or it is off.
    #[error("Bluetooth is not available: {0}. Switch it on, or see `attune doctor`")]
    Unavailable(String),
    /// The device was not seen.
    #[error("no device with {wanted} was found: wear it, wake it, bring it near")]
    NotFound {
        /// The address or the services looked for.
        wanted: String,
    },
    /// The device has another firmware than the driver expects.
    #[error("the device has no characteristic {characteristic}: is its firmware up to date?")]
    Missing {
        /// The wanted characteristic.
        characteristic: Uuid,
    },
    /// The device or the radio failed.
    #[error("the connection failed: {0}")]
    Failed(String),
}

/// Opens links. Implemented by `BtleplugTransport`; on phones by native code.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Finds the device, connects, subscribes to each of the selector's characteristics and then
    /// writes its `hello`. Only with a permit: without one no device is even looked for. Called
    /// again after every loss.
    async fn open(
        &self,
        selector: &Selector,
        permit: &Permit<Collect>,
        clock: SessionClock,
    ) -> Result<Box<dyn Link>, LinkError>;
}

/// A subscribed device.
#[async_trait]
pub trait Link: Send {
    /// The next notification of any subscribed characteristic; `None` once the link is down.
    /// Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Notification>;

    /// Battery in percent, where the device has the standard service.
    async fn battery(&mut self) -> Option<u8>;

    /// Notifications dropped because nobody took them in time.
    fn overflowed(&self) -> u64;

    /// Writes the selector's `goodbye`, unsubscribes and disconnects. Must end within a second,
    /// whatever the device does: a withdrawal waits for it.
    async fn close(self: Box<Self>);
}
