//! What a simulated wearable is: its sensors, rates, clock and battery, as built-in or from TOML.

mod kind;
mod text;

use protocol::{
    eda_profile::{MAX_SAMPLES, TICKS_PER_SECOND},
    gatt,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use kind::DeviceKind;

use crate::{
    device,
    physiology::Script,
    source::{MAX_EDA_HZ, MIN_EDA_HZ, Source},
};

/// How EDA is sampled and sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EdaSpec {
    /// Samples a second, 1 to 1024; the device takes the nearest whole number of its ticks. A
    /// tape's own rate wins.
    pub hz: f64,
    /// Samples a notification, 1 to 57. A Shimmer sends a stream of bytes and has none.
    pub batch: usize,
    /// Full scale in microsiemens, 1 to 4000. A wristband's; the others choose by themselves.
    pub range_microsiemens: f64,
    /// A fault of HealthyPi firmware 3.0: notifications of ECG on the characteristic of skin
    /// conductance, between those that belong there.
    pub mixes_in_ecg: bool,
}

impl Default for EdaSpec {
    fn default() -> Self {
        Self { hz: 32.0, batch: 4, range_microsiemens: 100.0, mixes_in_ecg: false }
    }
}

/// How the wearer moves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MotionSpec {
    /// Bursts of movement a minute, 0 to 20. Each lasts 1 to 4 s.
    pub bursts_per_minute: f64,
}

impl Default for MotionSpec {
    fn default() -> Self {
        Self { bursts_per_minute: 1.0 }
    }
}

/// The battery.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatterySpec {
    /// Level at the start, percent, 0 to 100.
    pub percent: f64,
    /// What it loses, percent an hour, 0 to 36,000 (10 a second).
    pub drain_percent_per_hour: f64,
}

impl Default for BatterySpec {
    fn default() -> Self {
        Self { percent: 87.0, drain_percent_per_hour: 0.8 }
    }
}

/// A simulated wearable.
///
/// # Examples
/// ```
/// use firmware_sim::spec::DeviceSpec;
/// let spec = DeviceSpec::parse("kind = 'wristband'\ndrift_ppm = 40\neda.hz = 64").unwrap();
/// assert_eq!(spec.eda.hz, 64.0);
/// assert_eq!(spec.name, DeviceSpec::wristband().name);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceSpec {
    /// Sensors and place.
    pub kind: DeviceKind,
    /// Bluetooth address, `C0:FF:EE:00:00:01`.
    pub address: String,
    /// Advertised name; fault scripts call the device by it. At most 29 bytes.
    pub name: String,
    /// The body of [`DeviceSpec::source`], and the bytes of garbage payloads.
    pub seed: u64,
    /// The body's script for [`DeviceSpec::source`]; the demo's by default.
    pub script: Script,
    /// How fast the device clock runs, parts in a million; positive is fast. Within 1,000.
    pub drift_ppm: f64,
    /// What the device clock shows at the start, in 1/32768 s: near `u32::MAX` to see it wrap. A
    /// Polar's begins in 2019, as one that nobody has set.
    pub clock_start_ticks: u32,
    /// EDA sampling. A device without electrodes ignores it.
    pub eda: EdaSpec,
    /// Movement. A device without an accelerometer ignores it.
    pub motion: MotionSpec,
    /// Battery.
    pub battery: BatterySpec,
}

/// Why a device description cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SpecError {
    /// Not the expected TOML.
    #[error(
        "the device description cannot be read: {0}\nthe least it needs is a kind: \"wristband\", \"strap\", \"polar_h10\", \"polar_sense\", \"healthypi_move\" or \"shimmer3_gsr\""
    )]
    Toml(Box<toml::de::Error>),
    /// A value out of its range.
    #[error("device \"{device}\": {field} is {found}, it must be {allowed}")]
    Value {
        /// The device's name.
        device: String,
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        allowed: String,
    },
}

/// A quartz that is worse than this is broken; wearables are within 100.
const MAX_DRIFT_PPM: f64 = 1000.0;
/// What fits an advertisement beside its flags.
const MAX_NAME_BYTES: usize = 29;
const MAX_RANGE_MICROSIEMENS: f64 = 4000.0;
/// Bursts of up to 4 s: more would be one.
const MAX_BURSTS_PER_MINUTE: f64 = 20.0;
const MAX_DRAIN_PERCENT_PER_HOUR: f64 = 36_000.0;

