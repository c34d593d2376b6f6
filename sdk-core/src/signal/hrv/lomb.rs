//! The Lomb-Scargle spectrum: of the beats as they are, without resampling.

use super::{
    fourier::{Fourier, GRID},
    refusal::{Refusal, check_intervals, seconds},
    spectrum::Spectrum,
};
use realfft::num_complex::Complex;
use std::{
    f64::consts::{PI, TAU},
    sync::LazyLock,
};

/// Frequencies are the multiples of this up to 0.5 Hz: the bands' edges are among them, and a
/// five-minute record, whose waves are 1/300 Hz apart, is sampled three times as densely. Of
/// records beyond a quarter of an hour it is a sample of a noisy spectrum: there use Welch.
const STEP_HZ: f64 = 0.001;
const FREQUENCIES: usize = 500;
/// Least beats: a wave has three unknowns.
const LEAST_BEATS: usize = 4;
/// Sines and cosines this near to parallel (share of the squared count) fit one amplitude.
const PARALLEL: f64 = 1e-9;

/// The power spectral density of NN intervals (ms) by Lomb 1976 (*Astrophys Space Sci* 39:447) and
/// Scargle 1982 (*Astrophys J* 263:835), at 0.001, 0.002, ... 0.5 Hz.
///
/// Each interval stands at the time its beat ends it; the mean is subtracted. At each frequency
/// the wave of least squares is fitted, and the density is the mean interval (s) times the squares
/// it explains: a wave of amplitude A then holds A^2/2. It is `2 * mean * P`, where `P` is SciPy's
/// `lombscargle(t, nn - nn.mean(), 2 * pi * f)`.
///
/// # Errors
/// [`Refusal::NotAnInterval`]; [`Refusal::TooShort`] with fewer than 4 intervals.
pub fn lomb(nn_ms: &[f64]) -> Result<Spectrum, Refusal> {
    check_intervals(nn_ms)?;
    let (beats, length_s) = (nn_ms.len(), seconds(nn_ms));
    if beats < LEAST_BEATS {
        let needed_s = 1.0 / (STEP_HZ * FREQUENCIES as f64);
        return Err(Refusal::TooShort { beats, seconds: length_s, needed_s });
    }
    let mean_s = length_s / beats as f64;
    let (deviations, counts) = sums(nn_ms, mean_s * 1e3);
    // Sines and cosines of twice the angle give the squares and products of those of the angle.
    let density = |k: usize| mean_s * explained(deviations[k], counts[2 * k], beats as f64);
    Ok(Spectrum {
        hz: (1..=FREQUENCIES).map(|k| k as f64 * STEP_HZ).collect(),
        psd_ms2_per_hz: (1..=FREQUENCIES).map(density).collect(),
    })
}

/// The squares that the wave of least squares explains, from the sums over beats of
/// `deviation * (cos a, -sin a)` and of `(cos 2a, -sin 2a)`.
fn explained((yc, ys): (f64, f64), (c2, s2): (f64, f64), n: f64) -> f64 {
    let (cc, ss, cs) = ((n + c2) / 2.0, (n - c2) / 2.0, s2 / 2.0);
    let determinant = cc * ss - cs * cs;
    if determinant > PARALLEL * n * n {
        ((ss * yc * yc - 2.0 * cs * yc * ys + cc * ys * ys) / determinant).max(0.0)
    } else {
        (yc * yc + ys * ys) / n
    }
}

/// Sums over beats of `(cos a, -sin a)`, weighted and not, at the multiples of [`STEP_HZ`] up to
/// twice the last frequency.
type Sums = Vec<(f64, f64)>;

/// The sums, by a non-uniform Fourier transform (Greengard & Lee 2004, *SIAM Rev* 46:443): beats
/// are spread over a grid as Gaussians, the grid is transformed fast, and the transform divided by
/// the Gaussian's. As all frequencies are multiples of one, time goes round a circle, of 1000 s,
/// and a day costs little more than an hour.
fn sums(nn_ms: &[f64], mean_ms: f64) -> (Sums, Sums) {
    let spread = &*SPREAD;
    let (mut deviations, mut counts) = (Fourier::of_length(GRID), Fourier::of_length(GRID));
    deviations.input.fill(0.0);
    counts.input.fill(0.0);
    let mut at_s = 0.0;
    for nn in nn_ms {
        at_s += nn / 1e3;
        let cell = (at_s * STEP_HZ).fract() * GRID as f64;
        let first = cell.floor();
        let offset = cell - first;
        // exp(-(offset - l)^2 / w) as a product of what depends on the beat, on the cell, and on
        // both by powers of one number.
        let step = (2.0 * offset / spread.width).exp();
        let mut height = (-offset * (offset + 2.0 * (REACH as f64 - 1.0)) / spread.width).exp();
        for (l, around) in spread.cells.iter().enumerate() {
            let at = (first as usize + GRID + l + 1 - REACH) % GRID;
            let weight = height * around;
            deviations.input[at] += (nn - mean_ms) * weight;
            counts.input[at] += weight;
            height *= step;
        }
    }
    (spread.undone(&mut deviations), spread.undone(&mut counts))
}

