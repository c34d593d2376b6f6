//! What a driver counted: loss is never silent.

use super::sample::{Quality, Sample};
use serde::Serialize;

/// Counters of one device stream since it was opened.
///
/// Each notification is accepted, rejected, late or a duplicate. With a sequence number on the air
/// the accounts balance: `sent = accepted + rejected + lost + late`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StreamStats {
    /// Notifications that were read.
    pub accepted: u64,
    /// Samples delivered, bad ones included.
    pub samples: u64,
    /// What never came, in the unit that the profile can count:
    ///
    /// | profile | unit | how |
    /// |---|---|---|
    /// | EDA | notifications | exact, by sequence number |
    /// | Polar ECG, PPG, acceleration | notifications | by timestamps, in frames of the last length |
    /// | Shimmer | samples | exact, by timestamps |
    /// | Polar PPI | beats | by timestamps, in beats of the usual length; by arrival where the firmware stamps 0 |
    /// | heart rate | beats | estimated, by arrival, in beats of the usual length |
    /// | HealthyPi | notifications | estimated, by arrival |
    ///
    /// The time that a link was lost counts, however long: for beats it is the heart's time, and
    /// how many beats fell into it is an estimate. A sensor off the body, and a stream left for
    /// want of consent, lose nothing.
    pub lost: u64,
    /// Samples that the stream's timeline has no value for, whatever the reason: lost, refused or
    /// late packets. Exact where the device stamps its samples (EDA, Polar but for PPI, Shimmer),
    /// estimated elsewhere.
    pub lost_samples: u64,
    /// Notifications that came after a later one; their samples are left out.
    pub late: u64,
    /// Notifications that came twice.
    pub duplicated: u64,
    /// Payloads that could not be read.
    pub rejected: u64,
    /// Times the device clock or counter restarted.
    pub clock_resets: u64,
    /// Samples that are missing, off body, saturated or artefacts.
    pub poor_samples: u64,
}

impl StreamStats {
    /// Counts samples that are about to be delivered.
    pub(super) fn deliver(&mut self, samples: &[Sample]) {
        self.samples += samples.len() as u64;
        let poor = samples.iter().filter(|sample| sample.quality != Quality::Good).count();
        self.poor_samples += poor as u64;
    }
}

/// What a device last said about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DeviceStatus {
    /// Battery in percent.
    pub battery_percent: Option<u8>,
    /// Whether the electrodes touch skin.
    pub contact: Option<bool>,
}

impl DeviceStatus {
    /// Takes a reading of the standard battery characteristic.
    pub(super) fn battery(&mut self, percent: u8) {
        self.battery_percent = (percent <= 100).then_some(percent);
    }
}
