//! Beats in a photoplethysmogram: wrist, finger or ring, 25 to 1000 samples a second.
//!
//! The values must rise when blood flows in, as the E4's BVP does; raw reflected light falls then
//! and is to be negated.
//!
//! A beat's time is the foot of its pulse, the local minimum before the steepest rise. Which point
//! the Empatica E4 takes its inter-beat intervals from is not published; by comparison it is this
//! one: on each of seven recordings the median distance is below 2 ms, with no offset, while
//! the peak's distance spreads over 0.1 s.

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

/// What holds a pulse's upstroke, Hz: the heart's fundamental from 30 beats a minute on, and
/// the first harmonics, with less of the dicrotic wave than the usual 8 Hz would leave (Elgendi
/// et al. 2013, PLoS ONE 8(10):e76585, compare).
const BAND_HZ: Band = Band::Between(0.5, 5.0);
const ORDER: usize = 2;
/// By how much that filter shows an upstroke late, seconds.
const DELAY_S: f64 = 0.06;
/// The foot may lie so much earlier than the filtered wave's bottom, seconds.
const FOOT_BEFORE_S: f64 = 0.1;
/// Half the width of the smoothing under foot and peak, seconds: one sample of the E4.
const SMOOTH_S: f64 = 0.016;

/// Finds beats sample by sample.
///
/// A beat is known once the filtered pulse falls again, 0.24 s (median) after its foot on the E4, a
/// weak one when it is overdue, the beats of the first 3 s at their end.
///
/// # Examples
/// ```
/// use sdk_core::signal::ppg::PpgBeats;
///
/// let mut detector = PpgBeats::new(64.0)?;
/// // 75 beats a minute.
/// let pulse = |i: u32| (f64::from(i) / 64.0 / 0.8 * std::f64::consts::TAU).sin();
/// let beats: Vec<_> = (0..640).flat_map(|i| detector.push(pulse(i))).collect();
/// let interval_s = beats[5].at_s - beats[4].at_s;
/// assert!((interval_s - 0.8).abs() < 0.002);
/// # Ok::<(), sdk_core::signal::BeatError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PpgBeats(Detector<Pulse>);

impl PpgBeats {
    /// A detector for `rate_hz` samples a second.
    ///
    /// # Errors
    /// [`BeatError::Rate`] outside 20 to 1000 Hz.
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

    pub(super) fn into_detector(self) -> Detector<Pulse> {
        self.0
    }
}

/// The beats of a whole recording: [`PpgBeats`] run over it.
///
/// # Errors
/// [`BeatError::Rate`] outside 20 to 1000 Hz.
pub fn beats(values: &[f64], rate_hz: f64) -> Result<Vec<Beat>, BeatError> {
    let mut detector = PpgBeats::new(rate_hz)?;
    let mut beats: Vec<Beat> = values.iter().flat_map(|&x| detector.push(x)).collect();
    beats.extend(detector.finish());
    Ok(beats)
}

/// Beats, heart rate, RR intervals and what they are worth: what `attune analyze ppg` shows.
///
/// # Errors
/// [`BeatError::Rate`] outside 20 to 1000 Hz.
pub fn analyze(values: &[f64], rate_hz: f64) -> Result<BeatAnalysis, BeatError> {
    let beats = beats(values, rate_hz)?;
    Ok(BeatAnalysis::new::<Pulse>(beats, values, rate_hz))
}

/// The pulse wave.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    band: Cascade,
    rate_hz: f64,
    smooth: usize,
}

impl Wave for Pulse {
    const NAME: &'static str = "PPG";
    const RATES_HZ: RangeInclusive<f64> = 20.0..=1000.0;
    /// A higher threshold misses beats of the wrist (at .5, 96.4 % of the E4's instead of 97.4), a
    /// lower one takes dicrotic waves of the finger (at .3, F1 .95 instead of .98 on HeartPy's
    /// `data3.csv`). 220 beats a minute.
    const RULES: Rules = Rules { threshold: 0.4, refractory_s: 0.27 };
    const SHAPES: usize = 1;
    const ALIKE: f64 = 0.86;
    const GOOD: f64 = 0.86;
    /// Feet that wander, beats missed or counted twice: PPG cannot tell them from ectopic beats.
    const INTERVAL_LEAP: f64 = 1.4;
    /// More is a movement: vessels narrow and widen more slowly.
    const HEIGHT_LEAP: f64 = 3.0;

