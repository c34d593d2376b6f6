//! From samples to beats, whatever the signal.

use super::{
    Beat, BeatError,
    history::{History, Recent},
    picker::{Picker, Rules},
    rise::{Rise, Rises},
    shape::{Shape, Shapes},
};
use std::ops::RangeInclusive;

/// Missing samples are bridged with the last value for this long, seconds; a longer gap is a break.
pub(crate) const BRIDGE_S: f64 = 0.1;
/// Samples kept, seconds: the first seconds learned from, and a long interval before them.
const HISTORY_S: f64 = 8.0;
/// Larger values are no measurement, and their squares would overflow.
pub(crate) const LARGEST: f64 = 1e12;
/// A rise below this share of the value is rounding, not signal (24 bits resolve 6e-8).
const PRECISION: f64 = 1e-9;
/// Intervals of a beating heart, seconds: 240 to 24 beats a minute.
const INTERVALS_S: RangeInclusive<f64> = 0.25..=2.5;

/// What is particular to a signal.
pub(crate) trait Wave: Sized {
    /// The signal, as people call it.
    const NAME: &'static str;
    /// The sampling rates that hold its shape, Hz.
    const RATES_HZ: RangeInclusive<f64>;
    /// How beats are picked.
    const RULES: Rules;
    /// How many shapes a healthy recording may have.
    const SHAPES: usize;
    /// Beats correlated so much are alike (Orphanidou et al. 2015).
    const ALIKE: f64;
    /// The quality an interval needs to be good.
    const GOOD: f64;
    /// An interval off the median of the last ones by more than this factor is a leap.
    const INTERVAL_LEAP: f64;
    /// A rise off the median of the last ones by more than this factor is a leap.
    const HEIGHT_LEAP: f64;

    /// Filters for a rate within [`Self::RATES_HZ`].
    fn new(rate_hz: f64) -> Option<Self>;
    /// The next value of the wave whose rises are beats.
    fn step(&mut self, value: f64) -> f64;
    /// As if `value` had been there for ever.
    fn settle(&mut self, value: f64);
    /// The band the wave is made from, without phase: what a plot shows.
    fn filtered(values: &[f64], rate_hz: f64) -> Option<Vec<f64>>;
    /// Where the beat of a rise, and its highest point, are in the unfiltered samples.
    fn locate(&mut self, raw: &History, rise: Rise) -> Place;
    /// The shape to compare; `None` while there is none.
    fn shape(&self, raw: &History, before: Option<f64>, at: f64) -> Option<Shape>;
}

/// Numbers of samples, with a fraction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) at: f64,
    pub(crate) peak: f64,
}

/// The streaming detector of a signal.
#[derive(Debug, Clone)]
pub(crate) struct Detector<W> {
    wave: W,
    rate_hz: f64,
    raw: History,
    rises: Rises,
    picker: Picker,
    shapes: Shapes,
    intervals: Recent,
    heights: Recent,
    /// Where the last beat of this unbroken run was.
    before: Option<f64>,
    /// The last value taken; `None` until the filters have one to start from.
    held: Option<f64>,
    /// Samples missing in a row.
    missing: usize,
    /// Number of the last sample that was missing or saturated.
    poor: Option<usize>,
    picked: Vec<Rise>,
}

impl<W: Wave> Detector<W> {
    pub(crate) fn new(rate_hz: f64) -> Result<Self, BeatError> {
        let (least_hz, most_hz) = (*W::RATES_HZ.start(), *W::RATES_HZ.end());
        let refused = BeatError::Rate { rate_hz, signal: W::NAME, least_hz, most_hz };
        if !W::RATES_HZ.contains(&rate_hz) {
            return Err(refused);
        }
        Ok(Self {
            wave: W::new(rate_hz).ok_or(refused)?,
            rate_hz,
            raw: History::new((HISTORY_S * rate_hz) as usize),
            rises: Rises::default(),
            picker: Picker::new(rate_hz, W::RULES),
            shapes: Shapes::new(W::SHAPES, W::ALIKE),
            intervals: Recent::default(),
            heights: Recent::default(),
            before: None,
            held: None,
            missing: 0,
            poor: None,
            picked: Vec::new(),
        })
    }

