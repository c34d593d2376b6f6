//! What a value says about itself, the same for a live device and a recording.

use super::sample::Quality;

/// Skin conductance outside these microsiemens is no skin's: Kleckner et al. 2018, "Simple,
/// Transparent, and Flexible Automated Quality Assessment Procedures for Ambulatory Electrodermal
/// Activity Data", IEEE TBME 65(7), rule 1.
const EDA_MICROSIEMENS: std::ops::RangeInclusive<f64> = 0.05..=60.0;

/// RR intervals outside these milliseconds are no heart's: 240 down to 24 beats per minute.
const RR_MS: std::ops::RangeInclusive<f64> = 250.0..=2_500.0;

/// Grades one skin conductance in microsiemens; `None` is a reading the device did not have.
pub(super) fn eda(value: Option<f64>) -> (f64, Quality) {
    match value {
        None => (f64::NAN, Quality::Missing),
        Some(v) if EDA_MICROSIEMENS.contains(&v) => (v, Quality::Good),
        Some(v) => (v, Quality::Artefact),
    }
}

/// Grades one RR interval in 1/1024 s; gives it in milliseconds.
pub(super) fn rr(ticks: u16) -> (f64, Quality) {
    let ms = f64::from(ticks) * 1000.0 / f64::from(protocol::heart_rate::RR_TICKS_PER_SECOND);
    (ms, if RR_MS.contains(&ms) { Quality::Good } else { Quality::Artefact })
}
