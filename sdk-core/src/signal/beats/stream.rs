//! From samples of a PPG or an ECG to samples of RR intervals.

use super::{
    Beat,
    detector::{BRIDGE_S, Detector},
};
use crate::{
    clock::Nanos,
    sensor::{Quality, Sample, Signal},
    signal::{ecg::EcgBeats, ppg::PpgBeats},
};
use protocol::consent::Modality;
use std::collections::VecDeque;

/// The sampling rate is learned from so many intervals: half a second of most sensors.
const LEARNED_FROM: usize = 32;
/// Intervals further from their median than this share are gaps or jitter, not the rate.
const REGULAR: f64 = 0.5;
/// After so many intervals in a row off the rate by more than [`OFF_RATE`], it has changed.
const OFF_RATE_IN_A_ROW: usize = 32;
/// Share of an interval.
const OFF_RATE: f64 = 0.2;
/// Times kept, seconds: as long as a beat can be held back.
const TIMES_S: f64 = 8.0;
const NANOS_PER_MS: f64 = 1e6;

/// Turns samples of [`Signal::Ppg`] or [`Signal::Ecg`] into samples of [`Signal::RrInterval`], one
/// a beat that has one before it.
///
/// A sample's `stream_at` is the beat's time on the stream's own timeline and `at` its session
/// time, both interpolated between the samples around it. An interval over missing, saturated or
/// noisy signal is an [`Quality::Artefact`]. `contiguous` says that the interval before it ended
/// where this one begins, and was good. It is a function of the samples alone.
///
/// From beat to sample: 0.09 s (median) after an ECG's R peak, 0.24 s after a PPG's pulse foot (the
/// systolic peak must have passed), measured in `tests/beats_reference.rs`; up to 3 s for the
/// first beats of a stream, and one and a half intervals for a weak beat found when overdue.
///
/// # Examples
/// ```
/// use protocol::consent::Modality;
/// use sdk_core::{clock::Nanos, sensor::{Quality, Sample, Signal}, signal::BeatStream};
///
/// let mut beats = BeatStream::new(Signal::Ppg);
/// let rr: Vec<Sample> = (0..64 * 20).flat_map(|i| {
///     let at = Nanos(i * 15_625_000);
///     beats.push(&Sample {
///         modality: Modality::Hrv,
///         signal: Signal::Ppg,
///         stream_at: at,
///         at,
///         value: (at.as_secs_f64() / 0.8 * std::f64::consts::TAU).sin(),
///         quality: Quality::Good,
///         contiguous: i > 0,
///     })
/// }).collect();
/// assert!(rr.len() >= 20 && (rr[9].value - 800.0).abs() < 2.0);
/// ```
#[derive(Debug, Clone)]
pub struct BeatStream {
    signal: Signal,
    /// The last sample taken, whatever its quality.
    last: Option<Nanos>,
    state: State,
    /// The last beat's time on the stream's timeline, nanoseconds.
    beat_at_ns: Option<f64>,
    /// The last interval given was good, and ended at that beat.
    good: bool,
}

#[derive(Debug, Clone)]
enum State {
    /// Gathers samples until their rate is known.
    Learning(Vec<Sample>),
    Running(Box<Running>),
    /// The signal is none that beats are found in.
    Deaf,
}

#[derive(Debug, Clone)]
struct Running {
    detector: AnyDetector,
    interval_ns: f64,
    off_rate: usize,
    times: Times,
}

#[derive(Debug, Clone)]
enum AnyDetector {
    Ppg(Detector<crate::signal::ppg::Pulse>),
    Ecg(Detector<crate::signal::ecg::Complex>),
}

/// `(stream, session)` time of the last samples, by number.
#[derive(Debug, Clone)]
struct Times {
    first: usize,
    most: usize,
    times: VecDeque<(Nanos, Nanos)>,
}