    pub(crate) fn rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// Takes the next sample; NaN is a missing one. The beats now known, oldest first.
    pub(crate) fn push(&mut self, value: f64) -> Vec<Beat> {
        let number = self.raw.next();
        let mut beats = Vec::new();
        if value.abs() <= LARGEST {
            self.missing = 0;
            if self.held.is_none() {
                self.wave.settle(value);
                self.rises = Rises::default();
            }
            self.held = Some(value);
        } else {
            self.distrust();
            self.missing += 1;
            if self.missing as f64 > BRIDGE_S * self.rate_hz {
                beats = self.interrupt();
            }
        }
        self.raw.push(self.held.unwrap_or_default());
        if let Some(held) = self.held {
            let rise = self.rises.push(number, self.wave.step(held));
            let rise = rise.filter(|r| r.height > PRECISION * held.abs());
            self.picker.step(number, rise, &mut self.picked);
            beats.extend(self.describe());
        }
        beats
    }

    /// What comes next does not follow. The beats that were held back.
    pub(crate) fn interrupt(&mut self) -> Vec<Beat> {
        if self.held.take().is_none() {
            return Vec::new();
        }
        self.picker.finish(self.raw.next(), &mut self.picked);
        let beats = self.describe();
        self.before = None;
        beats
    }

    /// The next sample is none to measure an interval from.
    pub(crate) fn distrust(&mut self) {
        self.poor = Some(self.raw.next());
    }

    fn describe(&mut self) -> Vec<Beat> {
        let picked = std::mem::take(&mut self.picked);
        let beats = picked.iter().filter_map(|&rise| self.beat(rise)).collect();
        self.picked = picked;
        self.picked.clear();
        beats
    }

    fn beat(&mut self, rise: Rise) -> Option<Beat> {
        let Place { at, peak } = self.wave.locate(&self.raw, rise);
        let least = INTERVALS_S.start() * self.rate_hz;
        if self.before.is_some_and(|before| at < before + least) {
            // Two rises of one wave.
            return None;
        }
        let before = self.before.replace(at);
        let quality = self.quality(rise, before, at);
        let follows = before.is_some();
        let length_s = (at - before.unwrap_or_default()) / self.rate_hz;
        Some(Beat {
            at_s: at / self.rate_hz,
            peak_s: peak / self.rate_hz,
            quality,
            good: follows && quality >= W::GOOD && INTERVALS_S.contains(&length_s),
            follows,
        })
    }

    fn quality(&mut self, rise: Rise, before: Option<f64>, at: f64) -> f64 {
        let height_leaps = leaps(rise.height, &self.heights, W::HEIGHT_LEAP);
        self.heights.push(rise.height);
        let Some(shape) = self.wave.shape(&self.raw, before, at) else {
            return 0.0;
        };
        let interval_leaps = before.is_some_and(|before| {
            let leaps = leaps(at - before, &self.intervals, W::INTERVAL_LEAP);
            self.intervals.push(at - before);
            leaps
        });
        let plausible = !height_leaps && !interval_leaps;
        let likeness = self.shapes.judge(&shape, plausible);
        let poor = before.zip(self.poor).is_some_and(|(before, poor)| poor as f64 >= before - 1.0);
        match before {
            None => 0.0,
            Some(_) if poor => 0.0,
            Some(_) if plausible => likeness,
            Some(_) => likeness / 2.0,
        }
    }
}

/// Whether a value is off the usual by more than a factor, either way.
fn leaps(value: f64, recent: &Recent, factor: f64) -> bool {
    recent.median().is_some_and(|usual| value > factor * usual || value * factor < usual)
}
