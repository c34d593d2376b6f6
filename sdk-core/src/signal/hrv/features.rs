//! Features of heart-rate variability.

use super::coherence::{LEAST_SPECTRUM_S, coherence_ratio};
use crate::{
    clock::Nanos,
    sensor::{Quality, Sample, Signal},
    signal::FeatureVector,
};
use protocol::{consent::Modality, feature::HRV_FEATURES};
use std::{collections::VecDeque, ops::RangeInclusive, time::Duration};

/// RR intervals of a beating heart, ms: 220 to 30 beats a minute.
const PLAUSIBLE_MS: RangeInclusive<f64> = 270.0..=2_000.0;
/// A beat further than this share from the median of its neighbours is ectopic or a misdetection.
const GATE_SHARE: f64 = 0.25;
/// How many accepted beats that median is taken over.
const GATE_BEATS: usize = 9;
/// After so many rejects in a row it was the gate that was wrong: heart rate has moved.
const GATE_REJECTS: usize = 6;
/// A jump of the stream's time beyond this leaves nothing worth keeping.
const LONGEST_BREAK: Duration = Duration::from_secs(60);
/// The longest window, seconds of beats.
const BEATS_S: f64 = 64.0;
/// Coverage is judged over this window, seconds.
const COVERAGE_S: f64 = 30.0;
/// Least beats under a mean heart rate.
const LEAST_RATE_BEATS: usize = 3;
/// Least beats, or differences, under a measure of variability.
const LEAST_VARIABILITY_BEATS: usize = 10;
/// The 50 of pNN50, ms.
const NN50_MS: f64 = 50.0;
const MS_PER_SECOND: f64 = 1e3;
const MS_PER_MINUTE: f64 = 60e3;

/// Turns RR intervals into features.
///
/// Windows are in beat time, the sum of accepted intervals, as a strap that lost contact does not
/// say for how long. Definitions: Task Force 1996 (*Circulation* 93:1043), with the denominators
/// named in [`protocol::feature::FEATURES`].
#[derive(Debug, Clone, Default)]
pub struct HrvFeatures {
    last_stream_at: Option<Nanos>,
    /// Accepted beats of the last [`BEATS_S`], oldest first.
    beats: VecDeque<Beat>,
    /// Everything received in the last [`COVERAGE_S`]: `(seconds, accepted)`.
    received: VecDeque<(f64, bool)>,
    received_s: f64,
    gate: Gate,
    /// Whether the next accepted beat follows the newest accepted one directly.
    unbroken: bool,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    nn_ms: f64,
    /// Whether the beat before it in the window is its neighbour in the heart as well.
    contiguous: bool,
}

/// Accepts beats that are like those before.
#[derive(Debug, Clone, Default)]
struct Gate {
    accepted: VecDeque<f64>,
    rejects: usize,
}

impl Gate {
    fn accepts(&mut self, rr_ms: f64) -> bool {
        if self.rejects >= GATE_REJECTS {
            self.accepted.clear();
        }
        let likely = median(&self.accepted)
            .is_none_or(|median_ms| (rr_ms - median_ms).abs() <= GATE_SHARE * median_ms);
        if likely {
            self.rejects = 0;
            if self.accepted.len() == GATE_BEATS {
                self.accepted.pop_front();
            }
            self.accepted.push_back(rr_ms);
        } else {
            self.rejects += 1;
        }
        likely
    }
}