impl BeatStream {
    /// For a stream of [`Signal::Ppg`] or [`Signal::Ecg`]; of another there are no beats. The
    /// sampling rate, 20 to 1000 Hz (ECG from 80 Hz), is learned from the samples' times.
    #[must_use]
    pub fn new(signal: Signal) -> Self {
        let state = match signal {
            Signal::Ppg | Signal::Ecg => State::Learning(Vec::new()),
            Signal::SkinConductance | Signal::RrInterval | Signal::Acceleration => State::Deaf,
        };
        Self { signal, last: None, state, beat_at_ns: None, good: false }
    }

    /// Takes the next sample; gives the intervals now known, oldest first: mostly none. A stream
    /// that jumps back starts afresh, a sample of the same time as the last is a duplicate, and
    /// samples of other signals are ignored.
    pub fn push(&mut self, sample: &Sample) -> Vec<Sample> {
        if sample.signal != self.signal {
            return Vec::new();
        }
        match self.last {
            Some(last) if sample.stream_at == last => return Vec::new(),
            Some(last) if sample.stream_at < last => *self = Self::new(self.signal),
            _ => {}
        }
        let before = self.last.replace(sample.stream_at);
        match &mut self.state {
            State::Deaf => Vec::new(),
            State::Learning(gathered) => {
                if !sample.contiguous {
                    gathered.clear();
                }
                gathered.push(*sample);
                if gathered.len() > LEARNED_FROM { self.start() } else { Vec::new() }
            }
            State::Running(running) => {
                let beats = running.take(before, sample);
                let rr = self.intervals(&beats);
                self.relearn_if_the_rate_changed();
                rr
            }
        }
    }

    /// The rate of the samples gathered, and the beats among them.
    fn start(&mut self) -> Vec<Sample> {
        let State::Learning(gathered) = &mut self.state else { return Vec::new() };
        let gathered = std::mem::take(gathered);
        let Some(mut running) = Running::new(self.signal, mean_interval_ns(&gathered)) else {
            return Vec::new();
        };
        let mut before = None;
        let mut beats = Vec::new();
        for sample in &gathered {
            beats.extend(running.take(before, sample));
            before = Some(sample.stream_at);
        }
        self.state = State::Running(Box::new(running));
        self.intervals(&beats)
    }

    fn relearn_if_the_rate_changed(&mut self) {
        if let State::Running(running) = &self.state
            && running.off_rate >= OFF_RATE_IN_A_ROW
        {
            *self = Self { last: self.last, ..Self::new(self.signal) };
        }
    }

    fn intervals(&mut self, beats: &[Beat]) -> Vec<Sample> {
        let State::Running(running) = &self.state else { return Vec::new() };
        let mut intervals = Vec::new();
        for beat in beats {
            let (at_ns, at) = running.times.at(beat.at_s * running.detector.rate_hz());
            let before = self.beat_at_ns.replace(at_ns).filter(|_| beat.follows);
            let Some(before_ns) = before.filter(|before_ns| *before_ns < at_ns) else {
                self.good = false;
                continue;
            };
            let contiguous = self.good;
            self.good = beat.good;
            intervals.push(Sample {
                modality: Modality::Hrv,
                signal: Signal::RrInterval,
                stream_at: Nanos(at_ns.round() as u64),
                at,
                value: (at_ns - before_ns) / NANOS_PER_MS,
                quality: if beat.good { Quality::Good } else { Quality::Artefact },
                contiguous,
            });
        }
        intervals
    }
}

impl Running {
    fn new(signal: Signal, interval_ns: f64) -> Option<Self> {
        let rate_hz = 1e9 / interval_ns;
        let detector = match signal {
            Signal::Ppg => AnyDetector::Ppg(PpgBeats::new(rate_hz).ok()?.into_detector()),
            Signal::Ecg => AnyDetector::Ecg(EcgBeats::new(rate_hz).ok()?.into_detector()),
            Signal::SkinConductance | Signal::RrInterval | Signal::Acceleration => return None,
        };
        let most = (TIMES_S * rate_hz) as usize;
        let times = Times { first: 0, most, times: VecDeque::with_capacity(most) };
        Some(Self { detector, interval_ns, off_rate: 0, times })
    }

