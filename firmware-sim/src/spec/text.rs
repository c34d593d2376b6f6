//! Device descriptions as people write them: TOML, in which everything but the kind may be left
//! out.

use serde::Deserialize;

use super::{BatterySpec, DeviceKind, DeviceSpec, EdaSpec, MotionSpec, SpecError};
use crate::physiology::Script;

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
    eda: Option<EdaText>,
    motion: Option<MotionSpec>,
    battery: Option<BatterySpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EdaText {
    hz: Option<f64>,
    batch: Option<usize>,
    range_microsiemens: Option<f64>,
    mixes_in_ecg: Option<bool>,
}

impl EdaText {
    /// What it says, and for the rest what `base` says.
    fn over(self, base: EdaSpec) -> EdaSpec {
        EdaSpec {
            hz: self.hz.unwrap_or(base.hz),
            batch: self.batch.unwrap_or(base.batch),
            range_microsiemens: self.range_microsiemens.unwrap_or(base.range_microsiemens),
            mixes_in_ecg: self.mixes_in_ecg.unwrap_or(base.mixes_in_ecg),
        }
    }
}

impl DeviceSpec {
    /// Reads a description from TOML. Only `kind` is needed; everything else is that of the
    /// built-in of the kind.
    ///
    /// # Errors
    /// [`SpecError`] says where, and what a value may be.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let text: SpecText =
            toml::from_str(text).map_err(|error| SpecError::Toml(Box::new(error)))?;
        let base = Self::of_kind(text.kind);
        let kind = text.kind.name();
        if !text.kind.has_eda() && text.eda.is_some() {
            let allowed = format!("absent: a {kind} has no EDA electrodes");
            return Err(base.value("eda", "given", &allowed));
        }
        if !text.kind.feels_motion() && text.motion.is_some() {
            let allowed = format!("absent: a {kind} does not feel movement");
            return Err(base.value("motion", "given", &allowed));
        }
        let eda = text.eda.map_or(base.eda, |eda| eda.over(base.eda));
        if eda.mixes_in_ecg && text.kind != DeviceKind::HealthypiMove {
            let allowed = "absent: only a healthypi_move has that fault";
            return Err(base.value("eda.mixes_in_ecg", "given", allowed));
        }
        let spec = Self {
            kind: text.kind,
            address: text.address.unwrap_or(base.address),
            name: text.name.unwrap_or(base.name),
            seed: text.seed.unwrap_or(base.seed),
            script: text.script.unwrap_or(base.script),
            drift_ppm: text.drift_ppm.unwrap_or(base.drift_ppm),
            clock_start_ticks: text.clock_start_ticks.unwrap_or(base.clock_start_ticks),
            eda,
            motion: text.motion.unwrap_or(base.motion),
            battery: text.battery.unwrap_or(base.battery),
        };
        spec.check()?;
        Ok(spec)
    }
}
