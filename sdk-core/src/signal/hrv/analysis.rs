//! A whole record in one call.

use super::{
    coherence::{CoherenceWindow, coherence},
    correction::{BeatClass, ClassCounts, Correction, correct},
    lomb::lomb,
    quality::{LEAST_LOW_FREQUENCY_S, Usability},
    refusal::seconds,
    respiration::{Respiration, respiration_of},
    rolling::quantile,
    spectrum::{Bands, Spectrum},
    time_domain::TimeDomain,
    welch::welch,
};

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether artefacts are corrected before anything is measured. Without, they are counted and
    /// judged all the same.
    pub correction: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { correction: true }
    }
}

/// What a record of RR intervals says. The measures are there for a refused record too, for whoever
/// wants to see why; [`Usability`] says whether to believe them. What cannot be told is NaN, `None`
/// or empty.
#[derive(Debug, Clone, PartialEq)]
pub struct HrvAnalysis {
    /// RR intervals given.
    pub beats: usize,
    /// Beats corrected; 0 without correction.
    pub corrected: usize,
    /// Beats found to be artefacts, corrected or not.
    pub artefacts: ClassCounts,
    /// Whether the numbers may be used.
    pub usability: Usability,
    /// Time domain, Poincaré and Baevsky.
    pub time: TimeDomain,
    /// Welch's spectrum.
    pub welch: Spectrum,
    /// Its power. Below two minutes the low and very low frequencies are NaN (Task Force 1996).
    pub welch_bands: Bands,
    /// The Lomb-Scargle spectrum.
    pub lomb: Spectrum,
    /// Its power, likewise.
    pub lomb_bands: Bands,
    /// The median over `coherence`.
    pub coherence_ratio: f64,
    /// Coherence in windows of 64 s.
    pub coherence: Vec<CoherenceWindow>,
    /// The rate of breath, where there is a clear one in a usable record.
    pub respiration: Option<Respiration>,
    /// The series itself.
    pub tachogram: Tachogram,
    /// The Poincaré plot: each analysed interval and the next, ms.
    pub poincare_ms: Vec<(f64, f64)>,
}

/// A series of intervals before and after correction, for a plot.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tachogram {
    /// When each RR interval ends, seconds from the beat the record begins with.
    pub at_s: Vec<f64>,
    /// RR intervals as given, ms.
    pub rr_ms: Vec<f64>,
    /// The class of the beat that ends each.
    pub classes: Vec<BeatClass>,
    /// When each analysed interval ends.
    pub nn_at_s: Vec<f64>,
    /// The intervals analysed, ms: corrected if asked for.
    pub nn_ms: Vec<f64>,
}

/// Analyses RR intervals, in ms and in order.
///
/// Any numbers are taken: what is not a record of RR intervals comes back with its refusal and
/// without measures.
///
/// # Examples
/// ```
/// use sdk_core::signal::hrv::{Options, analyze};
///
/// // A heart that beats every 0.8 s and breathes.
/// let rr_ms: Vec<f64> = (0..370).map(|i| 800.0 + 40.0 * f64::from(i).sin()).collect();
/// let found = analyze(&rr_ms, Options::default());
/// assert!(found.usability.usable);
/// assert!(found.time.rmssd_ms > 20.0 && found.welch_bands.lf_hf() < 1.0);
/// ```
#[must_use]
pub fn analyze(rr_ms: &[f64], options: Options) -> HrvAnalysis {
    let correction = correct(rr_ms).unwrap_or_default();
    let usability = Usability::of(rr_ms, &correction);
    let Correction { classes, nn_ms, counts } = correction;
    // Empty if refused as no intervals at all: then there is nothing to measure.
    let is_record = classes.len() == rr_ms.len();
    let nn_ms = if options.correction || !is_record { nn_ms } else { rr_ms.to_vec() };

    let welch = welch(&nn_ms).unwrap_or_default();
    let lomb = lomb(&nn_ms).unwrap_or_default();
    let coherence = coherence(&nn_ms).unwrap_or_default();
    let length_s = seconds(&nn_ms);
    // Ectopic beats that come every so often look like breath.
    let respiration = respiration_of(&welch, &nn_ms).filter(|_| usability.usable);
    HrvAnalysis {
        beats: rr_ms.len(),
        corrected: if options.correction { counts.artefacts() } else { 0 },
        artefacts: counts,
        usability,
        time: TimeDomain::of(&nn_ms),
        welch_bands: bands(&welch, length_s),
        lomb_bands: bands(&lomb, length_s),
        coherence_ratio: median(coherence.iter().map(|window| window.ratio)),
        coherence,
        respiration,
        welch,
        lomb,
        poincare_ms: nn_ms.windows(2).map(|pair| (pair[0], pair[1])).collect(),
        tachogram: Tachogram {
            at_s: if is_record { ends_s(rr_ms) } else { Vec::new() },
            rr_ms: if is_record { rr_ms.to_vec() } else { Vec::new() },
            classes,
            nn_at_s: ends_s(&nn_ms),
            nn_ms,
        },
    }
}

