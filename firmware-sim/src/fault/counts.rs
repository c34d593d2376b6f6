//! The exact count of what went wrong, made where it happened.

use serde::Serialize;

/// What a sample is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Skin conductance.
    Eda,
    /// Heart beats with their interval, by the Heart Rate service.
    Beats,
    /// Electrocardiogram.
    Ecg,
    /// Acceleration.
    Acceleration,
    /// Photoplethysmogram.
    Ppg,
    /// Pulse intervals found by the device.
    Ppi,
}

/// Where the samples of one signal went. Each is counted once, when its fate is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SampleCounts {
    /// Reached the client whole.
    pub sent: u64,
    /// Were taken while nobody listened: before a subscription, or while the link was lost.
    pub unsent: u64,
    /// Were lost in the air, whole or in part.
    pub lost: u64,
    /// Were in a payload that a parser must reject.
    pub spoiled: u64,
}

impl SampleCounts {
    /// Samples that a client can only know of by the gap they leave.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.unsent + self.lost + self.spoiled
    }
}

/// [`SampleCounts`] of each signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Samples {
    /// Of [`Signal::Eda`].
    pub eda: SampleCounts,
    /// Of [`Signal::Beats`].
    pub beats: SampleCounts,
    /// Of [`Signal::Ecg`].
    pub ecg: SampleCounts,
    /// Of [`Signal::Acceleration`].
    pub acceleration: SampleCounts,
    /// Of [`Signal::Ppg`].
    pub ppg: SampleCounts,
    /// Of [`Signal::Ppi`].
    pub ppi: SampleCounts,
}

impl Samples {
    /// The counts of one signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> SampleCounts {
        let mut all = *self;
        *all.of_mut(signal)
    }

    pub(crate) fn of_mut(&mut self, signal: Signal) -> &mut SampleCounts {
        match signal {
            Signal::Eda => &mut self.eda,
            Signal::Beats => &mut self.beats,
            Signal::Ecg => &mut self.ecg,
            Signal::Acceleration => &mut self.acceleration,
            Signal::Ppg => &mut self.ppg,
            Signal::Ppi => &mut self.ppi,
        }
    }
}

/// What one device has done so far: what was sent and what was injected, counted where it
/// happened. A test compares these with the counters of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Injected {
    /// Payloads handed to the air: measurements and battery levels, copies included; not the
    /// answers to commands.
    pub sent: u64,
    /// Measurements that were due while nobody was subscribed. Their sequence numbers are gone.
    pub unsent: u64,
    /// Measurements lost in the air.
    pub lost: u64,
    /// Extra copies of measurements.
    pub duplicated: u64,
    /// Pairs of measurements sent in the wrong order.
    pub reordered: u64,
    /// Payloads that a parser must reject.
    pub odd_payloads: u64,
    /// Payloads with reserved flag bits, which a parser must accept.
    pub reserved_flags: u64,
    /// Restarts of the device clock.
    pub clock_resets: u64,
    /// Times the device came off the skin.
    pub contact_losses: u64,
    /// Beats the strap did not report because of a lost contact.
    pub withheld_beats: u64,
    /// Battery levels that were set.
    pub battery_changes: u64,
    /// EDA samples that read full scale.
    pub saturated_samples: u64,
    /// EDA samples without a reading that had contact (the tape's own included).
    pub missing_samples: u64,
    /// Beats with an absurd interval.
    pub absurd_rr: u64,
    /// Links this device lost by its own fault (not by the adapter's, not by a client's wish).
    pub link_drops: u64,
    /// Times this device's faults switched the adapter off.
    pub adapter_offs: u64,
    /// What became of the samples, by signal.
    pub samples: Samples,
}
