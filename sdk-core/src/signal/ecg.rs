//! R peaks in an electrocardiogram, 100 to 1000 samples a second.
//!
//! Any lead, either polarity, any unit. Detection in the manner of Pan & Tompkins 1985, "A
//! Real-Time QRS Detection Algorithm", IEEE TBME 32(3):230: band-pass, rectification, smoothing,
//! adaptive threshold; the smoothing is a Butterworth low-pass, so that the wave has one rise a
//! QRS complex.

use super::{
    beats::{
        Beat, BeatAnalysis, BeatError,
        detector::{Detector, Place, Wave},
        history::{History, vertex},
        picker::Rules,
        rise::Rise,
        shape::{POINTS, Shape, normalised},
    },
    filter::{Band, Cascade},
};
use std::ops::RangeInclusive;

/// Where a QRS complex stands out from T waves and muscles, Hz (Pan & Tompkins 1985).
const BAND_HZ: Band = Band::Between(5.0, 15.0);
/// What makes the rectified complex one hump, Hz.
const ENVELOPE_HZ: Band = Band::Low(5.0);
const ORDER: usize = 2;
/// By how much the hump's top comes after the R peak, seconds,
const DELAY_S: f64 = 0.08;
/// and how far from there the R peak may be, either way.
const SEARCH_S: f64 = 0.08;
/// How fast the share of upward and downward waves follows the beats.
const POLARITY_FOLLOW: f64 = 0.1;
/// Half the width of the complex, seconds: what shapes are compared over.
const COMPLEX_S: f64 = 0.08;

/// Finds R peaks sample by sample.
///
/// A beat is known 0.09 s (median) after its R peak, a weak one when it is overdue, the beats of
/// the first 3 s at their end.
#[derive(Debug, Clone)]
pub struct EcgBeats(Detector<Complex>);

impl EcgBeats {
    /// A detector for `rate_hz` samples a second.
    ///
    /// # Errors
    /// [`BeatError::Rate`] outside 80 to 1000 Hz.
    pub fn new(rate_hz: f64) -> Result<Self, BeatError> {
        Detector::new(rate_hz).map(Self)
    }

    /// Takes the next sample, in any unit; NaN is a missing one. Gives the beats now known,
    /// oldest first: mostly none.
    pub fn push(&mut self, value: f64) -> Vec<Beat> {
        self.0.push(value)
    }

    /// The signal ends here: the beats that were held back.
    pub fn finish(&mut self) -> Vec<Beat> {
        self.0.interrupt()
    }

    pub(super) fn into_detector(self) -> Detector<Complex> {
        self.0
    }
}

/// The R peaks of a whole recording: [`EcgBeats`] run over it.
///
/// # Errors
/// [`BeatError::Rate`] outside 80 to 1000 Hz.
pub fn beats(values: &[f64], rate_hz: f64) -> Result<Vec<Beat>, BeatError> {
    let mut detector = EcgBeats::new(rate_hz)?;
    let mut beats: Vec<Beat> = values.iter().flat_map(|&x| detector.push(x)).collect();
    beats.extend(detector.finish());
    Ok(beats)
}

/// Beats, heart rate, RR intervals and what they are worth: what `attune analyze ecg` shows.
///
/// # Errors
/// [`BeatError::Rate`] outside 80 to 1000 Hz.
pub fn analyze(values: &[f64], rate_hz: f64) -> Result<BeatAnalysis, BeatError> {
    let beats = beats(values, rate_hz)?;
    Ok(BeatAnalysis::new::<Complex>(beats, values, rate_hz))
}

/// The QRS complex.
#[derive(Debug, Clone)]
pub(super) struct Complex {
    band: Cascade,
    envelope: Cascade,
    rate_hz: f64,
    /// Mean height of the wave above its middle minus its depth below, as a share of both.
    upright: f64,
}

impl Wave for Complex {
    const NAME: &'static str = "ECG";
    const RATES_HZ: RangeInclusive<f64> = 80.0..=1000.0;
    /// Half, as Pan & Tompkins; 240 beats a minute.
    const RULES: Rules = Rules { threshold: 0.5, refractory_s: 0.25 };
    /// The normal beat and one ectopic: an ectopic beat is a beat, not noise.
    const SHAPES: usize = 2;
    /// Stricter than good: the complex alone, without the flat line around it, is compared.
    const ALIKE: f64 = 0.8;
    const GOOD: f64 = 0.66;
    /// An ectopic beat is early and is a beat: its interval is for the HRV correction to judge.
    const INTERVAL_LEAP: f64 = f64::INFINITY;
    /// Beyond what ectopic beats reach: electrodes that move.
    const HEIGHT_LEAP: f64 = 4.0;