    fn new(rate_hz: f64) -> Option<Self> {
        let band = Cascade::butterworth(ORDER, BAND_HZ, rate_hz)?;
        Some(Self { band, rate_hz, smooth: (SMOOTH_S * rate_hz).round() as usize })
    }

    fn step(&mut self, value: f64) -> f64 {
        self.band.step(value)
    }

    fn settle(&mut self, value: f64) {
        self.band.settle(value);
    }

    fn filtered(values: &[f64], rate_hz: f64) -> Option<Vec<f64>> {
        Some(Cascade::butterworth(ORDER, BAND_HZ, rate_hz)?.zero_phase(values))
    }

    fn locate(&mut self, raw: &History, rise: Rise) -> Place {
        let smooth = |i: usize| raw.smooth(i, self.smooth);
        let steps = |s: f64| (s * self.rate_hz) as usize;
        let first = rise.from.saturating_sub(steps(DELAY_S + FOOT_BEFORE_S)).max(raw.oldest());
        let last = rise.to.saturating_sub(steps(DELAY_S)).max(first + 1);
        let slope = |i: usize| smooth(i + 1) - smooth(i);
        let steepest =
            (first..last).max_by(|&a, &b| slope(a).total_cmp(&slope(b))).unwrap_or(first);
        let falls_back = |i: &usize| *i <= first || smooth(i - 1) >= smooth(*i);
        let foot = (first..=steepest).rev().find(falls_back).unwrap_or(first);
        let highest = raw.next().saturating_sub(1);
        let turns = |i: &usize| *i >= highest || smooth(i + 1) <= smooth(*i);
        let peak = (steepest + 1..=highest).find(turns).unwrap_or(highest);
        Place { at: vertex(foot, smooth), peak: vertex(peak, smooth) }
    }

    /// The pulse from foot to foot, stretched to one length, its baseline taken off: the wave that
    /// an interval is the length of, so that an interval over two pulses is unlike the others.
    fn shape(&self, raw: &History, before: Option<f64>, at: f64) -> Option<Shape> {
        let before = before?;
        let (bottom, slope) = (raw.between(before), raw.between(at) - raw.between(before));
        normalised(std::array::from_fn(|k| {
            let share = (k as f64 + 0.5) / POINTS as f64;
            raw.between(before + share * (at - before)) - bottom - share * slope
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Unusable;
    use proptest::prelude::*;

    #[test]
    fn rates_outside_the_range_are_refused() {
        for rate_hz in [0.0, 10.0, 4_000.0, -64.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(PpgBeats::new(rate_hz), Err(BeatError::Rate { .. })), "{rate_hz}");
        }
    }

    #[test]
    fn silence_is_not_usable() {
        for values in [vec![], vec![f64::NAN; 900], vec![512.0; 900]] {
            let analysis = analyze(&values, 64.0).unwrap();
            assert_eq!(analysis.unusable, Some(Unusable::TooFew { good: 0 }));
            assert!(analysis.heart_rate_bpm.is_nan() && analysis.beats.is_empty());
            assert_eq!(analysis.filtered.len(), values.len());
        }
    }

    #[test]
    fn a_steady_pulse_is_usable() {
        let values: Vec<f64> = (0..64 * 30)
            .map(|i| (f64::from(i) / 64.0 * std::f64::consts::TAU * 1.2).sin())
            .collect();
        let analysis = analyze(&values, 64.0).unwrap();
        assert_eq!(analysis.unusable, None);
        assert!((analysis.heart_rate_bpm - 72.0).abs() < 0.1, "{}", analysis.heart_rate_bpm);
        assert!(analysis.good_share > 0.8, "{}", analysis.good_share);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_values_are_survived(
            values in prop::collection::vec(prop_oneof![any::<f64>(), -1e3..1e3, Just(0.0)], 0..1_500),
            rate_hz in prop_oneof![20.0..1000.0, any::<f64>()],
        ) {
            if let Ok(analysis) = analyze(&values, rate_hz) {
                let times = analysis.beats.windows(2);
                prop_assert!(times.clone().all(|pair| pair[0].at_s < pair[1].at_s));
                prop_assert!(analysis.filtered.iter().all(|x| x.is_finite()));
                prop_assert!(analysis.beats.iter().all(|b| (0.0..=1.0).contains(&b.quality)));
                prop_assert!(analysis.beats.iter().all(|b| b.at_s >= 0.0 && b.peak_s >= b.at_s));
            }
        }
    }
}
