//! A whole recording of skin conductance, analysed at once.

use super::{
    CORNER_HZ,
    artefact::{self, Acceleration, Mark},
    high_pass::{HighPass, Interval},
    responses::{Scr, Threshold, responses},
    trough_to_peak::TroughToPeak,
};
use crate::signal::filter::{Band, Cascade};
use std::ops::{Range, RangeInclusive};
use thiserror::Error;

/// Rates that are analysed, Hz: Empatica's E4 to a laboratory amplifier.
const RATES_HZ: RangeInclusive<f64> = 4.0..=1000.0;
/// Order of the filters that part tonic and phasic.
const PARTING_ORDER: usize = 2;
/// Noise lies above this, Hz, and is removed by a low-pass of [`CLEANING_ORDER`] (Makowski et al.
/// 2021, `eda_clean`) ...
const CLEANING_HZ: f64 = 3.0;
const CLEANING_ORDER: usize = 4;
/// ... unless the rate, Hz, is so low that little of it can be there.
const CLEANING_ABOVE_RATE_HZ: f64 = 6.0;
/// A stretch shorter than this is all edge for a filter at 0.05 Hz, seconds: half its period.
const SHORTEST_STRETCH_S: f64 = 10.0;
/// At least this share of a recording must be analysable. Our choice.
const LEAST_USABLE_SHARE: f64 = 0.5;
/// Absolute thresholds that responses are counted at, microsiemens (Boucsein 2012, section
/// 2.3.1.2.3).
pub const RESPONSE_MICROSIEMENS: [f64; 2] = [0.01, 0.05];
const SECONDS_PER_MINUTE: f64 = 60.0;

/// How tonic and phasic are taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Butterworth filters of order 2 at 0.05 Hz, forward and backward.
    #[default]
    HighPass,
    /// Convex optimisation (Greco et al. 2016).
    #[cfg(feature = "offline")]
    CvxEda,
}

/// How a recording is analysed.
#[derive(Debug, Clone, PartialEq)]
pub struct Options<'a> {
    /// How tonic and phasic are taken apart.
    pub method: Method,
    /// Uses for each value only what came before it: a causal high-pass without cleaning, and
    /// responses confirmed as they happen, with their amplitude as prominence and no recovery.
    /// [`EdaFeatures`](super::EdaFeatures) begins like this and then revises what it saw last.
    pub online: bool,
    /// What is listed as a response. Online, where no largest response is known yet, a relative
    /// threshold means 0.01 microsiemens.
    pub threshold: Threshold,
    /// Values outside are no skin's, or outside the device's range; microsiemens.
    pub plausible_microsiemens: RangeInclusive<f64>,
    /// Skin conductance does not move faster, microsiemens a second.
    pub steepest_microsiemens_per_s: f64,
    /// Acceleration of the electrodes, where the device has it.
    pub acceleration: Option<Acceleration<'a>>,
    /// Good values so close to a bad one are not used either, seconds.
    pub margin_s: f64,
}

impl Default for Options<'_> {
    /// Zero-phase high-pass; responses from 0.01 microsiemens on; 0.05 to 60 microsiemens.
    fn default() -> Self {
        Self {
            method: Method::HighPass,
            online: false,
            threshold: Threshold::Absolute(RESPONSE_MICROSIEMENS[0]),
            plausible_microsiemens: artefact::PLAUSIBLE_US,
            steepest_microsiemens_per_s: artefact::STEEPEST_US_PER_S,
            acceleration: None,
            margin_s: 0.0,
        }
    }
}

/// Why nothing can be said about a recording.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Unusable {
    /// The rate is none that is analysed.
    #[error("a rate of {rate_hz} Hz cannot be analysed: give one from 4 to 1000 Hz")]
    Rate {
        /// The rate given.
        rate_hz: f64,
    },
    /// Too little of it is skin conductance.
    #[error(
        "only {analysed_s:.1} of {total_s:.1} s are skin conductance without artefact, in \
         stretches of 10 s or more: half of the recording is needed; check electrodes and unit"
    )]
    Artefacts {
        /// Seconds that could be analysed.
        analysed_s: f64,
        /// Seconds of the recording.
        total_s: f64,
    },
    /// There is no causal form of the method.
    #[error("cvxEDA needs the whole recording: use the high-pass method online")]
    NotOnline,
    /// A stretch is too long for the method, or the method found no solution.
    #[cfg(feature = "offline")]
    #[error(transparent)]
    CvxEda(#[from] super::CvxEdaError),
}

