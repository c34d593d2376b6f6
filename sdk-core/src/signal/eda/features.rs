//! Features of skin conductance, as the stream goes.

use super::{
    artefact::{LONGEST_BRIDGE_S, MOTION_HOLD_S, PLAUSIBLE_US, STEEPEST_US_PER_S, is_motion},
    phasic_window::{PhasicWindow, Point},
    trough_to_peak::Response,
};
use crate::{
    clock::Nanos,
    sensor::{Quality, Sample, Signal},
    signal::FeatureVector,
};
use protocol::{consent::Modality, feature::EDA_FEATURES};
use std::{collections::VecDeque, time::Duration};

/// At most one vector in this much stream time.
const LEAST_INTERVAL: Duration = Duration::from_millis(20);
/// Windows advance by points at least this far apart: every sample at 4 and 5 Hz, and not more
/// often from there to 1000 Hz. A response takes seconds, so that nothing is lost; a model sees
/// the same features whatever the device's rate, and they cost the same.
const LEAST_POINT_INTERVAL: Duration = Duration::from_millis(190);
/// Least prominence of a response, microsiemens (Boucsein 2012, section 2.3.1.2.3).
const LEAST_RESPONSE_US: f64 = 0.01;
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
/// Samples are averaged to points at least 190 ms apart, and the features are those of the newest
/// point. What is bad, steeper than skin, or measured within a second after strong acceleration
/// (where the device's [`Signal::Acceleration`] is pushed as well, in the order of the stream) is
/// left out; up to 2 s of it are bridged, after more the filters start afresh. The phasic part and
/// the responses of the last half minute are revised with every point, so that no feature waits
/// for the future; how well each agrees with hindsight is tested, at the delay that
/// [`protocol::feature::FEATURES`] states.
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
#[derive(Debug, Clone)]
pub struct EdaFeatures {
    last_stream_at: Option<Nanos>,
    /// Interval of the last contiguous pair, seconds: what a sample after a loss stands for.
    interval_s: f64,
    last_vector_at: Option<Nanos>,
    last_point_at: Option<Nanos>,
    /// Stream time of the last strong acceleration.
    last_motion_at: Option<Nanos>,
    gathering: Gathering,
    window: PhasicWindow,
    /// Time spent in a jump since the newest point of the window, seconds.
    jumping_s: f64,
    /// Responses that are older than the window or came before a gap, by peak.
    settled: VecDeque<Response>,
    /// `(time, seconds of good data)` of each point of the last minute, for the response rate.
    observed: VecDeque<(f64, f64)>,
    /// As of the newest point.
    values: [f64; EDA_FEATURES],
    /// Seconds of good data in the last [`COVERAGE_S`], as of the newest point.
    good_s: f64,
}

/// Good samples since the last point; their mean is the next one.
#[derive(Debug, Clone, Copy, Default)]
struct Gathering {
    sum_us: f64,
    count: u32,
    good_s: f64,
    off_body: bool,
}

impl Default for EdaFeatures {
    fn default() -> Self {
        Self::new()
    }
}

