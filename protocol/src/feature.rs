//! The feature schema: every number the model sees, defined once.
//!
//! The documentation's table, the manifest hash of a model and the names on the wire come from
//! [`FEATURES`]. A model trained on another table is refused by [`schema_hash`].

use crate::consent::Modality;
use sha2::{Digest, Sha256};

/// One feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureSpec {
    /// Name on the wire and in files: modality, quantity, window.
    pub name: &'static str,
    /// The modality it is computed from.
    pub modality: Modality,
    /// Unit, in the field's notation.
    pub unit: &'static str,
    /// Length of the sliding window, seconds.
    pub window_s: f64,
    /// How far the value lags behind what hindsight would say, seconds: the value at `t` agrees
    /// best with the same feature, computed from the whole recording, at `t - delay_s`.
    pub delay_s: f64,
    /// Least and greatest value a healthy person at rest or under load gives; values outside are
    /// clipped before they reach a model.
    pub range: (f64, f64),
    /// What it is and where its definition comes from.
    pub source: &'static str,
}

const fn eda(
    name: &'static str,
    unit: &'static str,
    window_s: f64,
    range: (f64, f64),
    source: &'static str,
) -> FeatureSpec {
    FeatureSpec { name, modality: Modality::Eda, unit, window_s, delay_s: 0.0, range, source }
}

const fn hrv(
    name: &'static str,
    unit: &'static str,
    window_s: f64,
    range: (f64, f64),
    source: &'static str,
) -> FeatureSpec {
    FeatureSpec { name, modality: Modality::Hrv, unit, window_s, delay_s: 0.0, range, source }
}

/// How many of [`FEATURES`] come from EDA; they stand first.
pub const EDA_FEATURES: usize = 7;
/// How many of [`FEATURES`] come from RR intervals; they stand last.
pub const HRV_FEATURES: usize = 6;

/// The schema, in the order of model inputs.
pub const FEATURES: [FeatureSpec; EDA_FEATURES + HRV_FEATURES] = [
    eda("eda_scl_mean_5s", "uS", 5.0, (0.0, 60.0), "mean skin conductance"),
    eda("eda_scl_slope_10s", "uS/s", 10.0, (-2.0, 2.0), "least-squares slope of skin conductance"),
    eda(
        "eda_phasic_area_10s",
        "uS*s",
        10.0,
        (0.0, 50.0),
        "area of the positive phasic part (Butterworth high-pass, order 2, 0.05 Hz, forward over \
         the stream and backward from now)",
    ),
    eda(
        "eda_phasic_sd_30s",
        "uS",
        30.0,
        (0.0, 10.0),
        "standard deviation (n - 1) of the phasic part",
    ),
    eda(
        "eda_scr_sum_10s",
        "uS",
        10.0,
        (0.0, 30.0),
        "summed amplitude of SCRs, last trough to peak, by time of peak",
    ),
    eda(
        "eda_scr_rate_60s",
        "1/min",
        60.0,
        (0.0, 40.0),
        "SCRs a minute: prominence in the phasic part at least 0.01 uS, rise at most 5 s",
    ),
    eda("eda_scr_amplitude_60s", "uS", 60.0, (0.0, 10.0), "mean SCR amplitude, 0 without SCRs"),
    hrv("hrv_hr_mean_10s", "1/min", 10.0, (30.0, 220.0), "60,000 / mean NN interval"),
    hrv("hrv_hr_trend_30s", "1/min", 30.0, (-60.0, 60.0), "heart rate, last 5 s minus last 30 s"),
    hrv("hrv_rmssd_30s", "ms", 30.0, (0.0, 300.0), "RMSSD over contiguous NN intervals"),
    hrv("hrv_sdnn_30s", "ms", 30.0, (0.0, 300.0), "SDNN, n-1 in the denominator"),
    hrv("hrv_pnn50_30s", "%", 30.0, (0.0, 100.0), "pNN50 over n-1 differences"),
    hrv(
        "hrv_coherence_ratio_64s",
        "1",
        64.0,
        (0.0, 20.0),
        "peak power in 0.04-0.26 Hz (0.03 Hz window) over the rest of total power",
    ),
];

/// What a model depends on, as lower-case hexadecimal SHA-256. Changing a name, a unit, a window,
/// the definition (`source`) or the order changes it.
#[must_use]
pub fn schema_hash() -> String {
    let mut hash = Sha256::new();
    for f in FEATURES {
        hash.update(format!("{}\t{}\t{}\t{}\n", f.name, f.unit, f.window_s, f.source));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eda_stands_first_and_names_are_unique() {
        for (i, f) in FEATURES.iter().enumerate() {
            let expected = if i < EDA_FEATURES { Modality::Eda } else { Modality::Hrv };
            assert_eq!(f.modality, expected, "{}", f.name);
            assert!(f.range.0 < f.range.1, "{}", f.name);
            assert_eq!(FEATURES.iter().filter(|g| g.name == f.name).count(), 1, "{}", f.name);
        }
    }
}