/// The series behind an analysis, one entry a sample; NaN where nothing could be analysed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EdaSeries {
    /// Samples a second: entry `i` was measured `i / rate_hz` seconds into the recording.
    pub rate_hz: f64,
    /// Skin conductance, short gaps bridged and noise removed; microsiemens.
    pub clean_microsiemens: Vec<f64>,
    /// Skin conductance level; microsiemens.
    pub tonic_microsiemens: Vec<f64>,
    /// What rises and falls within seconds; microsiemens.
    pub phasic_microsiemens: Vec<f64>,
    /// What is known about each value.
    pub marks: Vec<Mark>,
}

/// What a recording says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EdaAnalysis {
    /// Why the numbers below must not be used, if so.
    pub unusable: Option<Unusable>,
    /// Seconds the numbers stand on.
    pub analysed_s: f64,
    /// Mean skin conductance level, microsiemens; NaN without data.
    pub scl_mean_microsiemens: f64,
    /// Standard deviation (n - 1) of the phasic part, microsiemens; NaN without data.
    pub phasic_sd_microsiemens: f64,
    /// Area of the positive phasic part, microsiemens times seconds.
    pub phasic_area_microsiemens_s: f64,
    /// Responses in order of time, at the threshold asked for.
    pub scrs: Vec<Scr>,
    /// Responses a minute of analysed time, at the threshold asked for; NaN without data.
    pub scr_per_minute: f64,
    /// How many responses reach each of [`RESPONSE_MICROSIEMENS`].
    pub scr_counts: [usize; 2],
    /// For a plot.
    pub series: EdaSeries,
}

/// Tonic and phasic part of one unbroken stretch.
struct Parts {
    clean: Vec<f64>,
    tonic: Vec<f64>,
    phasic: Vec<f64>,
}

/// Analyses skin conductance in microsiemens, `rate_hz` samples a second (4 to 1000).
///
/// Gaps and artefacts of up to 2 s are bridged by a line; longer ones split the recording into
/// stretches that are analysed each by itself, if they last 10 s. Any input gives an answer; one
/// that must not be used says why.
///
/// # Examples
/// ```
/// use sdk_core::signal::eda::{Options, analyze};
///
/// let rate_hz = 4.0;
/// let level = |t: f64| 2.0 + 0.3 * (-(t - 30.0) * (t - 30.0) / 4.0).exp();
/// let values: Vec<f64> = (0..240).map(|i| level(f64::from(i) / rate_hz)).collect();
/// let analysis = analyze(&values, rate_hz, &Options::default());
/// assert_eq!(analysis.unusable, None);
/// assert_eq!(analysis.scrs.len(), 1);
/// assert_eq!(analysis.scrs[0].peak_s, 30.0);
/// ```
#[must_use]
pub fn analyze(values_us: &[f64], rate_hz: f64, options: &Options) -> EdaAnalysis {
    if !RATES_HZ.contains(&rate_hz) {
        return EdaAnalysis::unusable(Unusable::Rate { rate_hz });
    }
    if options.online && options.method != Method::HighPass {
        return EdaAnalysis::unusable(Unusable::NotOnline);
    }
    let mut values = values_us.to_vec();
    let mut marks = artefact::marks(&values, rate_hz, options);
    let mut stretches = artefact::bridge(&mut values, &mut marks, rate_hz);
    stretches.retain(|s| s.len() as f64 >= SHORTEST_STRETCH_S * rate_hz);

    let nothing = vec![f64::NAN; values.len()];
    let mut analysis = EdaAnalysis {
        series: EdaSeries {
            rate_hz,
            clean_microsiemens: nothing.clone(),
            tonic_microsiemens: nothing.clone(),
            phasic_microsiemens: nothing,
            marks,
        },
        ..EdaAnalysis::default()
    };
    for stretch in &stretches {
        match parts(&values[stretch.clone()], rate_hz, options) {
            Ok(parts) => analysis.add(stretch, &parts, options),
            Err(reason) => analysis.unusable = Some(reason),
        }
    }
    analysis.summarise(&stretches);
    analysis
}