impl EdaFeatures {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            last_stream_at: None,
            interval_s: 0.0,
            last_vector_at: None,
            last_point_at: None,
            last_motion_at: None,
            gathering: Gathering { sum_us: 0.0, count: 0, good_s: 0.0, off_body: false },
            window: PhasicWindow::new(LEAST_RESPONSE_US),
            jumping_s: 0.0,
            settled: VecDeque::new(),
            observed: VecDeque::new(),
            values: [f64::NAN; EDA_FEATURES],
            good_s: 0.0,
        }
    }

    /// Takes the next sample; the features as of it, unless the last ones are less than 20 ms of
    /// stream time old. A stream that jumps back starts afresh. Acceleration marks motion and
    /// gives nothing; samples of another signal are ignored.
    pub fn push(&mut self, sample: &Sample) -> Option<FeatureVector> {
        match sample.signal {
            Signal::SkinConductance => {}
            Signal::Acceleration => {
                if is_motion(sample.value) {
                    self.last_motion_at = Some(sample.stream_at);
                }
                return None;
            }
            _ => return None,
        }
        if self.last_stream_at.is_some_and(|last| sample.stream_at < last) {
            *self = Self::default();
        }
        self.gather(sample);
        self.close_point(sample.stream_at);
        let due = |last: Nanos| sample.stream_at.since(last) >= LEAST_INTERVAL;
        if !self.last_vector_at.is_none_or(due) {
            return None;
        }
        self.last_vector_at = Some(sample.stream_at);
        Some(FeatureVector::new(
            Modality::Eda,
            sample.stream_at,
            sample.at,
            self.good_s / COVERAGE_S,
            self.values.to_vec(),
        ))
    }

    fn gather(&mut self, sample: &Sample) {
        if let Some(last) = self.last_stream_at
            && sample.contiguous
        {
            self.interval_s = sample.stream_at.since(last).as_secs_f64().min(LONGEST_BRIDGE_S);
        }
        self.last_stream_at = Some(sample.stream_at);
        let moved = self
            .last_motion_at
            .is_some_and(|at| sample.stream_at.since(at).as_secs_f64() < MOTION_HOLD_S);
        match sample.quality {
            Quality::Good if !moved && PLAUSIBLE_US.contains(&sample.value) => {
                self.gathering.sum_us += sample.value;
                self.gathering.count += 1;
                self.gathering.good_s += self.interval_s;
            }
            Quality::OffBody => self.gathering.off_body = true,
            _ => {}
        }
    }

    fn close_point(&mut self, now: Nanos) {
        let elapsed = self.last_point_at.map(|last| now.since(last));
        if elapsed.is_some_and(|elapsed| elapsed < LEAST_POINT_INTERVAL) {
            return;
        }
        self.last_point_at = Some(now);
        let (now_s, elapsed_s) = (now.as_secs_f64(), elapsed.unwrap_or_default().as_secs_f64());
        let gathered = std::mem::take(&mut self.gathering);
        if gathered.off_body {
            self.end_run();
        } else if gathered.count > 0 {
            self.add(
                now_s,
                elapsed_s,
                gathered.sum_us / f64::from(gathered.count),
                gathered.good_s,
            );
        }
        self.window.forget(now_s, |response| self.settled.push_back(response));
        while self.settled.front().is_some_and(|r| now_s - r.peak_at_s >= RESPONSES_S) {
            self.settled.pop_front();
        }
        while self.observed.front().is_some_and(|&(at_s, _)| now_s - at_s >= RESPONSES_S) {
            self.observed.pop_front();
        }
        self.good_s = self.within(now_s, COVERAGE_S).map(|p| p.good_s).sum();
        self.values = self.features(now_s);
    }

    fn add(&mut self, at_s: f64, elapsed_s: f64, level_us: f64, good_s: f64) {
        if let Some(before) = self.window.newest() {
            let since_s = at_s - before.at_s;
            let farthest_us = STEEPEST_US_PER_S * (since_s - self.jumping_s);
            if since_s > LONGEST_BRIDGE_S {
                self.end_run();
            } else if (level_us - before.level_us).abs() > farthest_us {
                self.jumping_s += elapsed_s;
                return;
            }
        }
        self.jumping_s = 0.0;
        self.window.push(at_s, level_us, good_s);
        self.observed.push_back((at_s, good_s));
    }

    fn end_run(&mut self) {
        self.jumping_s = 0.0;
        self.settled.extend(self.window.end_run());
    }

    /// Points of the last `window_s` seconds, newest first.
    fn within(&self, now_s: f64, window_s: f64) -> impl Iterator<Item = &Point> + Clone {
        self.window.points().iter().rev().take_while(move |p| now_s - p.at_s < window_s)
    }

    fn features(&self, now_s: f64) -> [f64; EDA_FEATURES] {
        let ten = self.within(now_s, 10.0);
        let thirty = self.window.points().iter();
        let responses = |window_s| {
            let all = self.settled.iter().chain(self.window.responses());
            all.filter(move |r| now_s - r.peak_at_s < window_s)
        };
        let amplitude = |window_s| responses(window_s).map(|r| r.amplitude_us).sum::<f64>();
        let count = responses(RESPONSES_S).count() as f64;
        let observed_s: f64 = self.observed.iter().map(|&(_, good_s)| good_s).sum();
        let rate_or_nan = |value: f64| if observed_s >= LEAST_RATE_S { value } else { f64::NAN };
        [
            mean_level(self.within(now_s, 5.0)),
            slope(ten.clone()),
            phasic_area(ten),
            phasic_deviation(thirty),
            if observed_s >= LEAST_SHAPE_S { amplitude(10.0) } else { f64::NAN },
            rate_or_nan(count * SECONDS_PER_MINUTE / observed_s),
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
#[path = "features_tests.rs"]
mod tests;
