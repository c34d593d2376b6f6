//! The drivers behind one face.

use super::{
    sample::Sample,
    stats::{DeviceStatus, StreamStats},
};
use crate::clock::Nanos;
use protocol::{
    eda_profile::EdaError,
    healthypi::HealthyPiError,
    heart_rate::HeartRateError,
    polar_pmd::{
        FrameError, Measurement,
        control::{ControlError, Status},
    },
};
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// The state of one device's stream: takes notifications, gives samples, keeps accounts. Made by
/// [`super::DeviceProfile::driver`].
pub trait DeviceDriver: fmt::Debug + Send + Sync {
    /// Takes one notification. The samples of each signal come in the order of its stream time; a
    /// notification that is late or a duplicate gives none.
    ///
    /// # Errors
    /// [`DriverError`]; it is counted, and the next notification goes on.
    fn handle(
        &mut self,
        arrived: Nanos,
        characteristic: Uuid,
        bytes: &[u8],
    ) -> Result<Vec<Sample>, DriverError>;

    /// The link went down and came back.
    fn reconnected(&mut self);

    /// The stream was left on purpose, for want of consent: what the device measured meanwhile is
    /// not lost.
    fn interrupted(&mut self);

    /// Takes a reading of the standard battery characteristic; over 100 % is no reading.
    fn battery(&mut self, percent: u8);

    /// Sequence number of the newest notification in order, where the profile has one.
    fn last_sequence(&self) -> Option<u16> {
        None
    }

    /// What was counted so far.
    fn stats(&self) -> StreamStats;

    /// What the device last said about itself.
    fn status(&self) -> DeviceStatus;
}

/// Why a notification gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DriverError {
    /// Of a strap.
    #[error(transparent)]
    HeartRate(#[from] HeartRateError),
    /// Of a wristband.
    #[error(transparent)]
    Eda(#[from] EdaError),
    /// A frame of a Polar sensor.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A control message of a Polar sensor.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A Polar sensor does not start a stream.
    #[error(
        "the sensor refuses to stream {measurement:?}: {status}. Update its firmware, and close other apps that use it"
    )]
    NotStarted {
        /// The stream.
        measurement: Measurement,
        /// What the sensor says.
        status: Status,
    },
    /// A Polar sensor ended its streams by itself.
    #[error(
        "the sensor stopped streaming by itself: was a training started on it, or its button pressed?"
    )]
    Stopped,
    /// Of a HealthyPi Move.
    #[error(transparent)]
    HealthyPi(#[from] HealthyPiError),
    /// Skin conductance that no skin gives, between notifications that are.
    #[error(
        "{samples} values on the GSR characteristic are not skin conductance: firmware 3.0 mixes ECG in while it records one"
    )]
    NotSkin {
        /// How many.
        samples: usize,
    },
    /// A Shimmer streams without skin conductance.
    #[error("the Shimmer does not stream skin conductance: is the GSR+ unit attached?")]
    NoGsr,
    /// A characteristic nobody subscribed to.
    #[error("a notification of {0}, which this driver did not ask for")]
    Characteristic(Uuid),
}