/// Takes one stretch apart.
fn parts(values_us: &[f64], rate_hz: f64, options: &Options) -> Result<Parts, Unusable> {
    if options.online {
        return Ok(causal_parts(values_us, rate_hz));
    }
    let clean = if rate_hz > CLEANING_ABOVE_RATE_HZ {
        zero_phase(CLEANING_ORDER, Band::Low(CLEANING_HZ), rate_hz, values_us)
    } else {
        values_us.to_vec()
    };
    let (tonic, phasic) = match options.method {
        Method::HighPass => (
            zero_phase(PARTING_ORDER, Band::Low(CORNER_HZ), rate_hz, &clean),
            zero_phase(PARTING_ORDER, Band::High(CORNER_HZ), rate_hz, &clean),
        ),
        #[cfg(feature = "offline")]
        Method::CvxEda => {
            let parted = super::cvxeda(&clean, rate_hz)?;
            (parted.tonic_microsiemens, parted.phasic_microsiemens)
        }
    };
    Ok(Parts { clean, tonic, phasic })
}

/// Every corner lies well below half of the least rate, so that the filter exists.
fn zero_phase(order: usize, band: Band, rate_hz: f64, values: &[f64]) -> Vec<f64> {
    Cascade::butterworth(order, band, rate_hz)
        .map_or_else(|| values.to_vec(), |filter| filter.zero_phase(values))
}

fn causal_parts(values_us: &[f64], rate_hz: f64) -> Parts {
    let mut filter = HighPass::settled_at(values_us.first().copied().unwrap_or_default());
    let interval = Interval::new(1.0 / rate_hz);
    let phasic: Vec<f64> = values_us.iter().map(|&x| filter.step(x, &interval)).collect();
    let tonic = values_us.iter().zip(&phasic).map(|(x, p)| x - p).collect();
    Parts { clean: values_us.to_vec(), tonic, phasic }
}

/// Responses as they are confirmed.
fn causal_responses(phasic_us: &[f64], rate_hz: f64, start_s: f64, least_us: f64) -> Vec<Scr> {
    let mut tracker = TroughToPeak::new(least_us);
    (0..)
        .zip(phasic_us)
        .filter_map(|(i, &x)| tracker.push(start_s + f64::from(i) / rate_hz, x))
        .map(|found| Scr {
            onset_s: Some(found.trough_at_s),
            peak_s: found.peak_at_s,
            amplitude_microsiemens: Some(found.amplitude_us),
            rise_time_s: Some(found.peak_at_s - found.trough_at_s),
            recovery_s: None,
            prominence_microsiemens: found.amplitude_us,
        })
        .collect()
}

impl EdaAnalysis {
    fn unusable(reason: Unusable) -> Self {
        let mut analysis = Self { unusable: Some(reason), ..Self::default() };
        analysis.summarise(&[]);
        analysis.unusable = Some(reason);
        analysis
    }

    fn add(&mut self, stretch: &Range<usize>, parts: &Parts, options: &Options) {
        let series = &mut self.series;
        series.clean_microsiemens[stretch.clone()].copy_from_slice(&parts.clean);
        series.tonic_microsiemens[stretch.clone()].copy_from_slice(&parts.tonic);
        series.phasic_microsiemens[stretch.clone()].copy_from_slice(&parts.phasic);
        let (rate_hz, start_s) = (series.rate_hz, stretch.start as f64 / series.rate_hz);
        let at = |threshold| match threshold {
            Threshold::Absolute(least) if options.online => {
                causal_responses(&parts.phasic, rate_hz, start_s, least)
            }
            Threshold::Relative(_) if options.online => {
                causal_responses(&parts.phasic, rate_hz, start_s, RESPONSE_MICROSIEMENS[0])
            }
            threshold => responses(&parts.phasic, rate_hz, start_s, threshold),
        };
        self.scrs.extend(at(options.threshold));
        for (count, least) in self.scr_counts.iter_mut().zip(RESPONSE_MICROSIEMENS) {
            *count += at(Threshold::Absolute(least)).len();
        }
    }