fn bands(spectrum: &Spectrum, length_s: f64) -> Bands {
    if spectrum.hz.is_empty() {
        return Bands::UNKNOWN;
    }
    let bands = spectrum.bands();
    if length_s < LEAST_LOW_FREQUENCY_S {
        return Bands { hf_ms2: bands.hf_ms2, ..Bands::UNKNOWN };
    }
    bands
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

fn ends_s(intervals_ms: &[f64]) -> Vec<f64> {
    let mut at_s = 0.0;
    let end = |interval_ms: &f64| {
        at_s += interval_ms / 1e3;
        at_s
    };
    intervals_ms.iter().map(end).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::refusal::Refusal, *};
    use proptest::prelude::*;

    fn breathing(n: usize) -> Vec<f64> {
        (0..n).map(|i| 800.0 + 40.0 * (i as f64 * 1.3).sin()).collect()
    }

    #[test]
    fn a_record_is_told_whole() {
        let found = analyze(&breathing(370), Options::default());
        assert!(found.usability.usable, "{:?}", found.usability);
        assert_eq!((found.beats, found.corrected, found.time.intervals), (370, 0, 370));
        assert_eq!(found.tachogram.at_s, found.tachogram.nn_at_s);
        assert_eq!(found.poincare_ms.len(), 369);
        // 1.3 rad a beat of 0.8 s: 0.2586 Hz, 15.5 breaths a minute.
        let breath = found.respiration.unwrap();
        assert!((breath.breaths_per_minute - 15.5).abs() < 0.5, "{breath:?}");
        assert!(found.welch_bands.hf_ms2 > 100.0 * found.welch_bands.lf_ms2);
        assert!(found.lomb_bands.hf_ms2 > 10.0 * found.lomb_bands.lf_ms2);
        assert!(found.coherence_ratio > 2.0, "{}", found.coherence_ratio);
    }

    #[test]
    fn without_correction_artefacts_stay_in_and_are_counted() {
        let mut rr = breathing(370);
        (rr[99], rr[100]) = (450.0, 1150.0);
        let left = analyze(&rr, Options { correction: false });
        assert_eq!((left.corrected, left.tachogram.nn_ms), (0, rr.clone()));
        assert!(left.artefacts.artefacts() > 0);
        let put_right = analyze(&rr, Options::default());
        assert!(put_right.corrected > 0 && put_right.time.rmssd_ms < left.time.rmssd_ms);
    }

    #[test]
    fn a_minute_has_no_low_frequencies() {
        let minute = analyze(&breathing(100), Options::default());
        assert!(minute.usability.usable && minute.welch_bands.lf_ms2.is_nan());
        assert!(minute.welch_bands.hf_ms2 > 0.0 && minute.welch_bands.lf_hf().is_nan());
    }

    #[test]
    fn what_is_no_record_is_refused_without_measures() {
        let refused = analyze(&[800.0, f64::NAN, 800.0], Options::default());
        let reason = refused.usability.reason;
        assert!(matches!(reason, Some(Refusal::NotAnInterval { index: 1, .. })), "{reason:?}");
        assert!(refused.time.mean_nn_ms.is_nan() && refused.tachogram == Tachogram::default());
        let empty = analyze(&[], Options::default());
        assert!(matches!(empty.usability.reason, Some(Refusal::TooShort { beats: 0, .. })));
    }

    proptest! {
        #[test]
        fn any_numbers_are_analysed_or_refused(
            rr in prop::collection::vec(
                prop_oneof![60 => 300.0..2000.0f64, 20 => 1.0..10_000.0f64, 1 => any::<f64>()],
                0..200,
            ),
            correction in any::<bool>(),
        ) {
            let found = analyze(&rr, Options { correction });
            prop_assert_eq!(found.usability.usable, found.usability.reason.is_none());
            prop_assert_eq!(found.beats, rr.len());
            if found.usability.usable {
                prop_assert!(found.time.rmssd_ms.is_finite());
                prop_assert!(found.welch_bands.hf_ms2.is_finite());
            }
        }
    }
}
