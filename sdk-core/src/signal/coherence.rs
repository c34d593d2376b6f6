//! How much of heart-rate variability is one wave.

use std::{
    f64::consts::{PI, TAU},
    sync::LazyLock,
};

/// Sampling of the tachogram, Hz: twice the usual bound of the spectrum is 0.8 Hz; 2 leave room
/// for linear interpolation.
const RATE_HZ: f64 = 2.0;
/// Samples of the longest tachogram, 64 s.
const LONGEST: usize = 128;
/// Length of the zero-padded transform: bins of 1/128 Hz.
const TRANSFORM: usize = 256;
const BIN_HZ: f64 = RATE_HZ / TRANSFORM as f64;
/// Where the wave is looked for, bins: 0.04 to 0.26 Hz.
const PEAK_BINS: std::ops::RangeInclusive<usize> = 5..=33;
/// Total power reaches to 0.4 Hz, the end of the high-frequency band (Task Force 1996).
const LAST_BIN: usize = 51;
/// Half the width of the peak, bins: +-0.0156 Hz, the nearest to a window of 0.03 Hz.
const HALF_PEAK_BINS: usize = 2;
/// The ratio of a spectrum that is one line; also keeps a perfect sine from dividing by nothing.
const HIGHEST_RATIO: f64 = 20.0;

static COSINES: LazyLock<[f64; TRANSFORM]> =
    LazyLock::new(|| std::array::from_fn(|i| (TAU * i as f64 / TRANSFORM as f64).cos()));

/// Power around the highest peak in 0.04-0.26 Hz over the rest of the power up to 0.4 Hz, of a
/// series of NN intervals in ms; 0 if they do not vary.
///
/// The tachogram is sampled at 2 Hz by linear interpolation at the beats, detrended and
/// Hann-tapered. HeartMath's own algorithm is unpublished: this is a ratio of the same idea, no
/// claim of equality.
pub(super) fn coherence_ratio(nn_ms: &[f64]) -> f64 {
    let tachogram = tapered(detrended(resampled(nn_ms)));
    let power: Vec<f64> = (0..=LAST_BIN).map(|bin| power(&tachogram, bin)).collect();
    let total = trapezoid(&power[1..]);
    let peak_bin = PEAK_BINS.max_by(|&a, &b| power[a].total_cmp(&power[b])).unwrap_or(0);
    let near = peak_bin.saturating_sub(HALF_PEAK_BINS)..=peak_bin + HALF_PEAK_BINS;
    let peak = trapezoid(&power[near]);
    if total <= f64::EPSILON {
        return 0.0;
    }
    let rest = (total - peak).max(peak / HIGHEST_RATIO);
    peak / rest
}

fn resampled(nn_ms: &[f64]) -> Vec<f64> {
    let mut samples = Vec::with_capacity(LONGEST);
    let mut beat_s = 0.0;
    for pair in nn_ms.windows(2) {
        let next_s = beat_s + pair[1] / 1e3;
        while samples.len() < LONGEST && samples.len() as f64 / RATE_HZ <= next_s {
            let share = (samples.len() as f64 / RATE_HZ - beat_s) / (next_s - beat_s);
            samples.push(pair[0] + share * (pair[1] - pair[0]));
        }
        beat_s = next_s;
    }
    samples
}

fn detrended(mut samples: Vec<f64>) -> Vec<f64> {
    let n = samples.len() as f64;
    let mid = (n - 1.0) / 2.0;
    let mean = samples.iter().sum::<f64>() / n;
    let (mut txs, mut tts) = (0.0, 0.0);
    for (i, x) in samples.iter().enumerate() {
        txs += (i as f64 - mid) * (x - mean);
        tts += (i as f64 - mid).powi(2);
    }
    let slope = if tts > 0.0 { txs / tts } else { 0.0 };
    for (i, x) in samples.iter_mut().enumerate() {
        *x -= mean + slope * (i as f64 - mid);
    }
    samples
}

fn tapered(mut samples: Vec<f64>) -> Vec<f64> {
    let n = samples.len() as f64;
    for (i, x) in samples.iter_mut().enumerate() {
        *x *= (PI * (i as f64 + 0.5) / n).sin().powi(2);
    }
    samples
}

fn power(samples: &[f64], bin: usize) -> f64 {
    let quarter = TRANSFORM * 3 / 4;
    let (mut re, mut im) = (0.0, 0.0);
    for (i, x) in samples.iter().enumerate() {
        let turn = i * bin;
        re += x * COSINES[turn % TRANSFORM];
        im += x * COSINES[(turn + quarter) % TRANSFORM];
    }
    re * re + im * im
}

fn trapezoid(values: &[f64]) -> f64 {
    values.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).sum::<f64>() * BIN_HZ
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
