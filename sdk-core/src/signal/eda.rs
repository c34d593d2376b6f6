//! Features of skin conductance.

use super::{
    butterworth::HighPass,
    scr::{Scr, ScrDetector},
    vector::FeatureVector,
};
use crate::{
    clock::Nanos,
    sensor::{Quality, Sample, Signal},
};
use protocol::{consent::Modality, feature::EDA_FEATURES};
use std::{collections::VecDeque, time::Duration};

/// At most one vector, and one point of every window, in this much stream time.
const LEAST_INTERVAL: Duration = Duration::from_millis(20);
/// A longer silence is a gap: what the filter and a rising response remember is void.
const LONGEST_INTERVAL_S: f64 = 1.0;
/// Levels a wearable on skin can give, microsiemens. Below: open electrodes (Empatica's E4 sends
/// 0 until it is worn). Above: short circuit; the highest level known of healthy skin is near 40
/// (Boucsein 2012, section 2.3).
const PLAUSIBLE_US: std::ops::RangeInclusive<f64> = 0.01..=60.0;
/// The longest window of points, seconds.
const POINTS_S: f64 = 30.0;
/// The window of responses, seconds.
const RESPONSES_S: f64 = 60.0;
/// Coverage is judged over this window, the length most features look at, seconds.
const COVERAGE_S: f64 = 10.0;
/// Least good data under a mean level, seconds.
const LEAST_LEVEL_S: f64 = 1.0;
/// Least good data under a slope, an area or a deviation, seconds: one response long.
const LEAST_SHAPE_S: f64 = 5.0;
/// Least good data under a rate of responses, seconds.
const LEAST_RATE_S: f64 = 10.0;
const SECONDS_PER_MINUTE: f64 = 60.0;

/// Turns samples of skin conductance, 4 to 1000 a second, into features.
///
/// # Examples
/// ```
/// use protocol::consent::Modality;
/// use sdk_core::{clock::Nanos, sensor::{Quality, Sample, Signal}, signal::EdaFeatures};
///
/// let mut features = EdaFeatures::new();
/// let at = Nanos::from_millis(250);
/// let vector = features.push(&Sample {
///     modality: Modality::Eda,
///     signal: Signal::SkinConductance,
///     stream_at: at,
///     at,
///     value: 2.4,
///     quality: Quality::Good,
///     contiguous: true,
/// });
/// assert!(vector.is_some());
/// ```
#[derive(Debug, Clone, Default)]
pub struct EdaFeatures {
    last_stream_at: Option<Nanos>,
    /// Interval of the last contiguous pair, seconds: what a sample after a loss stands for.
    interval_s: f64,
    last_vector_at: Option<Nanos>,
    gathering: Gathering,
    points: VecDeque<Point>,
    filter: Option<Filter>,
    detector: ScrDetector,
    responses: VecDeque<Scr>,
    /// `(time, seconds of good data)` of each point of the last minute, for the response rate.
    observed: VecDeque<(f64, f64)>,
    observed_s: f64,
}

/// Good samples since the last point; their mean is the next one.
#[derive(Debug, Clone, Copy, Default)]
struct Gathering {
    sum_us: f64,
    count: u32,
    good_s: f64,
    off_body: bool,
}

/// The filter and when it last stepped, seconds of the stream.
#[derive(Debug, Clone, Copy)]
struct Filter {
    high_pass: HighPass,
    at_s: f64,
}

/// The mean of some good samples.
#[derive(Debug, Clone, Copy)]
struct Point {
    at_s: f64,
    level_us: f64,
    phasic_us: f64,
    /// How much time it stands for.
    good_s: f64,
}

impl EdaFeatures {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next sample; the features as of it, unless the last ones are less than 20 ms of
    /// stream time old. A stream that jumps back starts afresh. Samples of another signal are
    /// ignored.
    pub fn push(&mut self, sample: &Sample) -> Option<FeatureVector> {
        if sample.signal != Signal::SkinConductance {
            return None;
        }
        if self.last_stream_at.is_some_and(|last| sample.stream_at < last) {
            *self = Self::default();
        }
        self.gather(sample);
        let due = |last: Nanos| sample.stream_at.since(last) >= LEAST_INTERVAL;
        if !self.last_vector_at.is_none_or(due) {
            return None;
        }
        self.last_vector_at = Some(sample.stream_at);
        let now_s = sample.stream_at.as_secs_f64();
        self.close_point(now_s);
        let good_s: f64 = self.within(now_s, COVERAGE_S).map(|p| p.good_s).sum();
        Some(FeatureVector::new(
            Modality::Eda,
            sample.stream_at,
            sample.at,
            good_s / COVERAGE_S,
            self.features(now_s).to_vec(),
        ))
    }

    fn gather(&mut self, sample: &Sample) {
        if let Some(last) = self.last_stream_at
            && sample.contiguous
        {
            self.interval_s = sample.stream_at.since(last).as_secs_f64().min(LONGEST_INTERVAL_S);
        }
        self.last_stream_at = Some(sample.stream_at);
        if sample.quality == Quality::Good && PLAUSIBLE_US.contains(&sample.value) {
            self.gathering.sum_us += sample.value;
            self.gathering.count += 1;
            self.gathering.good_s += self.interval_s;
        } else if sample.quality == Quality::OffBody {
            self.gathering.off_body = true;
        }
    }

