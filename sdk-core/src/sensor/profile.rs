//! The kinds of device this crate can read: how each is found, started and stopped.

use super::{
    driver::DeviceDriver,
    eda::EdaDriver,
    healthypi::HealthyPiDriver,
    heart_rate::HeartRateDriver,
    polar::{self, PolarDriver},
    selector::{Selector, Write},
    shimmer::{SAMPLING_TICKS, ShimmerDriver},
};
use protocol::{
    consent::Modality,
    gatt,
    polar_pmd::{
        Measurement,
        control::{Command, Setting, SettingKind},
    },
    shimmer,
};
use std::time::Duration;

/// A Polar sensor answers a command within a connection interval or two (7.5 to 50 ms).
const POLAR_PAUSE: Duration = Duration::from_millis(60);
/// A Shimmer works on one command at a time, and writes some of them to its memory.
const SHIMMER_PAUSE: Duration = Duration::from_millis(100);

/// A stream that runs on by itself, worn or not, and says nothing for this long has stopped: it is
/// connected anew and started again.
const SILENCE: Duration = Duration::from_secs(30);

/// A kind of device this crate can read. One profile a device: two links to one device would close
/// each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceProfile {
    /// Any strap with the Heart Rate service and RR intervals.
    HeartRate,
    /// A wristband with Attune's EDA service.
    Eda,
    /// ECG of a Polar H10 at 130 Hz, with its acceleration at 50 Hz.
    PolarEcg,
    /// Pulse-to-pulse intervals of a Polar Verity Sense or OH1, each with its error. Rest only.
    PolarPpi,
    /// PPG of a Polar Verity Sense at 55 Hz, with its acceleration at 52 Hz.
    PolarPpg,
    /// Skin conductance of a HealthyPi Move at 32 Hz.
    HealthyPiGsr,
    /// Skin conductance of a Shimmer3 GSR+ at 64 Hz.
    ShimmerGsr,
}

impl DeviceProfile {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::HeartRate,
        Self::Eda,
        Self::PolarEcg,
        Self::PolarPpi,
        Self::PolarPpg,
        Self::HealthyPiGsr,
        Self::ShimmerGsr,
    ];

    /// Whose consent covers what it measures.
    #[must_use]
    pub const fn modality(self) -> Modality {
        match self {
            Self::HeartRate | Self::PolarEcg | Self::PolarPpi | Self::PolarPpg => Modality::Hrv,
            Self::Eda | Self::HealthyPiGsr | Self::ShimmerGsr => Modality::Eda,
        }
    }

    /// Its name in logs and views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeartRate => "heart-rate strap",
            Self::Eda => "EDA wristband",
            Self::PolarEcg => "Polar ECG",
            Self::PolarPpi => "Polar PPI",
            Self::PolarPpg => "Polar PPG",
            Self::HealthyPiGsr => "HealthyPi Move",
            Self::ShimmerGsr => "Shimmer3 GSR+",
        }
    }

    /// Its name in files and on command lines; never reused for another layout.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::HeartRate => "heart-rate",
            Self::Eda => "attune-eda",
            Self::PolarEcg => "polar-ecg",
            Self::PolarPpi => "polar-ppi",
            Self::PolarPpg => "polar-ppg",
            Self::HealthyPiGsr => "healthypi-gsr",
            Self::ShimmerGsr => "shimmer-gsr",
        }
    }

    /// The profile of an [`DeviceProfile::id`].
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.id() == id)
    }

    /// How long such a device is silent before its stream counts as dead; `None` where silence is
    /// normal: a strap off the chest, a sensor that looks for the pulse, a watch on which no
    /// measurement runs.
    #[must_use]
    pub const fn silence(self) -> Option<Duration> {
        match self {
            Self::Eda | Self::PolarEcg | Self::PolarPpg | Self::ShimmerGsr => Some(SILENCE),
            Self::HeartRate | Self::PolarPpi | Self::HealthyPiGsr => None,
        }
    }

    /// A driver that has seen nothing.
    #[must_use]
    pub fn driver(self) -> Box<dyn DeviceDriver> {
        match self {
            Self::HeartRate => Box::<HeartRateDriver>::default(),
            Self::Eda => Box::<EdaDriver>::default(),
            Self::PolarEcg => Box::new(PolarDriver::new(polar::H10_ACCELERATION_HZ)),
            Self::PolarPpi | Self::PolarPpg => {
                Box::new(PolarDriver::new(polar::VERITY_ACCELERATION_HZ))
            }
            Self::HealthyPiGsr => Box::<HealthyPiDriver>::default(),
            Self::ShimmerGsr => Box::<ShimmerDriver>::default(),
        }
    }

    /// How such a device is found, started and stopped; `address` where one of several is wanted.
    #[must_use]
    pub fn selector(self, address: Option<String>) -> Selector {
        let quiet = |service, characteristic| (vec![service], vec![characteristic]);
        let (advertised, characteristics) = match self {
            Self::HeartRate => quiet(gatt::HEART_RATE_SERVICE, gatt::HEART_RATE_MEASUREMENT),
            Self::Eda => quiet(gatt::EDA_SERVICE, gatt::EDA_MEASUREMENT),
            // Heart rate tells whether the sensor touches skin.
            Self::PolarEcg | Self::PolarPpg => (
                vec![gatt::HEART_RATE_SERVICE, gatt::PMD_SERVICE],
                vec![gatt::PMD_CONTROL, gatt::PMD_DATA, gatt::HEART_RATE_MEASUREMENT],
            ),
            Self::PolarPpi => (
                vec![gatt::HEART_RATE_SERVICE, gatt::PMD_SERVICE],
                vec![gatt::PMD_CONTROL, gatt::PMD_DATA],
            ),
            Self::HealthyPiGsr => {
                (vec![gatt::HEALTHYPI_SERVICE, gatt::HEART_RATE_SERVICE], vec![gatt::HEALTHYPI_GSR])
            }
            Self::ShimmerGsr => quiet(gatt::SHIMMER_SERVICE, gatt::SHIMMER_FROM_DEVICE),
        };
        let (hello, goodbye) = match self {
            Self::HeartRate | Self::Eda | Self::HealthyPiGsr => (Vec::new(), Vec::new()),
            Self::PolarEcg | Self::PolarPpi | Self::PolarPpg => polar(self.polar_streams()),
            Self::ShimmerGsr => shimmer_writes(),
        };
        Selector { advertised, address, characteristics, hello, goodbye }
    }

    /// Streams and their settings: rate, bits, range, channels.
    fn polar_streams(self) -> Vec<(Measurement, Vec<Setting>)> {
        use SettingKind::{Channels, Range, ResolutionBits, SampleRateHz};
        let set = |settings: &[(SettingKind, u16)]| -> Vec<Setting> {
            settings.iter().map(|(kind, value)| Setting::one(*kind, u32::from(*value))).collect()
        };
        let range = (Range, polar::ACCELERATION_RANGE_G);
        match self {
            Self::PolarEcg => {
                let rate = (SampleRateHz, polar::H10_ACCELERATION_HZ);
                vec![
                    (Measurement::Ecg, set(&[(SampleRateHz, polar::ECG_HZ), (ResolutionBits, 14)])),
                    (Measurement::Acceleration, set(&[rate, (ResolutionBits, 16), range])),
                ]
            }
            Self::PolarPpg => {
                let ppg = [(SampleRateHz, polar::PPG_HZ), (ResolutionBits, 22), (Channels, 4)];
                let rate = (SampleRateHz, polar::VERITY_ACCELERATION_HZ);
                let motion = [rate, (ResolutionBits, 16), range, (Channels, 3)];
                vec![(Measurement::Ppg, set(&ppg)), (Measurement::Acceleration, set(&motion))]
            }
            Self::PolarPpi => vec![(Measurement::Ppi, Vec::new())],
            Self::HeartRate | Self::Eda | Self::HealthyPiGsr | Self::ShimmerGsr => Vec::new(),
        }
    }
}

