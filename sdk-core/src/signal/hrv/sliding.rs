//! The time domain of the latest beats, kept up beat by beat.
//!
//! Sums of floats that are added to and subtracted from drift. These are sums of integers: of
//! intervals in units of 2^-38 ms (4e-12 ms), finer than any clock, added and subtracted exactly.
//! What is told is therefore a function of the beats in the window alone, after a million beats as
//! after ten.

use super::{
    correction::correct,
    quality::Usability,
    refusal::Refusal,
    rolling::{insert, remove},
    spectrum::Spectrum,
    time_domain::{Moments, NN20_MS, NN50_MS, TimeDomain},
    welch::welch,
};
use std::{collections::VecDeque, ops::RangeInclusive};

/// Units in a millisecond.
const UNITS_PER_MS: f64 = (1u64 << 38) as f64;
/// Windows that can be kept, seconds. In an hour of the shortest beats `count * sum of squares`
/// stays below 2^125 units and within an `i128`.
const WINDOW_S: RangeInclusive<f64> = 1.0..=3_600.0;
/// NN intervals of a beating heart, ms: 220 to 30 beats a minute.
const PLAUSIBLE_MS: RangeInclusive<f64> = 270.0..=2_000.0;

/// A window that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a window of {window_s} s cannot be kept: choose 1 to 3600 s")]
pub struct BadWindow {
    /// What was asked for, seconds.
    pub window_s: f64,
}

/// The newest NN intervals that together last at most a window, and their measures.
///
/// # Examples
/// ```
/// use sdk_core::signal::hrv::SlidingHrv;
///
/// let mut last_minute = SlidingHrv::new(60.0)?;
/// for nn_ms in [800.0, 860.0, 830.0, 850.0] {
///     last_minute.push(nn_ms, true);
/// }
/// assert_eq!(last_minute.time_domain().mean_nn_ms, 835.0);
/// # Ok::<(), sdk_core::signal::hrv::BadWindow>(())
/// ```
#[derive(Debug, Clone)]
pub struct SlidingHrv {
    window_units: i64,
    /// Oldest first.
    beats: VecDeque<Beat>,
    /// The same intervals, sorted.
    sorted: Vec<f64>,
    intervals: Sums,
    differences: Sums,
    beyond_50: usize,
    beyond_20: usize,
    broken: usize,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    nn_ms: f64,
    /// From the interval before, which is its neighbour in the heart; `None` after a loss.
    difference_ms: Option<f64>,
}

/// Exact sums of values in units.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: usize,
    sum: i128,
    squares: i128,
}

impl Sums {
    fn add(&mut self, value_ms: f64) {
        let units = i128::from(units(value_ms));
        self.count += 1;
        self.sum += units;
        self.squares += units * units;
    }

    fn subtract(&mut self, value_ms: f64) {
        let units = i128::from(units(value_ms));
        self.count -= 1;
        self.sum -= units;
        self.squares -= units * units;
    }

    fn moments(&self) -> Moments {
        let n = self.count as f64;
        // Exact up to here: no digits cancel in floats.
        let around = (self.count as i128) * self.squares - self.sum * self.sum;
        let variance = if self.count > 1 { around as f64 / (n * (n - 1.0)) } else { f64::NAN };
        Moments {
            count: self.count,
            mean: self.sum as f64 / n / UNITS_PER_MS,
            mean_square: self.squares as f64 / n / (UNITS_PER_MS * UNITS_PER_MS),
            variance: variance / (UNITS_PER_MS * UNITS_PER_MS),
        }
    }
}

fn units(value_ms: f64) -> i64 {
    (value_ms * UNITS_PER_MS).round() as i64
}