    fn take(&mut self, before: Option<Nanos>, sample: &Sample) -> Vec<Beat> {
        let mut beats = Vec::new();
        let elapsed_ns =
            before.map_or(self.interval_ns, |b| sample.stream_at.since(b).as_nanos() as f64);
        let intervals = elapsed_ns / self.interval_ns;
        let off = (intervals - 1.0).abs() > OFF_RATE;
        self.off_rate = if off { self.off_rate + 1 } else { 0 };
        if !sample.contiguous || elapsed_ns > BRIDGE_S * 1e9 {
            beats.extend(self.detector.interrupt());
        } else if let Some(&(stream, session)) = self.times.times.back() {
            // A short gap: the missing samples are samples too, spread evenly over it.
            let missing = (intervals.round() as usize).saturating_sub(1);
            for k in 1..=missing {
                let share = k as f64 / (missing + 1) as f64;
                let stream = between(stream, sample.stream_at, share);
                self.times.push(stream, between(session, sample.at, share));
                beats.extend(self.detector.push(f64::NAN));
            }
        }
        self.times.push(sample.stream_at, sample.at);
        match sample.quality {
            Quality::Good => {}
            Quality::Saturated => self.detector.distrust(),
            Quality::OffBody => beats.extend(self.detector.interrupt()),
            Quality::Missing | Quality::Artefact => {}
        }
        let measured = matches!(sample.quality, Quality::Good | Quality::Saturated);
        beats.extend(self.detector.push(if measured { sample.value } else { f64::NAN }));
        beats
    }
}

impl AnyDetector {
    fn push(&mut self, value: f64) -> Vec<Beat> {
        match self {
            Self::Ppg(detector) => detector.push(value),
            Self::Ecg(detector) => detector.push(value),
        }
    }

    fn interrupt(&mut self) -> Vec<Beat> {
        match self {
            Self::Ppg(detector) => detector.interrupt(),
            Self::Ecg(detector) => detector.interrupt(),
        }
    }

    fn distrust(&mut self) {
        match self {
            Self::Ppg(detector) => detector.distrust(),
            Self::Ecg(detector) => detector.distrust(),
        }
    }

    fn rate_hz(&self) -> f64 {
        match self {
            Self::Ppg(detector) => detector.rate_hz(),
            Self::Ecg(detector) => detector.rate_hz(),
        }
    }
}

impl Times {
    fn push(&mut self, stream: Nanos, session: Nanos) {
        if self.times.len() >= self.most {
            self.times.pop_front();
            self.first += 1;
        }
        self.times.push_back((stream, session));
    }

    /// Stream time in nanoseconds and session time of a sample number with a fraction.
    fn at(&self, number: f64) -> (f64, Nanos) {
        let place = (number - self.first as f64).max(0.0);
        let last = self.times.len().saturating_sub(1);
        let below = (place as usize).min(last);
        let pair = |i: usize| self.times.get(i).copied().unwrap_or_default();
        let ((stream, session), (next_stream, next_session)) =
            (pair(below), pair((below + 1).min(last)));
        let share = (place - below as f64).clamp(0.0, 1.0);
        let elapsed_ns = next_stream.since(stream).as_nanos() as f64;
        (stream.0 as f64 + share * elapsed_ns, between(session, next_session, share))
    }
}

/// The moment a share of the way from one to another; the first if time runs backwards.
fn between(from: Nanos, to: Nanos, share: f64) -> Nanos {
    from + to.since(from).mul_f64(share)
}

/// Mean interval of samples, nanoseconds, gaps left out.
fn mean_interval_ns(samples: &[Sample]) -> f64 {
    let mut intervals: Vec<f64> = samples
        .windows(2)
        .map(|pair| pair[1].stream_at.since(pair[0].stream_at).as_nanos() as f64)
        .collect();
    intervals.sort_by(f64::total_cmp);
    let median = intervals.get(intervals.len() / 2).copied().unwrap_or_default();
    let regular = |interval: &&f64| (**interval - median).abs() <= REGULAR * median;
    let (count, sum) =
        intervals.iter().filter(regular).fold((0.0, 0.0), |(n, sum), x| (n + 1.0, sum + x));
    sum / count
}

#[cfg(test)]
mod tests;
