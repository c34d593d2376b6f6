//! The drivers behind one face.

use super::{
    eda::EdaDriver,
    heart_rate::HeartRateDriver,
    sample::Sample,
    stats::{DeviceStatus, StreamStats},
};
use crate::clock::Nanos;
use protocol::{consent::Modality, eda_profile::EdaError, gatt, heart_rate::HeartRateError};
use thiserror::Error;
use uuid::Uuid;

/// A kind of device this crate can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceProfile {
    /// Any strap with the Heart Rate service and RR intervals.
    HeartRate,
    /// A wristband with Attune's EDA service.
    Eda,
}

impl DeviceProfile {
    /// What it measures.
    #[must_use]
    pub const fn modality(self) -> Modality {
        match self {
            Self::HeartRate => Modality::Hrv,
            Self::Eda => Modality::Eda,
        }
    }

    /// Its service and the characteristic that notifies.
    #[must_use]
    pub const fn uuids(self) -> (Uuid, Uuid) {
        match self {
            Self::HeartRate => (gatt::HEART_RATE_SERVICE, gatt::HEART_RATE_MEASUREMENT),
            Self::Eda => (gatt::EDA_SERVICE, gatt::EDA_MEASUREMENT),
        }
    }

    /// Its name in logs and views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeartRate => "heart-rate strap",
            Self::Eda => "EDA wristband",
        }
    }
}

/// A payload that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DriverError {
    /// Of a strap.
    #[error(transparent)]
    HeartRate(#[from] HeartRateError),
    /// Of a wristband.
    #[error(transparent)]
    Eda(#[from] EdaError),
}

/// The state of one device's stream.
#[derive(Debug)]
pub enum Driver {
    /// Of a strap.
    HeartRate(HeartRateDriver),
    /// Of a wristband.
    Eda(EdaDriver),
}

impl Driver {
    /// A driver that has seen nothing.
    #[must_use]
    pub fn new(profile: DeviceProfile) -> Self {
        match profile {
            DeviceProfile::HeartRate => Self::HeartRate(HeartRateDriver::default()),
            DeviceProfile::Eda => Self::Eda(EdaDriver::default()),
        }
    }

    /// Takes one notification of the profile's characteristic.
    ///
    /// # Errors
    /// [`DriverError`]; it is counted, and the next notification goes on.
    pub fn handle(&mut self, arrived: Nanos, bytes: &[u8]) -> Result<Vec<Sample>, DriverError> {
        Ok(match self {
            Self::HeartRate(driver) => driver.handle(arrived, bytes)?,
            Self::Eda(driver) => driver.handle(arrived, bytes)?,
        })
    }

    /// The link went down and came back.
    pub fn reconnected(&mut self) {
        match self {
            Self::HeartRate(driver) => driver.reconnected(),
            // Its packets carry sequence and clock: they tell by themselves what was missed.
            Self::Eda(_) => {}
        }
    }

    /// The stream was left on purpose, for want of consent.
    pub fn interrupted(&mut self) {
        match self {
            Self::HeartRate(driver) => driver.reconnected(),
            Self::Eda(driver) => driver.interrupted(),
        }
    }

    /// Takes a reading of the standard battery characteristic.
    pub fn battery(&mut self, percent: u8) {
        match self {
            Self::HeartRate(driver) => driver.battery(percent),
            // Its packets carry the battery.
            Self::Eda(_) => {}
        }
    }

    /// Sequence number of the newest notification, where the profile has one.
    #[must_use]
    pub fn last_sequence(&self) -> Option<u16> {
        match self {
            Self::HeartRate(_) => None,
            Self::Eda(driver) => driver.last_sequence(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        match self {
            Self::HeartRate(driver) => driver.stats(),
            Self::Eda(driver) => driver.stats(),
        }
    }

    /// What the device last said about itself.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        match self {
            Self::HeartRate(driver) => driver.status(),
            Self::Eda(driver) => driver.status(),
        }
    }
}