fn median(values: &VecDeque<f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

impl HrvFeatures {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next RR interval, ms; the features as of it. A rejected interval gives features
    /// too, with less coverage. A stream that jumps back, or ahead by more than a minute, starts
    /// afresh. Samples of another signal are ignored.
    pub fn push(&mut self, sample: &Sample) -> Option<FeatureVector> {
        if sample.signal != Signal::RrInterval {
            return None;
        }
        if self.last_stream_at.is_some_and(|last| {
            sample.stream_at < last || sample.stream_at.since(last) > LONGEST_BREAK
        }) {
            *self = Self::default();
        }
        self.last_stream_at = Some(sample.stream_at);
        self.take(sample);
        let good_s: f64 = self.received.iter().filter(|r| r.1).map(|r| r.0).sum();
        Some(FeatureVector::new(
            Modality::Hrv,
            sample.stream_at,
            sample.at,
            good_s / COVERAGE_S,
            self.features().to_vec(),
        ))
    }

    fn take(&mut self, sample: &Sample) {
        let plausible = sample.quality == Quality::Good && PLAUSIBLE_MS.contains(&sample.value);
        let accepted = plausible && self.gate.accepts(sample.value);
        let usual_s = self.beats.back().map_or(1.0, |b| b.nn_ms / MS_PER_SECOND);
        if !sample.contiguous && !self.beats.is_empty() {
            // How much was lost is not known on this timeline: one beat is the least.
            self.receive(usual_s, false);
        }
        let length_s = if plausible { sample.value / MS_PER_SECOND } else { usual_s };
        self.receive(length_s, accepted);
        if accepted {
            let contiguous = self.unbroken && sample.contiguous;
            self.beats.push_back(Beat { nn_ms: sample.value, contiguous });
            self.forget_old_beats();
        }
        self.unbroken = accepted;
    }

    fn receive(&mut self, length_s: f64, accepted: bool) {
        self.received.push_back((length_s, accepted));
        self.received_s += length_s;
        while self.received_s > COVERAGE_S
            && let Some((oldest_s, _)) = self.received.pop_front()
        {
            self.received_s -= oldest_s;
        }
    }

    fn forget_old_beats(&mut self) {
        let mut total_s: f64 = self.beats.iter().map(|b| b.nn_ms / MS_PER_SECOND).sum();
        while total_s > BEATS_S
            && let Some(oldest) = self.beats.pop_front()
        {
            total_s -= oldest.nn_ms / MS_PER_SECOND;
        }
    }

    /// The newest beats that together last at most `window_s` seconds, oldest first.
    fn last(&self, window_s: f64) -> impl ExactSizeIterator<Item = &Beat> + Clone {
        let mut left_ms = window_s * MS_PER_SECOND;
        let fits = |beat: &&Beat| {
            left_ms -= beat.nn_ms;
            left_ms >= 0.0
        };
        let count = self.beats.iter().rev().take_while(fits).count();
        self.beats.range(self.beats.len() - count..)
    }

    fn features(&self) -> [f64; HRV_FEATURES] {
        let five = heart_rate(self.last(5.0));
        let thirty = heart_rate(self.last(30.0));
        let differences = differences_ms(self.last(30.0));
        [
            heart_rate(self.last(10.0)),
            if self.last(30.0).len() >= LEAST_VARIABILITY_BEATS { five - thirty } else { f64::NAN },
            rmssd(&differences),
            sdnn(self.last(30.0)),
            pnn50(&differences),
            self.coherence(),
        ]
    }

    fn coherence(&self) -> f64 {
        let nn_ms: Vec<f64> = self.beats.iter().map(|b| b.nn_ms).collect();
        if nn_ms.iter().sum::<f64>() < LEAST_SPECTRUM_S * MS_PER_SECOND {
            return f64::NAN;
        }
        coherence_ratio(&nn_ms)
    }
}

/// Beats a minute: the reciprocal of the mean interval.
fn heart_rate<'a>(beats: impl ExactSizeIterator<Item = &'a Beat>) -> f64 {
    let n = beats.len();
    if n < LEAST_RATE_BEATS {
        return f64::NAN;
    }
    MS_PER_MINUTE * n as f64 / beats.map(|b| b.nn_ms).sum::<f64>()
}

/// Differences of neighbours in the heart. The first beat's neighbour lies outside the window.
fn differences_ms<'a>(beats: impl Iterator<Item = &'a Beat> + Clone) -> Vec<f64> {
    let next = beats.clone().skip(1);
    beats.zip(next).filter(|(_, b)| b.contiguous).map(|(a, b)| b.nn_ms - a.nn_ms).collect()
}

fn rmssd(differences_ms: &[f64]) -> f64 {
    if differences_ms.len() < LEAST_VARIABILITY_BEATS {
        return f64::NAN;
    }
    let squares: f64 = differences_ms.iter().map(|d| d * d).sum();
    (squares / differences_ms.len() as f64).sqrt()
}

fn pnn50(differences_ms: &[f64]) -> f64 {
    if differences_ms.len() < LEAST_VARIABILITY_BEATS {
        return f64::NAN;
    }
    let far = differences_ms.iter().filter(|d| d.abs() > NN50_MS).count();
    100.0 * far as f64 / differences_ms.len() as f64
}

fn sdnn<'a>(beats: impl ExactSizeIterator<Item = &'a Beat> + Clone) -> f64 {
    let n = beats.len();
    if n < LEAST_VARIABILITY_BEATS {
        return f64::NAN;
    }
    let mean = beats.clone().map(|b| b.nn_ms).sum::<f64>() / n as f64;
    let squares: f64 = beats.map(|b| (b.nn_ms - mean).powi(2)).sum();
    (squares / (n as f64 - 1.0)).sqrt()
}

#[cfg(test)]
mod tests;