impl DeviceSpec {
    /// A wristband with EDA at 32 Hz, four samples a notification, its clock 18 ppm fast.
    #[must_use]
    pub fn wristband() -> Self {
        Self {
            kind: DeviceKind::Wristband,
            address: "C0:FF:EE:00:00:01".into(),
            name: "Attune Wristband".into(),
            seed: 1,
            script: Script::demo(),
            drift_ppm: 18.0,
            clock_start_ticks: 0,
            eda: EdaSpec::default(),
            motion: MotionSpec::default(),
            battery: BatterySpec::default(),
        }
    }

    /// A chest strap with one notification a beat, its clock 25 ppm slow.
    #[must_use]
    pub fn strap() -> Self {
        Self {
            kind: DeviceKind::Strap,
            address: "C0:FF:EE:00:00:02".into(),
            name: "Attune Strap".into(),
            drift_ppm: -25.0,
            ..Self::wristband()
        }
    }

    /// A Polar H10, its clock 12 ppm slow: ECG at 130 Hz and acceleration once started, heart rate
    /// always.
    #[must_use]
    pub fn polar_h10() -> Self {
        Self {
            kind: DeviceKind::PolarH10,
            address: "C0:FF:EE:00:00:03".into(),
            name: "Polar H10 C0FFEE03".into(),
            drift_ppm: -12.0,
            ..Self::wristband()
        }
    }

    /// A Polar Verity Sense, its clock 30 ppm fast: PPG at 55 Hz, acceleration at 52 Hz and pulse
    /// intervals once started, heart rate always.
    #[must_use]
    pub fn polar_sense() -> Self {
        Self {
            kind: DeviceKind::PolarSense,
            address: "C0:FF:EE:00:00:04".into(),
            name: "Polar Sense C0FFEE04".into(),
            drift_ppm: 30.0,
            ..Self::wristband()
        }
    }

    /// A HealthyPi Move, its clock 20 ppm slow: skin conductance at 32 Hz, eight values a
    /// notification, and heart rate.
    #[must_use]
    pub fn healthypi_move() -> Self {
        Self {
            kind: DeviceKind::HealthypiMove,
            address: "C0:FF:EE:00:00:05".into(),
            name: "healthypi move 05".into(),
            drift_ppm: -20.0,
            eda: EdaSpec { batch: 8, ..EdaSpec::default() },
            ..Self::wristband()
        }
    }

    /// A Shimmer3 GSR+, its clock 8 ppm fast: skin conductance at 128 Hz once started.
    #[must_use]
    pub fn shimmer3_gsr() -> Self {
        Self {
            kind: DeviceKind::Shimmer3Gsr,
            address: "C0:FF:EE:00:00:06".into(),
            name: "Shimmer3-EE06".into(),
            drift_ppm: 8.0,
            eda: EdaSpec { hz: 128.0, ..EdaSpec::default() },
            ..Self::wristband()
        }
    }

    /// The built-in device of a kind.
    #[must_use]
    pub fn of_kind(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::Wristband => Self::wristband(),
            DeviceKind::Strap => Self::strap(),
            DeviceKind::PolarH10 => Self::polar_h10(),
            DeviceKind::PolarSense => Self::polar_sense(),
            DeviceKind::HealthypiMove => Self::healthypi_move(),
            DeviceKind::Shimmer3Gsr => Self::shimmer3_gsr(),
        }
    }

    /// A wristband that notifies 50 times a second, one sample each: the latency bench. (655 of
    /// its ticks a sample are 50.03 a second.)
    #[must_use]
    pub fn wristband_50hz() -> Self {
        let eda = EdaSpec { hz: 50.0, batch: 1, ..EdaSpec::default() };
        Self { eda, ..Self::wristband() }
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    /// [`SpecError::Value`] for the first that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        if !is_address(&self.address) {
            return Err(self.value("address", &self.address, "six hex bytes, C0:FF:EE:00:00:01"));
        }
        if self.name.trim().is_empty() || self.name.len() > MAX_NAME_BYTES {
            let allowed = format!("1 to {MAX_NAME_BYTES} bytes long");
            return Err(self.value("name", &self.name, &allowed));
        }
        if !(1..=MAX_SAMPLES).contains(&self.eda.batch) {
            return Err(self.value("eda.batch", self.eda.batch, &format!("1 to {MAX_SAMPLES}")));
        }
        let within = |field, found: f64, least: f64, most: f64| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(self.value(field, found, &format!("{least} to {most}")))
        };
        let battery = &self.battery;
        within("drift_ppm", self.drift_ppm, -MAX_DRIFT_PPM, MAX_DRIFT_PPM)?;
        within("eda.hz", self.eda.hz, MIN_EDA_HZ, MAX_EDA_HZ)?;
        within("eda.range_microsiemens", self.eda.range_microsiemens, 1.0, MAX_RANGE_MICROSIEMENS)?;
        let bursts = self.motion.bursts_per_minute;
        within("motion.bursts_per_minute", bursts, 0.0, MAX_BURSTS_PER_MINUTE)?;
        within("battery.percent", battery.percent, 0.0, 100.0)?;
        let drain = battery.drain_percent_per_hour;
        within("battery.drain_percent_per_hour", drain, 0.0, MAX_DRAIN_PERCENT_PER_HOUR)
    }

    /// The simulated body this description names by `seed` and `script`.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::simulated(self.seed, self.script.clone())
    }

    /// The services this device serves.
    #[must_use]
    pub fn services(&self) -> Vec<gatt::Service> {
        device::services(self.kind)
    }

    fn value(&self, field: &'static str, found: impl ToString, allowed: &str) -> SpecError {
        SpecError::Value {
            device: self.name.clone(),
            field,
            found: found.to_string(),
            allowed: allowed.into(),
        }
    }
}

