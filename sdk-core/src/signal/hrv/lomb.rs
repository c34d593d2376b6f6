//! The Lomb-Scargle spectrum: of the beats as they are, without resampling.

use super::{
    refusal::{Refusal, check_intervals, seconds},
    spectrum::Spectrum,
};
use std::f64::consts::TAU;

/// Frequencies are the multiples of this up to 0.5 Hz: the bands' edges are among them, and a
/// five-minute record, whose waves are 1/300 Hz apart, is sampled three times as densely. Of
/// records beyond a quarter of an hour it is a sample of a noisy spectrum: there use Welch.
const STEP_HZ: f64 = 0.001;
const FREQUENCIES: usize = 500;
/// Least beats: a wave has three unknowns.
const LEAST_BEATS: usize = 4;
/// Beats that are turned together, for the sake of the machine's vector units.
const LANES: usize = 8;
/// Sines and cosines this near to parallel (share of the squared count) fit one amplitude.
const PARALLEL: f64 = 1e-12;

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
    let mut groups = groups(nn_ms, mean_s * 1e3);
    let density = |_| mean_s * explained(&mut groups, beats as f64);
    Ok(Spectrum {
        hz: (1..=FREQUENCIES).map(|k| k as f64 * STEP_HZ).collect(),
        psd_ms2_per_hz: (0..FREQUENCIES).map(density).collect(),
    })
}

/// Beats side by side: the deviation of each, and its angle at the frequency come to.
struct Group {
    deviation: [f64; LANES],
    cos: [f64; LANES],
    sin: [f64; LANES],
    /// The angle from one frequency to the next.
    step_cos: [f64; LANES],
    step_sin: [f64; LANES],
}

/// The beats at the first frequency. Lanes beyond the last beat are of length 0, not 1: they add
/// nothing to any sum.
fn groups(nn_ms: &[f64], mean_ms: f64) -> Vec<Group> {
    let mut at_s = 0.0;
    nn_ms
        .chunks(LANES)
        .map(|chunk| {
            let [mut deviation, mut step_cos, mut step_sin] = [[0.0; LANES]; 3];
            for (lane, &nn) in chunk.iter().enumerate() {
                at_s += nn / 1e3;
                deviation[lane] = nn - mean_ms;
                (step_sin[lane], step_cos[lane]) = (TAU * STEP_HZ * at_s).sin_cos();
            }
            Group { deviation, cos: step_cos, sin: step_sin, step_cos, step_sin }
        })
        .collect()
}

/// The squares that the wave of least squares explains at this frequency; turns all beats to the
/// next by the addition theorem.
fn explained(groups: &mut [Group], n: f64) -> f64 {
    let [mut yc, mut ys, mut cc, mut cs] = [[0.0; LANES]; 4];
    for group in groups {
        for lane in 0..LANES {
            let (c, s) = (group.cos[lane], group.sin[lane]);
            yc[lane] += group.deviation[lane] * c;
            ys[lane] += group.deviation[lane] * s;
            cc[lane] += c * c;
            cs[lane] += c * s;
            group.cos[lane] = c * group.step_cos[lane] - s * group.step_sin[lane];
            group.sin[lane] = s * group.step_cos[lane] + c * group.step_sin[lane];
        }
    }
    let [yc, ys, cc, cs] = [yc, ys, cc, cs].map(|lanes| lanes.iter().sum::<f64>());
    let ss = n - cc;
    let determinant = cc * ss - cs * cs;
    if determinant > PARALLEL * n * n {
        ((ss * yc * yc - 2.0 * cs * yc * ys + cc * ys * ys) / determinant).max(0.0)
    } else {
        (yc * yc + ys * ys) / n
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
