//! From the bytes of a device to samples with a time and a quality.
//!
//! Drivers are sans-I/O: [`HeartRateDriver`] and [`EdaDriver`] take a payload and its arrival
//! time and return samples; they count what was lost and refuse what cannot be. [`recording`]
//! reads an Empatica E4 folder into the same samples. `link` is the seam to Bluetooth.

#[cfg(feature = "ble")]
mod btleplug;
mod driver;
mod eda;
mod grade;
mod heart_rate;
#[cfg(feature = "runtime")]
mod link;
pub mod recording;
mod sample;
mod stats;

#[cfg(feature = "ble")]
pub use btleplug::BtleplugTransport;
pub use driver::{DeviceProfile, Driver, DriverError};
pub use eda::EdaDriver;
pub use heart_rate::HeartRateDriver;
#[cfg(feature = "runtime")]
pub use link::{Link, LinkError, Notification, Selector, SessionClock, Transport};
pub use sample::{Quality, Sample, Signal};
pub use stats::{DeviceStatus, StreamStats};