/// Each stream is stopped before it is started: one that an app left running would refuse to
/// start, and not say the factor of its counts.
fn polar(streams: Vec<(Measurement, Vec<Setting>)>) -> (Vec<Write>, Vec<Write>) {
    let write = |command: Command| Write {
        characteristic: gatt::PMD_CONTROL,
        bytes: command.encode(),
        pause: POLAR_PAUSE,
    };
    let goodbye: Vec<Write> =
        streams.iter().map(|(measurement, _)| write(Command::Stop(*measurement))).collect();
    let starts = streams
        .into_iter()
        .map(|(measurement, settings)| write(Command::Start { measurement, settings }));
    let hello = goodbye.iter().cloned().chain(starts).collect();
    (hello, goodbye)
}

fn shimmer_writes() -> (Vec<Write>, Vec<Write>) {
    use shimmer::Command::{Inquiry, SetGsrRange, SetSamplingTicks, SetSensors, Start, Stop};
    let write = |command: shimmer::Command| Write {
        characteristic: gatt::SHIMMER_TO_DEVICE,
        bytes: command.encode(),
        pause: SHIMMER_PAUSE,
    };
    let hello = [
        Stop,
        SetSamplingTicks(SAMPLING_TICKS),
        SetSensors(shimmer::GSR_SENSOR),
        SetGsrRange(shimmer::AUTO_RANGE),
        Inquiry,
        Start,
    ];
    (hello.map(write).to_vec(), vec![write(Stop)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_stopped() {
        for profile in DeviceProfile::ALL {
            let selector = profile.selector(None);
            let bytes =
                |writes: &[Write]| writes.iter().map(|w| w.bytes.clone()).collect::<Vec<_>>();
            let (hello, goodbye) = (bytes(&selector.hello), bytes(&selector.goodbye));
            match profile {
                DeviceProfile::PolarEcg => {
                    assert_eq!(goodbye, [[3, 0], [3, 2]]);
                    assert_eq!(hello[2], [2, 0, 0, 1, 130, 0, 1, 1, 14, 0]);
                    assert_eq!(hello[3], [2, 2, 0, 1, 50, 0, 1, 1, 16, 0, 2, 1, 8, 0]);
                }
                DeviceProfile::PolarPpi => assert_eq!(hello, [[3, 3], [2, 3]]),
                DeviceProfile::ShimmerGsr => {
                    assert_eq!((&hello[0], &hello[5]), (&vec![0x20], &vec![0x07]));
                    assert_eq!(goodbye, [[0x20]]);
                }
                DeviceProfile::PolarPpg => assert_eq!(goodbye, [[3, 1], [3, 2]]),
                _ => assert!(hello.is_empty() && goodbye.is_empty()),
            }
        }
    }

    #[test]
    fn what_is_written_to_is_required() {
        let shimmer = DeviceProfile::ShimmerGsr.selector(None);
        assert_eq!(shimmer.required(), [gatt::SHIMMER_FROM_DEVICE, gatt::SHIMMER_TO_DEVICE]);
        assert_eq!(DeviceProfile::Eda.selector(None).required(), [gatt::EDA_MEASUREMENT]);
    }
}