impl SlidingHrv {
    /// An empty window of `window_s` seconds of beats.
    ///
    /// # Errors
    /// [`BadWindow`] outside 1 s to 1 h.
    pub fn new(window_s: f64) -> Result<Self, BadWindow> {
        if !WINDOW_S.contains(&window_s) {
            return Err(BadWindow { window_s });
        }
        Ok(Self {
            window_units: units(window_s * 1e3),
            beats: VecDeque::new(),
            sorted: Vec::new(),
            intervals: Sums::default(),
            differences: Sums::default(),
            beyond_50: 0,
            beyond_20: 0,
            broken: 0,
        })
    }

    /// Takes the next NN interval, ms. `contiguous`: the interval before is its neighbour, no beat
    /// was lost or left out between; only such differences count. An interval outside 270 to 2000
    /// ms is not taken, and `false` comes back: pass `contiguous: false` with the next.
    pub fn push(&mut self, nn_ms: f64, contiguous: bool) -> bool {
        if !PLAUSIBLE_MS.contains(&nn_ms) {
            return false;
        }
        let before = self.beats.back().filter(|_| contiguous).map(|beat| beat.nn_ms);
        let difference_ms = before.map(|before| nn_ms - before);
        if !self.beats.is_empty() && difference_ms.is_none() {
            self.broken += 1;
        }
        self.intervals.add(nn_ms);
        insert(&mut self.sorted, nn_ms);
        if let Some(difference) = difference_ms {
            self.differences.add(difference);
            self.beyond_50 += usize::from(difference.abs() > NN50_MS);
            self.beyond_20 += usize::from(difference.abs() > NN20_MS);
        }
        self.beats.push_back(Beat { nn_ms, difference_ms });
        while self.intervals.sum > i128::from(self.window_units) {
            self.forget_oldest();
        }
        true
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.beats.pop_front() else { return };
        self.intervals.subtract(oldest.nn_ms);
        remove(&mut self.sorted, oldest.nn_ms);
        // The next one's neighbour is gone, and its difference with it.
        let Some(next) = self.beats.front_mut() else { return };
        match next.difference_ms.take() {
            Some(difference) => {
                self.differences.subtract(difference);
                self.beyond_50 -= usize::from(difference.abs() > NN50_MS);
                self.beyond_20 -= usize::from(difference.abs() > NN20_MS);
            }
            None => self.broken -= 1,
        }
    }

    /// The measures of the window, those of [`TimeDomain::of`] but for differences across losses,
    /// which do not count. No pass over the beats but one, for Baevsky's histogram.
    #[must_use]
    pub fn time_domain(&self) -> TimeDomain {
        TimeDomain::from_parts(
            self.intervals.moments(),
            self.differences.moments(),
            [self.beyond_50, self.beyond_20],
            &self.sorted,
        )
    }

    /// The intervals in the window, ms, oldest first.
    pub fn nn_ms(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.beats.iter().map(|beat| beat.nn_ms)
    }

    /// Welch's spectrum of the window, computed anew.
    ///
    /// # Errors
    /// [`Refusal::Gap`] where beats are lost inside the window; else as [`welch`].
    pub fn welch(&self) -> Result<Spectrum, Refusal> {
        self.unbroken()?;
        welch(&self.nn_ms().collect::<Vec<_>>())
    }

    /// Whether the window may be used: whether beats were lost inside, and how many are artefacts,
    /// judged anew as of a record.
    #[must_use]
    pub fn usability(&self) -> Usability {
        let nn_ms: Vec<f64> = self.nn_ms().collect();
        match self.unbroken().and_then(|()| correct(&nn_ms)) {
            Ok(correction) => Usability::of(&nn_ms, &correction),
            Err(refusal) => Err(refusal).into(),
        }
    }

    fn unbroken(&self) -> Result<(), Refusal> {
        if self.broken == 0 {
            return Ok(());
        }
        let lost = self.beats.iter().skip(1).position(|beat| beat.difference_ms.is_none());
        let index = lost.map_or(0, |k| k + 1);
        let at_s = self.nn_ms().take(index + 1).sum::<f64>() / 1e3;
        Err(Refusal::Gap { index, at_s })
    }
}

#[cfg(test)]
mod tests;
