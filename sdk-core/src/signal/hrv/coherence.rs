//! How much of heart-rate variability is one wave.
//!
//! HeartMath's own algorithm is unpublished: the coherence ratio is a ratio of the same idea, no
//! claim of equality.

use super::{
    fourier::{Fourier, USUAL},
    refusal::{Refusal, check_intervals, seconds},
    welch::detrend,
};
use std::{f64::consts::PI, sync::LazyLock};

/// Sampling of the tachogram, Hz: twice the usual bound of the spectrum is 0.8 Hz; 2 leave room
/// for linear interpolation.
const RATE_HZ: f64 = 2.0;
/// Samples of the longest window, 64 s.
const LONGEST: usize = 128;
/// From one window of a record to the next, samples: 5 s.
const STEP: usize = 10;
/// Length of the zero-padded transform: bins of 1/128 Hz.
const TRANSFORM: usize = USUAL;
const BIN_HZ: f64 = RATE_HZ / TRANSFORM as f64;
/// Where the wave is looked for, bins: 0.04 to 0.26 Hz.
const PEAK_BINS: std::ops::RangeInclusive<usize> = 5..=33;
/// Total power reaches to 0.4 Hz, the end of the high-frequency band (Task Force 1996).
const LAST_BIN: usize = 51;
/// Half the width of the peak, bins: +-0.0156 Hz, the nearest to a window of 0.03 Hz.
const HALF_PEAK_BINS: usize = 2;
/// The ratio of a spectrum that is one line; also keeps a perfect sine from dividing by nothing.
const HIGHEST_RATIO: f64 = 20.0;
/// Least beats under a spectrum, seconds: half its window, 3 periods of the 0.1-Hz wave.
pub(super) const LEAST_SPECTRUM_S: f64 = 30.0;

/// The taper of a full window.
static TAPER: LazyLock<Vec<f64>> = LazyLock::new(|| taper(LONGEST).collect());

/// The coherence of 64 s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoherenceWindow {
    /// Where the window begins, seconds after the first beat.
    pub start_s: f64,
    /// The highest peak in 0.04-0.26 Hz.
    pub peak_hz: f64,
    /// Power around the peak over the rest of the power up to 0.4 Hz, 0 to 20.
    pub ratio: f64,
}

/// The coherence ratio of a record of NN intervals (ms), in windows of 64 s, one every 5 s; of a
/// record between 30 and 64 s, in one window of all of it.
///
/// The definition is that of the streaming feature `hrv_coherence_ratio_64s`: the tachogram,
/// sampled at 2 Hz by linear interpolation at the beats, is linearly detrended, Hann-tapered and
/// padded to bins of 1/128 Hz; the peak is 5 bins, 0.03 Hz, wide.
///
/// # Errors
/// [`Refusal::NotAnInterval`]; [`Refusal::TooShort`] below 30 s.
pub fn coherence(nn_ms: &[f64]) -> Result<Vec<CoherenceWindow>, Refusal> {
    check_intervals(nn_ms)?;
    let length_s = seconds(nn_ms);
    if length_s < LEAST_SPECTRUM_S {
        let (beats, needed_s) = (nn_ms.len(), LEAST_SPECTRUM_S);
        return Err(Refusal::TooShort { beats, seconds: length_s, needed_s });
    }
    let tachogram = resampled(nn_ms, usize::MAX);
    let mut fourier = Fourier::of_length(TRANSFORM);
    let mut samples = Vec::with_capacity(LONGEST);
    let window = |(i, window): (usize, &[f64])| {
        samples.clear();
        samples.extend_from_slice(window);
        let (peak_bin, ratio) = peak(&mut fourier, &mut samples);
        let start_s = (i * STEP) as f64 / RATE_HZ;
        CoherenceWindow { start_s, peak_hz: peak_bin as f64 * BIN_HZ, ratio }
    };
    let length = tachogram.len().clamp(1, LONGEST);
    Ok(tachogram.windows(length).step_by(STEP).enumerate().map(window).collect())
}

/// The coherence ratio of at most 64 s of NN intervals in ms; 0 if they do not vary.
pub(super) fn coherence_ratio(nn_ms: &[f64]) -> f64 {
    peak(&mut Fourier::of_length(TRANSFORM), &mut resampled(nn_ms, LONGEST)).1
}

/// The bin of the highest peak and how much of the power it holds, of at most [`LONGEST`] samples.
fn peak(fourier: &mut Fourier, samples: &mut [f64]) -> (usize, f64) {
    detrend(samples);
    fourier.input.fill(0.0);
    let n = samples.len();
    let short: Vec<f64>;
    let taper = if n == LONGEST {
        &TAPER
    } else {
        short = taper(n).collect();
        &short
    };
    for ((padded, x), weight) in fourier.input.iter_mut().zip(samples.iter()).zip(taper) {
        *padded = x * weight;
    }
    let mut power = [0.0; LAST_BIN + 1];
    for (kept, p) in power.iter_mut().zip(fourier.power()) {
        *kept = p;
    }
    let total = trapezoid(&power[1..]);
    let peak_bin = PEAK_BINS.max_by(|&a, &b| power[a].total_cmp(&power[b])).unwrap_or(0);
    let near = peak_bin.saturating_sub(HALF_PEAK_BINS)..=peak_bin + HALF_PEAK_BINS;
    let peak = trapezoid(&power[near]);
    if total <= f64::EPSILON {
        return (peak_bin, 0.0);
    }
    let rest = (total - peak).max(peak / HIGHEST_RATIO);
    (peak_bin, peak / rest)
}

