//! What a value says about itself, the same for a live device and a recording.

use super::sample::Quality;
use crate::clock::Nanos;
use std::time::Duration;

/// Skin conductance outside these microsiemens is no skin's: Kleckner et al. 2018, "Simple,
/// Transparent, and Flexible Automated Quality Assessment Procedures for Ambulatory Electrodermal
/// Activity Data", IEEE TBME 65(7), rule 1.
const EDA_MICROSIEMENS: std::ops::RangeInclusive<f64> = 0.05..=60.0;

/// Skin conductance that changes faster than this, in microsiemens a second, is no skin's: rule 2
/// of the same paper.
const EDA_SLOPE: f64 = 10.0;

/// After this long without a plausible value the next one is believed as it is.
const EDA_STALE: Duration = Duration::from_secs(5);

/// RR intervals outside these milliseconds are no heart's: 240 down to 24 beats per minute.
const RR_MS: std::ops::RangeInclusive<f64> = 250.0..=2_500.0;

/// An optical sensor's own estimate of its error above which an interval is the work of movement or
/// a loose fit, in milliseconds: the maker's guidance for Polar PPI.
const PPI_ERROR_MS: u16 = 30;

/// Largest ECG an ambulatory amplifier has to pass: 5 mV of heart on 300 mV of electrode offset
/// (IEC 60601-2-47:2012, 201.12.4.4.101), in microvolts.
const ECG_MICROVOLTS: f64 = 305_000.0;

/// End of a signed number of 24 bits, at which a converter saturates.
const I24_MOST: i32 = (1 << 23) - 1;

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
    (ms, rr_ms(ms))
}

/// Grades one interval of an optical sensor, with the sensor's own doubts.
pub(super) fn ppi(interval: &protocol::polar_pmd::PulseInterval) -> Quality {
    match interval {
        i if i.contact == Some(false) => Quality::OffBody,
        i if i.blocker || i.error_ms > PPI_ERROR_MS => Quality::Artefact,
        i => rr_ms(f64::from(i.interval_ms)),
    }
}

/// Grades one ECG value in microvolts.
pub(super) fn ecg(microvolts: i32) -> Quality {
    match microvolts {
        v if v.unsigned_abs() >= I24_MOST.unsigned_abs() => Quality::Saturated,
        v if f64::from(v).abs() > ECG_MICROVOLTS => Quality::Artefact,
        _ => Quality::Good,
    }
}

/// Grades the counts of one PPG sample.
pub(super) fn ppg(counts: &[i32]) -> Quality {
    let full = counts.iter().any(|v| v.unsigned_abs() >= I24_MOST.unsigned_abs());
    if full { Quality::Saturated } else { Quality::Good }
}

fn rr_ms(ms: f64) -> Quality {
    if RR_MS.contains(&ms) { Quality::Good } else { Quality::Artefact }
}

/// Looks whether skin conductance goes on from the last plausible value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slope {
    plausible: Option<(Nanos, f64)>,
}

impl Slope {
    /// Grades a value that was graded alone before; moves on if it is plausible.
    pub(super) fn grade(&mut self, at: Nanos, value: f64, graded: Quality) -> Quality {
        if graded != Quality::Good {
            return graded;
        }
        if !self.allows(at, value) {
            return Quality::Artefact;
        }
        self.plausible = Some((at, value));
        Quality::Good
    }

    fn allows(&self, at: Nanos, value: f64) -> bool {
        self.plausible.is_none_or(|(last_at, last)| {
            let elapsed = at.since(last_at);
            elapsed > EDA_STALE || (value - last).abs() <= EDA_SLOPE * elapsed.as_secs_f64()
        })
    }

    /// Forgets: what comes does not go on from what was.
    pub(super) fn reset(&mut self) {
        self.plausible = None;
    }
}