/// Ticks between samples at `hz`, to the nearest whole one.
pub(crate) fn interval_ticks(hz: f64) -> u16 {
    (f64::from(TICKS_PER_SECOND) / hz).round().clamp(1.0, f64::from(u16::MAX)) as u16
}

fn is_address(text: &str) -> bool {
    let bytes: Vec<&str> = text.split(':').collect();
    let is_byte = |b: &&str| b.len() == 2 && b.bytes().all(|c| c.is_ascii_hexdigit());
    bytes.len() == 6 && bytes.iter().all(is_byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_error(text: &str, says: &str) {
        let message = DeviceSpec::parse(text).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn a_kind_is_enough() {
        assert_eq!(DeviceSpec::parse("kind = 'wristband'"), Ok(DeviceSpec::wristband()));
        assert_eq!(DeviceSpec::parse("kind = 'strap'"), Ok(DeviceSpec::strap()));
        for kind in DeviceKind::ALL {
            let parsed = DeviceSpec::parse(&format!("kind = '{}'", kind.name()));
            assert_eq!(parsed, Ok(DeviceSpec::of_kind(kind)), "{kind:?}");
        }
        let shimmer = DeviceSpec::parse("kind = 'shimmer3_gsr'\neda.batch = 9").unwrap();
        assert_eq!((shimmer.eda.hz, shimmer.eda.batch), (128.0, 9));
        assert_eq!(DeviceSpec::wristband_50hz().check(), Ok(()));
    }

    #[test]
    fn errors_say_what_and_where() {
        check_error("", "missing field `kind`");
        check_error("kind = 'ring'", "unknown variant `ring`");
        check_error("kind = 'strap'\ncolour = 'red'", "unknown field `colour`");
        check_error("kind = 'strap'\neda.hz = 4", "a strap has no EDA electrodes");
        check_error("kind = 'polar_h10'\neda.hz = 4", "a polar_h10 has no EDA electrodes");
        check_error("kind = 'strap'\nmotion = {}", "a strap does not feel movement");
        check_error(
            "kind = 'polar_sense'\nmotion.bursts_per_minute = 60",
            "motion.bursts_per_minute is 60, it must be 0 to 20",
        );
        check_error(
            "kind = 'shimmer3_gsr'\neda.mixes_in_ecg = true",
            "only a healthypi_move has that fault",
        );
        check_error("kind = 'wristband'\neda.hz = 0", "eda.hz is 0, it must be 1 to 1024");
        check_error("kind = 'wristband'\neda.batch = 58", "eda.batch is 58, it must be 1 to 57");
        check_error("kind = 'wristband'\ndrift_ppm = nan", "drift_ppm is NaN");
        check_error("kind = 'strap'\naddress = 'C0:FF'", "address is C0:FF");
        check_error("kind = 'strap'\nbattery.percent = 101", "battery.percent is 101");
        check_error("kind = 'strap'\nname = ''", "name is ");
        check_error("kind = 'strap'\n[script]\nsegment = []", "no segment");
    }

    #[test]
    fn ticks_are_whole() {
        assert_eq!(interval_ticks(4.0), 8192);
        assert_eq!(interval_ticks(32.0), 1024);
        assert_eq!(interval_ticks(50.0), 655);
        assert_eq!(interval_ticks(1.0), 32_768);
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "\\PC*") {
            let _ = DeviceSpec::parse(&text);
        }

        #[test]
        fn values_never_panic(hz: f64, drift: f64, batch: i64, name in "\\PC{0,40}") {
            let _ = DeviceSpec::parse(&format!(
                "kind = 'wristband'\nname = {name:?}\ndrift_ppm = {drift}\neda = {{ hz = {hz}, batch = {batch} }}",
            ));
        }
    }
}