    fn close_point(&mut self, now_s: f64) {
        let gathered = std::mem::take(&mut self.gathering);
        if gathered.off_body {
            self.filter = None;
            self.detector.reset();
        } else if gathered.count > 0 {
            self.add(now_s, gathered.sum_us / f64::from(gathered.count), gathered.good_s);
        }
        while self.points.front().is_some_and(|p| now_s - p.at_s >= POINTS_S) {
            self.points.pop_front();
        }
        while self.responses.front().is_some_and(|r| now_s - r.at_s >= RESPONSES_S) {
            self.responses.pop_front();
        }
        while self.observed.front().is_some_and(|&(at_s, _)| now_s - at_s >= RESPONSES_S) {
            self.observed.pop_front();
        }
        self.observed_s = self.observed.iter().map(|&(_, good_s)| good_s).sum();
    }

    fn add(&mut self, at_s: f64, level_us: f64, good_s: f64) {
        let resting = Filter { high_pass: HighPass::settled_at(level_us), at_s };
        let filter = self.filter.get_or_insert(resting);
        let dt_s = at_s - filter.at_s;
        if dt_s > LONGEST_INTERVAL_S {
            *filter = resting;
            self.detector.reset();
        }
        let phasic_us = filter.high_pass.step(level_us, at_s - filter.at_s);
        filter.at_s = at_s;
        self.responses.extend(self.detector.push(at_s, level_us));
        self.points.push_back(Point { at_s, level_us, phasic_us, good_s });
        self.observed.push_back((at_s, good_s));
    }

    /// Points of the last `window_s` seconds, newest first.
    fn within(&self, now_s: f64, window_s: f64) -> impl Iterator<Item = &Point> + Clone {
        self.points.iter().rev().take_while(move |p| now_s - p.at_s < window_s)
    }

    fn features(&self, now_s: f64) -> [f64; EDA_FEATURES] {
        let ten = self.within(now_s, 10.0);
        let responses =
            |window_s| self.responses.iter().rev().take_while(move |r| now_s - r.at_s < window_s);
        let amplitude = |window_s| responses(window_s).map(|r| r.amplitude_us).sum::<f64>();
        let count = responses(RESPONSES_S).count() as f64;
        let enough_for_rate = self.observed_s >= LEAST_RATE_S;
        let rate_or_nan = |value: f64| if enough_for_rate { value } else { f64::NAN };
        [
            mean_level(self.within(now_s, 5.0)),
            slope(ten.clone()),
            phasic_area(ten),
            phasic_deviation(self.within(now_s, POINTS_S)),
            if self.observed_s >= LEAST_SHAPE_S { amplitude(10.0) } else { f64::NAN },
            rate_or_nan(count * SECONDS_PER_MINUTE / self.observed_s),
            rate_or_nan(amplitude(RESPONSES_S) / count.max(1.0)),
        ]
    }
}

fn good_seconds<'a>(points: impl Iterator<Item = &'a Point>) -> f64 {
    points.map(|p| p.good_s).sum()
}

fn mean_level<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> f64 {
    if good_seconds(points.clone()) < LEAST_LEVEL_S {
        return f64::NAN;
    }
    points.clone().map(|p| p.level_us).sum::<f64>() / points.count() as f64
}

/// Least-squares slope, microsiemens a second.
fn slope<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> f64 {
    if good_seconds(points.clone()) < LEAST_SHAPE_S {
        return f64::NAN;
    }
    let n = points.clone().count() as f64;
    let mean_t = points.clone().map(|p| p.at_s).sum::<f64>() / n;
    let mean_x = points.clone().map(|p| p.level_us).sum::<f64>() / n;
    let (mut txs, mut tts) = (0.0, 0.0);
    for p in points {
        txs += (p.at_s - mean_t) * (p.level_us - mean_x);
        tts += (p.at_s - mean_t).powi(2);
    }
    if tts > 0.0 { txs / tts } else { f64::NAN }
}

/// Area of the positive phasic part over the window; where some of the window is missing, what
/// there is stands for the rest.
fn phasic_area<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> f64 {
    let good_s = good_seconds(points.clone());
    if good_s < LEAST_SHAPE_S {
        return f64::NAN;
    }
    let area: f64 = points.map(|p| p.phasic_us.max(0.0) * p.good_s).sum();
    area * COVERAGE_S / good_s
}

fn phasic_deviation<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> f64 {
    let n = points.clone().count() as f64;
    if good_seconds(points.clone()) < LEAST_SHAPE_S || n < 2.0 {
        return f64::NAN;
    }
    let mean = points.clone().map(|p| p.phasic_us).sum::<f64>() / n;
    let squares: f64 = points.map(|p| (p.phasic_us - mean).powi(2)).sum();
    (squares / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests;
