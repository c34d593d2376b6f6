//! Respiration from heart beats.
//!
//! Breathing in quickens the heart and breathing out slows it: respiratory sinus arrhythmia is
//! what the high-frequency band is made of (Task Force 1996; Hirsch & Bishop 1981, *Am J Physiol*
//! 241:H620). Its spectral peak is the rate of breath, one of the methods compared by Schäfer &
//! Kratky 2008 (*Ann Biomed Eng* 36:476). Talking, or a heart without such arrhythmia, leaves
//! no clear peak; then nothing is told.

use super::{
    refusal::{Refusal, seconds},
    spectrum::Spectrum,
    welch::{segments, welch},
};

/// Where the peak is looked for, Hz: 6 to 30 breaths a minute.
const LOWEST_HZ: f64 = 0.1;
const HIGHEST_HZ: f64 = 0.5;
/// Bins on either side of the peak that a line under a Hann window fills.
const LINE_BINS: usize = 2;
/// The line holds at least `1 + this / sqrt(segments)` times what a flat spectrum puts there: the
/// spread of an averaged periodogram falls with the root of the periodograms in it (Welch 1967).
/// With 2.5, fewer than one in a hundred records of pure noise breathe (simulated, one to five
/// minutes; with 2, one in eighty).
const PROMINENCE: f64 = 2.5;
const BREATHS_PER_MINUTE: f64 = 60.0;

/// A rate of breath.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Respiration {
    /// Breaths a minute.
    pub breaths_per_minute: f64,
    /// Share of the power in 0.1-0.5 Hz that is this one line, 0..=1.
    pub confidence: f64,
}

/// The rate of breath in NN intervals (ms), from the highest peak of their Welch spectrum between
/// 0.1 Hz and 0.5 Hz or half the heart rate, whichever is lower, refined by a parabola through the
/// logarithms of the peak and its neighbours. `None` where no peak stands out: none at all, one at
/// the edge of the band (the slope of slower waves), or one with too little of the power.
///
/// # Errors
/// As [`welch`].
pub fn respiration(nn_ms: &[f64]) -> Result<Option<Respiration>, Refusal> {
    let spectrum = welch(nn_ms)?;
    Ok(respiration_of(&spectrum, nn_ms))
}

/// The same, of intervals whose Welch spectrum is at hand.
pub(super) fn respiration_of(spectrum: &Spectrum, nn_ms: &[f64]) -> Option<Respiration> {
    let psd = &spectrum.psd_ms2_per_hz;
    let highest = HIGHEST_HZ.min(nn_ms.len() as f64 / seconds(nn_ms) / 2.0);
    let from = spectrum.hz.partition_point(|&f| f < LOWEST_HZ);
    let to = spectrum.hz.partition_point(|&f| f <= highest).min(psd.len().saturating_sub(1));
    let peak = (from..to).max_by(|&a, &b| psd[a].total_cmp(&psd[b]))?;
    let (before, at, after) = (psd[peak.saturating_sub(1)], psd[peak], psd[peak + 1]);
    if before >= at || after >= at {
        return None;
    }
    let line = peak.saturating_sub(LINE_BINS).max(from)..(peak + LINE_BINS + 1).min(to);
    let flat_share = (2 * LINE_BINS + 1) as f64 / (to - from) as f64;
    let confidence = psd[line].iter().sum::<f64>() / psd[from..to].iter().sum::<f64>();
    let least = flat_share * (1.0 + PROMINENCE / segments(nn_ms).sqrt());
    if confidence.is_nan() || confidence < least {
        return None;
    }
    let bin_hz = spectrum.hz[1];
    let hz = spectrum.hz[peak] + bin_hz * vertex(before, at, after);
    Some(Respiration { breaths_per_minute: BREATHS_PER_MINUTE * hz, confidence })
}

/// Where between -1/2 and 1/2 bins the parabola through three logarithms has its top.
fn vertex(before: f64, at: f64, after: f64) -> f64 {
    let [a, b, c] = [before, at, after].map(|p| p.max(f64::MIN_POSITIVE).ln());
    let curvature = a - 2.0 * b + c;
    if curvature < 0.0 { (0.5 * (a - c) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{super::lomb::tests::wave, *};
    use proptest::prelude::*;

    #[test]
    fn the_breath_is_found_within_half_a_breath_a_minute() {
        for per_minute in [8.0, 10.0, 12.5, 15.0, 17.3, 22.0, 28.0] {
            let found = respiration(&wave(per_minute / 60.0, 30.0)).unwrap().unwrap();
            assert!((found.breaths_per_minute - per_minute).abs() < 0.5, "{per_minute}: {found:?}");
            assert!(found.confidence > 0.8, "{found:?}");
        }
    }

    fn noise(n: usize, state: &mut u64) -> Vec<f64> {
        let mut uniform = || {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (*state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        (0..n).map(|_| 800.0 + 40.0 * (0..6).map(|_| uniform()).sum::<f64>()).collect()
    }

    #[test]
    fn noise_breathes_once_in_a_hundred_records_at_most() {
        let mut state = 1;
        for beats in [80, 160, 370] {
            let breathes = |_: &i32| matches!(respiration(&noise(beats, &mut state)), Ok(Some(_)));
            let found = (0..500).filter(breathes).count();
            assert!(found <= 5, "{found} of 500 records of {beats} beats");
        }
    }

    #[test]
    fn slower_waves_and_a_steady_heart_are_no_breath() {
        assert_eq!(respiration(&wave(0.07, 40.0)), Ok(None));
        assert_eq!(respiration(&[800.0; 300]), Ok(None));
    }

    proptest! {
        #[test]
        fn any_numbers_breathe_or_do_not(
            nn in prop::collection::vec(prop_oneof![9 => 1.0..10_000.0f64, 1 => any::<f64>()], 0..60),
        ) {
            if let Ok(Some(found)) = respiration(&nn) {
                prop_assert!((5.0..=31.0).contains(&found.breaths_per_minute), "{:?}", found);
                prop_assert!((0.0..=1.0 + 1e-9).contains(&found.confidence), "{:?}", found);
            }
        }
    }
}