fn resampled(nn_ms: &[f64], longest: usize) -> Vec<f64> {
    let mut samples = Vec::with_capacity(longest.min(LONGEST));
    let mut beat_s = 0.0;
    for pair in nn_ms.windows(2) {
        let next_s = beat_s + pair[1] / 1e3;
        while samples.len() < longest && samples.len() as f64 / RATE_HZ <= next_s {
            let share = (samples.len() as f64 / RATE_HZ - beat_s) / (next_s - beat_s);
            samples.push(pair[0] + share * (pair[1] - pair[0]));
        }
        beat_s = next_s;
    }
    samples
}

/// The Hann window, sampled between its zeros.
fn taper(n: usize) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| (PI * (i as f64 + 0.5) / n as f64).sin().powi(2))
}

fn trapezoid(values: &[f64]) -> f64 {
    values.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).sum::<f64>() * BIN_HZ
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    fn wave(hz: f64, depth_ms: f64) -> Vec<f64> {
        let mut at_s = 0.0;
        std::iter::from_fn(|| {
            let nn = 800.0 + depth_ms * (TAU * hz * at_s).sin();
            at_s += nn / 1e3;
            (at_s < 64.0).then_some(nn)
        })
        .collect()
    }

    #[test]
    fn one_slow_wave_is_coherent_wherever_it_falls_between_bins() {
        for hz in [0.08, 0.1, 0.104, 0.12] {
            let ratio = coherence_ratio(&wave(hz, 40.0));
            assert!(ratio > 4.0, "{hz} Hz: {ratio}");
        }
    }

    #[test]
    fn irregular_beats_are_not() {
        let mut state = 1u64;
        let noise: Vec<f64> = (0..80)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                760.0 + (state >> 40) as f64 / (1u64 << 24) as f64 * 80.0
            })
            .collect();
        let ratio = coherence_ratio(&noise);
        assert!(ratio < 1.0, "{ratio}");
    }

    #[test]
    fn constant_beats_give_zero() {
        assert!(coherence_ratio(&[800.0; 80]) < 1e-3);
    }

    #[test]
    fn a_record_is_told_window_by_window() {
        let record = [wave(0.1, 40.0), wave(0.22, 40.0)].concat();
        let windows = coherence(&record).unwrap();
        assert_eq!(windows.len(), 13, "128 s hold 13 windows of 64 s, 5 s apart");
        let (first, last) = (windows[0], windows[12]);
        assert!((first.peak_hz - 0.1).abs() < 0.01 && first.ratio > 4.0, "{first:?}");
        assert!((last.peak_hz - 0.22).abs() < 0.01 && last.ratio > 4.0, "{last:?}");
        assert_eq!((first.start_s, last.start_s), (0.0, 60.0));
        let stream = coherence_ratio(&record[..82]);
        assert!((first.ratio - stream).abs() < 1e-12, "{first:?} {stream}");
    }

    /// The trained model was fitted on ratios from the plain transform.
    #[test]
    fn the_fast_transform_is_the_plain_one() {
        let mut nn = wave(0.1, 40.0);
        nn.iter_mut().enumerate().for_each(|(i, nn)| *nn += 31.0 * (i as f64 * 1.7).sin());
        for beats in [40, 60, nn.len()] {
            let mut samples = resampled(&nn[..beats], LONGEST);
            detrend(&mut samples);
            let tapered: Vec<f64> =
                samples.iter().zip(taper(samples.len())).map(|(x, w)| x * w).collect();
            let power = |bin: usize| {
                let turn = |i: usize| TAU * ((i * bin) % TRANSFORM) as f64 / TRANSFORM as f64;
                let sum = |wave: fn(f64) -> f64| {
                    tapered.iter().enumerate().map(|(i, x)| x * wave(turn(i))).sum::<f64>()
                };
                sum(f64::cos).powi(2) + sum(f64::sin).powi(2)
            };
            let power: Vec<f64> = (0..=LAST_BIN).map(power).collect();
            let at = PEAK_BINS.max_by(|&a, &b| power[a].total_cmp(&power[b])).unwrap();
            let peak = trapezoid(&power[at - HALF_PEAK_BINS..=at + HALF_PEAK_BINS]);
            let plain = peak / (trapezoid(&power[1..]) - peak);
            let fast = coherence_ratio(&nn[..beats]);
            assert!((fast - plain).abs() <= 1e-12 * plain, "{fast} and {plain}");
        }
    }

    proptest! {
        #[test]
        fn any_numbers_have_a_ratio_or_a_refusal(
            nn in prop::collection::vec(prop_oneof![9 => 1.0..10_000.0f64, 1 => any::<f64>()], 0..60),
        ) {
            for window in coherence(&nn).unwrap_or_default() {
                prop_assert!((0.0..=HIGHEST_RATIO).contains(&window.ratio), "{:?}", window);
            }
        }
    }
}