    fn new(rate_hz: f64) -> Option<Self> {
        Some(Self {
            band: Cascade::butterworth(ORDER, BAND_HZ, rate_hz)?,
            envelope: Cascade::butterworth(ORDER, ENVELOPE_HZ, rate_hz)?,
            rate_hz,
            upright: 0.0,
        })
    }

    fn step(&mut self, value: f64) -> f64 {
        self.envelope.step(self.band.step(value).abs())
    }

    fn settle(&mut self, value: f64) {
        self.band.settle(value);
        self.envelope.settle(0.0);
    }

    fn filtered(values: &[f64], rate_hz: f64) -> Option<Vec<f64>> {
        Some(Cascade::butterworth(ORDER, BAND_HZ, rate_hz)?.zero_phase(values))
    }

    fn locate(&mut self, raw: &History, rise: Rise) -> Place {
        let steps = |s: f64| (s * self.rate_hz).round() as usize;
        let middle = rise.to.saturating_sub(steps(DELAY_S));
        let newest = raw.next().saturating_sub(1);
        let first = middle.saturating_sub(steps(SEARCH_S)).max(raw.oldest());
        let last = (middle + steps(SEARCH_S)).min(newest).max(first);
        let (mut low, mut high) = (first, first);
        let mut sum = 0.0;
        for i in first..=last {
            sum += raw.at(i);
            if raw.at(i) > raw.at(high) {
                high = i;
            }
            if raw.at(i) < raw.at(low) {
                low = i;
            }
        }
        let mean = sum / (last + 1 - first) as f64;
        let (above, below) = (raw.at(high) - mean, mean - raw.at(low));
        if above + below > 0.0 {
            let upright = (above - below) / (above + below);
            self.upright += POLARITY_FOLLOW * (upright - self.upright);
        }
        let at = vertex(if self.upright >= 0.0 { high } else { low }, |i| raw.at(i));
        Place { at, peak: at }
    }

    fn shape(&self, raw: &History, _before: Option<f64>, at: f64) -> Option<Shape> {
        let width = 2.0 * COMPLEX_S * self.rate_hz;
        normalised(std::array::from_fn(|k| {
            raw.between(at + ((k as f64 + 0.5) / POINTS as f64 - 0.5) * width)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_outside_the_range_are_refused() {
        for rate_hz in [0.0, 64.0, 4_000.0, -130.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(EcgBeats::new(rate_hz), Err(BeatError::Rate { .. })), "{rate_hz}");
        }
    }

    #[test]
    fn an_upside_down_lead_gives_the_same_beats() {
        let beat = |t: f64| {
            let wave = |at: f64, width: f64| (-((t - at) / width).powi(2)).exp();
            1.1 * wave(0.3, 0.01) - 0.3 * wave(0.33, 0.01) + 0.2 * wave(0.55, 0.05)
        };
        let upright: Vec<f64> = (0..2_600).map(|i| beat((f64::from(i) / 130.0) % 0.9)).collect();
        let inverted: Vec<f64> = upright.iter().map(|x| -x).collect();
        let times = |values: &[f64]| -> Vec<f64> {
            beats(values, 130.0).unwrap().iter().map(|b| b.at_s).collect()
        };
        assert_eq!(times(&upright).len(), 22);
        assert_eq!(times(&upright), times(&inverted));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_values_are_survived(
            values in prop::collection::vec(prop_oneof![any::<f64>(), -1e3..1e3, Just(0.0)], 0..1_500),
            rate_hz in prop_oneof![80.0..1000.0, any::<f64>()],
        ) {
            if let Ok(analysis) = analyze(&values, rate_hz) {
                let times = analysis.beats.windows(2);
                prop_assert!(times.clone().all(|pair| pair[0].at_s < pair[1].at_s));
                prop_assert!(analysis.beats.iter().all(|b| (0.0..=1.0).contains(&b.quality)));
            }
        }
    }
}
