//! The kinds of wearables there are.

use serde::{Deserialize, Serialize};

/// What a wearable measures, and where it is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// On the wrist: EDA over Attune's own profile.
    Wristband,
    /// On the chest: heart rate with RR intervals.
    Strap,
    /// On the chest: a Polar H10, with heart rate, ECG and acceleration.
    PolarH10,
    /// On the arm: a Polar Verity Sense, with heart rate, PPG, pulse intervals and acceleration.
    PolarSense,
    /// On the wrist: a HealthyPi Move, with skin conductance and heart rate.
    HealthypiMove,
    /// On the wrist, electrodes on the fingers: a Shimmer3 GSR+ over its serial stream.
    #[serde(rename = "shimmer3_gsr")]
    Shimmer3Gsr,
}

impl DeviceKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 6] = [
        Self::Wristband,
        Self::Strap,
        Self::PolarH10,
        Self::PolarSense,
        Self::HealthypiMove,
        Self::Shimmer3Gsr,
    ];

    /// The name descriptions use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wristband => "wristband",
            Self::Strap => "strap",
            Self::PolarH10 => "polar_h10",
            Self::PolarSense => "polar_sense",
            Self::HealthypiMove => "healthypi_move",
            Self::Shimmer3Gsr => "shimmer3_gsr",
        }
    }

    /// Whether it measures skin conductance.
    #[must_use]
    pub const fn has_eda(self) -> bool {
        matches!(self, Self::Wristband | Self::HealthypiMove | Self::Shimmer3Gsr)
    }

    /// Whether movement of the wearer shows in what it sends.
    #[must_use]
    pub const fn feels_motion(self) -> bool {
        matches!(self, Self::PolarH10 | Self::PolarSense)
    }

    /// Whether its samples carry the device clock.
    #[must_use]
    pub const fn sends_clock(self) -> bool {
        !matches!(self, Self::Strap | Self::HealthypiMove)
    }
}
