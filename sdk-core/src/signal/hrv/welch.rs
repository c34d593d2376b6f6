//! Welch's spectrum of the tachogram, as pinned.

use super::{
    fourier::{Fourier, USUAL},
    refusal::{Refusal, check_intervals, seconds},
    spectrum::Spectrum,
    spline::{self, LEAST_KNOTS},
};
use std::{f64::consts::TAU, sync::LazyLock};

/// Sampling of the tachogram, Hz.
const RATE_HZ: f64 = 4.0;
/// Samples of a segment: 64 s. A shorter record is one shorter segment.
const SEGMENT: usize = USUAL;

static TAPER: LazyLock<Vec<f64>> = LazyLock::new(|| hann(SEGMENT));

/// The power spectral density of NN intervals (ms) by Welch's method (1967, *IEEE Trans Audio
/// Electroacoust* 15:70).
///
/// The intervals, each at the time its beat ends it, are sampled at 4 Hz from the first beat's on
/// by a not-a-knot cubic spline and linearly detrended as a whole; periodograms of 256-sample
/// segments with half overlap, each without its mean and under a periodic Hann window, are
/// averaged. The same as SciPy's `welch(detrend(x), fs=4, window="hann", nperseg=256,
/// noverlap=128)`.
///
/// # Errors
/// [`Refusal::NotAnInterval`]; [`Refusal::TooShort`] with fewer than 4 intervals or less than a
/// second of them.
pub fn welch(nn_ms: &[f64]) -> Result<Spectrum, Refusal> {
    check_intervals(nn_ms)?;
    let tachogram = tachogram(nn_ms)?;
    let segment = tachogram.len().min(SEGMENT);
    let taper = if segment == SEGMENT { TAPER.clone() } else { hann(segment) };
    let mut fourier = Fourier::of_length(segment);
    let mut power = vec![0.0; segment / 2 + 1];
    let mut segments = 0.0;
    for part in tachogram.windows(segment).step_by((segment - segment / 2).max(1)) {
        let mean = part.iter().sum::<f64>() / segment as f64;
        for ((x, sample), weight) in fourier.input.iter_mut().zip(part).zip(&taper) {
            *x = (sample - mean) * weight;
        }
        for (sum, p) in power.iter_mut().zip(fourier.power()) {
            *sum += p;
        }
        segments += 1.0;
    }
    let energy: f64 = taper.iter().map(|w| w * w).sum();
    // One-sided: all but 0 and the Nyquist frequency stand for their negative twin too.
    let scale = |k: usize| if k == 0 || 2 * k == segment { 1.0 } else { 2.0 };
    let unit = 1.0 / (RATE_HZ * energy * segments);
    for (k, p) in power.iter_mut().enumerate() {
        *p *= scale(k) * unit;
    }
    let hz = (0..power.len()).map(|k| k as f64 * RATE_HZ / segment as f64).collect();
    Ok(Spectrum { hz, psd_ms2_per_hz: power })
}

/// How many periodograms are averaged of these intervals.
pub(super) fn segments(nn_ms: &[f64]) -> f64 {
    // The tachogram begins at the first beat, which ends the first interval.
    let samples = (seconds(nn_ms.get(1..).unwrap_or_default()) * RATE_HZ).ceil();
    let half = SEGMENT as f64 / 2.0;
    ((samples - half) / half).floor().max(1.0)
}

fn tachogram(nn_ms: &[f64]) -> Result<Vec<f64>, Refusal> {
    let mut at_s = 0.0;
    let times: Vec<f64> = nn_ms
        .iter()
        .map(|nn| {
            at_s += nn / 1e3;
            at_s
        })
        .collect();
    let least_s = LEAST_KNOTS as f64 / RATE_HZ;
    if nn_ms.len() < LEAST_KNOTS || at_s - times[0] < least_s {
        let beats = nn_ms.len();
        return Err(Refusal::TooShort { beats, seconds: seconds(nn_ms), needed_s: least_s });
    }
    let mut samples = spline::sampled(&times, nn_ms, 1.0 / RATE_HZ);
    detrend(&mut samples);
    Ok(samples)
}

/// Subtracts the line of least squares.
pub(super) fn detrend(samples: &mut [f64]) {
    let n = samples.len() as f64;
    let mid = (n - 1.0) / 2.0;
    let mean = samples.iter().sum::<f64>() / n;
    let (mut txs, mut tts) = (0.0, 0.0);
    for (i, x) in samples.iter().enumerate() {
        let t = i as f64 - mid;
        txs += t * (x - mean);
        tts += t * t;
    }
    let slope = if tts > 0.0 { txs / tts } else { 0.0 };
    for (i, x) in samples.iter_mut().enumerate() {
        *x -= mean + slope * (i as f64 - mid);
    }
}

/// The periodic Hann window.
fn hann(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.5 - 0.5 * (TAU * i as f64 / n as f64).cos()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wave_has_the_power_of_a_wave() {
        let nn = super::super::lomb::tests::wave(0.25, 30.0);
        let power = welch(&nn).unwrap().power_ms2(0.2..=0.3);
        // Half the squared depth, a little less as the spline rounds the crests.
        assert!((power - 450.0).abs() < 45.0, "{power}");
    }

    proptest! {
        #[test]
        fn any_numbers_have_a_spectrum_or_a_refusal(
            nn in prop::collection::vec(prop_oneof![9 => 1.0..10_000.0f64, 1 => any::<f64>()], 0..40),
        ) {
            if let Ok(spectrum) = welch(&nn) {
                prop_assert!(spectrum.psd_ms2_per_hz.iter().all(|p| p.is_finite() && *p >= 0.0));
            }
        }
    }
}
