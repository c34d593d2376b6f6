//! What a driver counted: loss is never silent.

use serde::Serialize;

/// Counters of one device stream since it was opened.
///
/// With a sequence number on the air the accounts balance:
/// `sent = accepted + rejected + lost + late`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StreamStats {
    /// Notifications that became samples.
    pub accepted: u64,
    /// Samples delivered, bad ones included.
    pub samples: u64,
    /// Notifications that never came: exact by sequence number; for heart rate, which has none,
    /// beats that are missing from the RR timeline.
    pub lost: u64,
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

/// What a device last said about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DeviceStatus {
    /// Battery in percent.
    pub battery_percent: Option<u8>,
    /// Whether the electrodes touch skin.
    pub contact: Option<bool>,
}
