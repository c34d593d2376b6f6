//! What a recording of beats is worth as a whole.

use super::{
    Beat,
    detector::{LARGEST, Wave},
};

/// Less good intervals say nothing about a heart.
const LEAST_INTERVALS: usize = 10;
/// Less good time than this share of the recording, and what is left is chance.
const LEAST_SHARE: f64 = 0.5;
const MS_PER_S: f64 = 1e3;
const S_PER_MINUTE: f64 = 60.0;

/// One interval between neighbouring beats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RrInterval {
    /// The beat it ends with, seconds since the first sample.
    pub at_s: f64,
    /// Its length, milliseconds.
    pub ms: f64,
    /// Whether what lies between the two beats looks like one heartbeat.
    pub good: bool,
}

/// Why no heart rate is given.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// Too short, or no beats in it.
    #[error(
        "{good} good intervals, at least {LEAST_INTERVALS} are needed: record longer, check \
             the sensor's seat"
    )]
    TooFew {
        /// How many there are.
        good: usize,
    },
    /// Noise, movement or a loose sensor for most of the time.
    #[error("only {percent:.0} % of the recording holds clear beats, at least {least:.0} % are \
             needed: keep still, check the sensor's seat", least = 100.0 * LEAST_SHARE)]
    Noisy {
        /// The share of good time.
        percent: f64,
    },
}

/// Beats of a recording and what they say; from [`crate::signal::ppg::analyze`] and
/// [`crate::signal::ecg::analyze`].
#[derive(Debug, Clone, PartialEq)]
pub struct BeatAnalysis {
    /// Every beat, oldest first.
    pub beats: Vec<Beat>,
    /// Every interval, good or not, oldest first.
    pub rr: Vec<RrInterval>,
    /// Length of the recording, seconds.
    pub duration_s: f64,
    /// Share of the recording under good intervals, 0..=1.
    pub good_share: f64,
    /// Mean heart rate over the good intervals, beats a minute; NaN without one.
    pub heart_rate_bpm: f64,
    /// Why the recording is not good for a heart rate or its variability; `None` if it is.
    pub unusable: Option<Unusable>,
    /// The recording in the band beats are looked for in, without phase, a value a sample: for a
    /// plot, with the beats as marks. Missing samples hold the value before them.
    pub filtered: Vec<f64>,
}

impl BeatAnalysis {
    pub(crate) fn new<W: Wave>(beats: Vec<Beat>, values: &[f64], rate_hz: f64) -> Self {
        let rr: Vec<RrInterval> = beats
            .windows(2)
            .filter(|pair| pair[1].follows)
            .map(|pair| RrInterval {
                at_s: pair[1].at_s,
                ms: (pair[1].at_s - pair[0].at_s) * MS_PER_S,
                good: pair[1].good,
            })
            .collect();
        let duration_s = values.len() as f64 / rate_hz;
        let good = rr.iter().filter(|rr| rr.good).count();
        let good_s = rr.iter().filter(|rr| rr.good).map(|rr| rr.ms).sum::<f64>() / MS_PER_S;
        let good_share = if duration_s > 0.0 { (good_s / duration_s).min(1.0) } else { 0.0 };
        let unusable = if good < LEAST_INTERVALS {
            Some(Unusable::TooFew { good })
        } else if good_share < LEAST_SHARE {
            Some(Unusable::Noisy { percent: 100.0 * good_share })
        } else {
            None
        };
        Self {
            heart_rate_bpm: S_PER_MINUTE * good as f64 / good_s,
            filtered: W::filtered(&bridged(values), rate_hz).unwrap_or_default(),
            beats,
            rr,
            duration_s,
            good_share,
            unusable,
        }
    }
}

/// What is no measurement replaced by the value before it, or by the first there is.
fn bridged(values: &[f64]) -> Vec<f64> {
    let measured = |x: &f64| x.abs() <= LARGEST;
    let mut held = values.iter().copied().find(measured).unwrap_or_default();
    values
        .iter()
        .map(|&x| {
            held = if measured(&x) { x } else { held };
            held
        })
        .collect()
}
