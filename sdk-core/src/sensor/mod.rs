//! From the bytes of a device to samples with a time and a quality.
//!
//! Drivers are sans-I/O: a [`DeviceDriver`] takes a notification and its arrival time and gives
//! samples; it counts what was lost and refuses what cannot be. A [`DeviceProfile`] names the kind
//! of device and how it is found, started and stopped ([`Selector`]). [`recording`] reads an
//! Empatica E4 folder into the same samples. `link` is the seam to Bluetooth.

mod arrivals;
mod beats;
#[cfg(feature = "ble")]
mod btleplug;
pub mod column;
mod driver;
mod eda;
mod grade;
mod healthypi;
mod heart_rate;
#[cfg(feature = "runtime")]
mod link;
mod polar;
mod profile;
pub mod recording;
mod sample;
mod selector;
mod shimmer;
mod stats;

#[cfg(feature = "ble")]
pub use btleplug::{BtleplugTransport, GLIBC_WIPES_FREED};
pub use driver::{DeviceDriver, DriverError};
pub use eda::EdaDriver;
pub use healthypi::HealthyPiDriver;
pub use heart_rate::HeartRateDriver;
#[cfg(feature = "runtime")]
pub use link::{Link, LinkError, Notification, SessionClock, Transport};
pub use polar::PolarDriver;
pub use profile::DeviceProfile;
pub use sample::{Quality, Sample, Signal};
pub use selector::{Selector, Write};
pub use shimmer::ShimmerDriver;
pub use stats::{DeviceStatus, StreamStats};