/// How a beat is spread over the grid.
struct Spread {
    /// The Gaussian is `exp(-x^2 / width)` of `x` cells.
    width: f64,
    /// It at the cells around a beat that lies on one.
    cells: [f64; 2 * REACH],
    /// The inverse of its transform, at every multiple of the step.
    inverse: Vec<f64>,
}

/// Cells that a beat reaches on either side: leaves an error of 1e-12 of the largest sum.
const REACH: usize = 12;

static SPREAD: LazyLock<Spread> = LazyLock::new(|| {
    let modes = (4 * FREQUENCIES) as f64;
    let ratio = GRID as f64 / modes;
    let tau = PI * REACH as f64 / (modes * modes * ratio * (ratio - 0.5));
    let cell = TAU / GRID as f64;
    let width = 4.0 * tau / (cell * cell);
    Spread {
        width,
        cells: std::array::from_fn(|l| (-(l as f64 + 1.0 - REACH as f64).powi(2) / width).exp()),
        inverse: (0..=2 * FREQUENCIES)
            .map(|k| (PI / tau).sqrt() * (k as f64 * k as f64 * tau).exp() / GRID as f64)
            .collect(),
    }
});

impl Spread {
    fn undone(&self, grid: &mut Fourier) -> Sums {
        let at = |(sum, inverse): (&Complex<f64>, &f64)| (sum.re * inverse, sum.im * inverse);
        grid.transform().iter().zip(&self.inverse).map(at).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Five minutes of beats 0.8 s apart that swing by `depth_ms` at `hz`.
    pub(in super::super) fn wave(hz: f64, depth_ms: f64) -> Vec<f64> {
        let mut at_s = 0.0;
        std::iter::from_fn(|| {
            let nn = 800.0 + depth_ms * (TAU * hz * at_s).sin();
            at_s += nn / 1e3;
            (at_s < 300.0).then_some(nn)
        })
        .collect()
    }

    #[test]
    fn a_wave_has_the_power_of_a_wave() {
        for hz in [0.07, 0.1, 0.25, 0.3] {
            let spectrum = lomb(&wave(hz, 30.0)).unwrap();
            let power = spectrum.power_ms2(hz - 0.03..=hz + 0.03);
            assert!((power - 450.0).abs() < 45.0, "{hz} Hz: {power}");
        }
    }

    #[test]
    fn the_fast_sums_are_the_plain_ones() {
        // 40 minutes: time goes round the circle more than twice.
        let nn: Vec<f64> = (0..3_000).map(|i| 800.0 + 90.0 * (f64::from(i) * 2.3).sin()).collect();
        let (deviations, counts) = sums(&nn, 800.0);
        for k in [1, 2, 37, 250, 499, 500, 999, 1000] {
            let (mut at_s, mut plain) = (0.0, [0.0; 4]);
            for nn in &nn {
                at_s += nn / 1e3;
                let (sin, cos) = (TAU * STEP_HZ * k as f64 * at_s).sin_cos();
                let terms = [(nn - 800.0) * cos, -(nn - 800.0) * sin, cos, -sin];
                plain.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
            let fast = [deviations[k].0, deviations[k].1, counts[k].0, counts[k].1];
            for (fast, plain) in fast.iter().zip(plain) {
                assert!((fast - plain).abs() < 1e-6, "{k}: {fast} and {plain}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_numbers_have_a_spectrum_or_a_refusal(
            nn in prop::collection::vec(prop_oneof![9 => 1.0..10_000.0f64, 1 => any::<f64>()], 0..40),
        ) {
            if let Ok(spectrum) = lomb(&nn) {
                prop_assert!(spectrum.psd_ms2_per_hz.iter().all(|p| p.is_finite() && *p >= 0.0));
            }
        }
    }
}
