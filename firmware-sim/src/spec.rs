//! What a simulated wearable is: its sensors, rates, clock and battery, as built-in or from TOML.

use protocol::{
    eda_profile::{MAX_SAMPLES, TICKS_PER_SECOND},
    gatt,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    physiology::Script,
    source::{MAX_EDA_HZ, MIN_EDA_HZ, Source},
};

/// What a wearable measures, and where it is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// On the wrist: EDA over Attune's own profile.
    Wristband,
    /// On the chest: heart rate with RR intervals.
    Strap,
}

/// How EDA is sampled and sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdaSpec {
    /// Samples a second, 1 to 1024; the device takes the nearest whole number of its ticks. A
    /// tape's own rate wins.
    pub hz: f64,
    /// Samples a notification, 1 to 57.
    pub batch: usize,
    /// Full scale in microsiemens, 1 to 4000.
    pub range_microsiemens: f64,
}

impl Default for EdaSpec {
    fn default() -> Self {
        Self { hz: 32.0, batch: 4, range_microsiemens: 100.0 }
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
    /// What the device clock shows at the start, in 1/32768 s: near `u32::MAX` to see it wrap.
    pub clock_start_ticks: u32,
    /// EDA sampling. A strap has none and ignores it.
    pub eda: EdaSpec,
    /// Battery.
    pub battery: BatterySpec,
}

/// Why a device description cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SpecError {
    /// Not the expected TOML.
    #[error(
        "the device description cannot be read: {0}\nthe least it needs is kind = \"wristband\" or kind = \"strap\""
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecText {
    kind: DeviceKind,
    address: Option<String>,
    name: Option<String>,
    seed: Option<u64>,
    script: Option<Script>,
    drift_ppm: Option<f64>,
    clock_start_ticks: Option<u32>,
    eda: Option<EdaSpec>,
    battery: Option<BatterySpec>,
}

/// A quartz that is worse than this is broken; wearables are within 100.
const MAX_DRIFT_PPM: f64 = 1000.0;
/// What fits an advertisement beside its flags.
const MAX_NAME_BYTES: usize = 29;
const MAX_RANGE_MICROSIEMENS: f64 = 4000.0;
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

    /// A wristband that notifies 50 times a second, one sample each: the latency bench. (655 of
    /// its ticks a sample are 50.03 a second.)
    #[must_use]
    pub fn wristband_50hz() -> Self {
        let eda = EdaSpec { hz: 50.0, batch: 1, ..EdaSpec::default() };
        Self { eda, ..Self::wristband() }
    }

    /// Reads a description from TOML. Only `kind` is needed; everything else is that of the
    /// built-in of the kind.
    ///
    /// # Errors
    /// [`SpecError`] says where, and what a value may be.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let text: SpecText =
            toml::from_str(text).map_err(|error| SpecError::Toml(Box::new(error)))?;
        let base = match text.kind {
            DeviceKind::Wristband => Self::wristband(),
            DeviceKind::Strap => Self::strap(),
        };
        if text.kind == DeviceKind::Strap && text.eda.is_some() {
            return Err(base.value("eda", "given", "absent: a strap has no EDA electrodes"));
        }
        let spec = Self {
            kind: text.kind,
            address: text.address.unwrap_or(base.address),
            name: text.name.unwrap_or(base.name),
            seed: text.seed.unwrap_or(base.seed),
            script: text.script.unwrap_or(base.script),
            drift_ppm: text.drift_ppm.unwrap_or(base.drift_ppm),
            clock_start_ticks: text.clock_start_ticks.unwrap_or(base.clock_start_ticks),
            eda: text.eda.unwrap_or(base.eda),
            battery: text.battery.unwrap_or(base.battery),
        };
        spec.check()?;
        Ok(spec)
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
    pub fn services(&self) -> [gatt::Service; 3] {
        let sensor = match self.kind {
            DeviceKind::Wristband => gatt::EDA,
            DeviceKind::Strap => gatt::HEART_RATE,
        };
        [sensor, gatt::BATTERY, gatt::DEVICE_INFORMATION]
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
        assert_eq!(DeviceSpec::wristband_50hz().check(), Ok(()));
    }

    #[test]
    fn errors_say_what_and_where() {
        check_error("", "missing field `kind`");
        check_error("kind = 'ring'", "unknown variant `ring`");
        check_error("kind = 'strap'\ncolour = 'red'", "unknown field `colour`");
        check_error("kind = 'strap'\neda.hz = 4", "eda is given");
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