    fn summarise(&mut self, stretches: &[Range<usize>]) {
        let series = &self.series;
        let of = |values: &[f64]| -> Vec<f64> {
            stretches.iter().flat_map(|s| &values[s.clone()]).copied().collect()
        };
        let (tonic, phasic) = (of(&series.tonic_microsiemens), of(&series.phasic_microsiemens));
        let n = tonic.len() as f64;
        let interval_s = if series.rate_hz > 0.0 { 1.0 / series.rate_hz } else { 0.0 };
        let total_s = series.marks.len() as f64 * interval_s;
        self.analysed_s = n * interval_s;
        self.scl_mean_microsiemens = tonic.iter().sum::<f64>() / n;
        let mean = phasic.iter().sum::<f64>() / n;
        let squares: f64 = phasic.iter().map(|p| (p - mean).powi(2)).sum();
        self.phasic_sd_microsiemens = (squares / (n - 1.0)).sqrt();
        self.phasic_area_microsiemens_s =
            phasic.iter().map(|p| p.max(0.0)).sum::<f64>() * interval_s;
        self.scr_per_minute = if self.analysed_s > 0.0 {
            self.scrs.len() as f64 * SECONDS_PER_MINUTE / self.analysed_s
        } else {
            f64::NAN
        };
        let enough = self.analysed_s > 0.0 && self.analysed_s >= LEAST_USABLE_SHARE * total_s;
        if !enough && self.unusable.is_none() {
            let analysed_s = self.analysed_s;
            self.unusable = Some(Unusable::Artefacts { analysed_s, total_s });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn response(t: f64, onset: f64, amplitude: f64) -> f64 {
        let x = t - onset;
        if x < 0.0 { 0.0 } else { amplitude * (x / 1.5) * (1.0 - x / 1.5).exp() }
    }

    fn recording(rate_hz: f64) -> Vec<f64> {
        (0..(120.0 * rate_hz) as usize)
            .map(|i| i as f64 / rate_hz)
            .map(|t| {
                3.0 + response(t, 20.0, 0.4) + response(t, 60.0, 0.08) + response(t, 90.0, 0.2)
            })
            .collect()
    }

    #[test]
    fn the_same_body_at_any_rate() {
        for rate_hz in [4.0, 15.0, 128.0, 1000.0] {
            let values = recording(rate_hz);
            let analysis = analyze(&values, rate_hz, &Options::default());
            assert_eq!(analysis.unusable, None, "{rate_hz}");
            for peak_s in [21.5, 61.5, 91.5] {
                let near = |s: &&Scr| (s.peak_s - peak_s).abs() < 0.4;
                assert_eq!(analysis.scrs.iter().filter(near).count(), 1, "{rate_hz}: {peak_s}");
            }
            assert_eq!(analysis.scr_counts, [3, 3], "{rate_hz}: {:?}", analysis.scrs);
            assert!((analysis.scr_per_minute - 1.5).abs() < 0.01);
            let online = analyze(&values, rate_hz, &Options { online: true, ..Options::default() });
            // The middle one rides on the causal filter's swing back from the first.
            for peak_s in [21.5, 91.5] {
                let near = |s: &&Scr| (s.peak_s - peak_s).abs() < 0.8;
                assert_eq!(online.scrs.iter().filter(near).count(), 1, "{rate_hz}: {peak_s}");
            }
        }
    }

    #[test]
    fn a_long_gap_splits_and_a_short_one_is_bridged() {
        let mut values = recording(4.0);
        values[300..304].fill(f64::NAN);
        values[160..200].fill(0.0);
        let analysis = analyze(&values, 4.0, &Options::default());
        assert_eq!(analysis.unusable, None);
        assert_eq!(analysis.analysed_s, 110.0);
        assert_eq!(analysis.series.marks[302], Mark::Bridged);
        assert_eq!(analysis.series.marks[180], Mark::OffBody);
        assert!(analysis.series.phasic_microsiemens[180].is_nan());
        assert_eq!(analysis.scrs.len(), 3);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let why = |values: &[f64], rate_hz| {
            analyze(values, rate_hz, &Options::default()).unusable.map(|u| u.to_string())
        };
        assert!(why(&[2.0; 100], 3.0).is_some_and(|w| w.contains("from 4 to 1000 Hz")));
        assert!(why(&[2.0; 100], f64::NAN).is_some());
        assert!(why(&[0.0; 400], 4.0).is_some_and(|w| w.contains("only 0.0 of 100.0 s")));
        assert!(why(&[], 4.0).is_some());
        assert_eq!(why(&[2.0; 100], 4.0), None);
    }

    proptest! {
        #[test]
        fn any_values_at_any_rate_give_an_answer(
            values in prop::collection::vec(prop_oneof![any::<f64>(), 0.0..70.0], 0..300),
            rate_hz in prop_oneof![any::<f64>(), 1.0..1100.0],
            online in any::<bool>(),
            margin_s in any::<f64>(),
            g in prop::collection::vec(any::<f64>(), 0..20),
            acceleration_hz in any::<f64>(),
            high in any::<f64>(),
        ) {
            let options = Options {
                online,
                margin_s,
                threshold: Threshold::Relative(0.1),
                acceleration: Some(Acceleration { rate_hz: acceleration_hz, values_g: &g }),
                plausible_microsiemens: -1.0..=high,
                ..Options::default()
            };
            let analysis = analyze(&values, rate_hz, &options);
            prop_assert!(analysis.scrs.len() <= values.len());
        }
    }
}
