//! Skin conductance responses, found as they happen.

use std::collections::VecDeque;

/// Least rise from trough to peak, microsiemens (Boucsein 2012, section 2.3.1.2.3).
pub(super) const LEAST_AMPLITUDE_US: f64 = 0.01;
/// A rise takes 0.5 to 5 s (Boucsein 2012, section 2.3.1.3.2): the foot is never older.
const LONGEST_RISE_S: f64 = 5.0;
/// A fall by this share of the amplitude tells a peak from a pause in the rise.
const CONFIRMING_FALL: f64 = 0.1;

/// One response, known once its peak has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scr {
    /// When it was confirmed, seconds of the stream.
    pub(super) at_s: f64,
    /// Trough to peak, microsiemens.
    pub(super) amplitude_us: f64,
}

/// Finds responses in skin conductance, causally.
#[derive(Debug, Clone, Default)]
pub(super) struct ScrDetector {
    /// Candidates for the foot, `(time, level)`: times and levels both ascend, so that the front
    /// is the lowest level of the last [`LONGEST_RISE_S`].
    feet: VecDeque<(f64, f64)>,
    /// The highest level since the foot, `(time, level)`.
    peak: Option<(f64, f64)>,
}

impl ScrDetector {
    /// Forgets a rise under way: after a gap, its foot is unknown.
    pub(super) fn reset(&mut self) {
        self.feet.clear();
        self.peak = None;
    }

    /// Takes the level at a time; a response, if this level confirms one.
    pub(super) fn push(&mut self, at_s: f64, level_us: f64) -> Option<Scr> {
        while self.feet.back().is_some_and(|&(_, level)| level >= level_us) {
            self.feet.pop_back();
        }
        let lowest_yet = self.feet.is_empty();
        self.feet.push_back((at_s, level_us));
        // The peak is let go only when a new low undercuts the foot, never by age alone: a slow
        // fall from a confirmed-size peak still confirms it.
        match self.peak {
            Some((_, peak)) if !lowest_yet && level_us <= peak => {}
            _ => self.peak = Some((at_s, level_us)),
        }
        let (peak_at, peak_us) = self.peak?;
        while self.feet.len() > 1
            && self.feet.front().is_some_and(|&(t, _)| peak_at - t > LONGEST_RISE_S)
        {
            self.feet.pop_front();
        }
        let &(_, foot_us) = self.feet.front()?;
        let amplitude_us = peak_us - foot_us;
        let fallen = peak_us - level_us >= CONFIRMING_FALL * amplitude_us;
        if amplitude_us < LEAST_AMPLITUDE_US || !fallen {
            return None;
        }
        self.reset();
        self.feet.push_back((at_s, level_us));
        self.peak = Some((at_s, level_us));
        Some(Scr { at_s, amplitude_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(levels: &[f64], dt_s: f64, expected_amplitudes: &[f64]) {
        let mut detector = ScrDetector::default();
        let found: Vec<f64> = levels
            .iter()
            .enumerate()
            .filter_map(|(i, &level)| detector.push(i as f64 * dt_s, level))
            .map(|scr| scr.amplitude_us)
            .collect();
        assert_eq!(found.len(), expected_amplitudes.len(), "{found:?}");
        for (a, b) in found.iter().zip(expected_amplitudes) {
            assert!((a - b).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn one_rise_one_response_whatever_the_pause_in_it() {
        check(&[1.0, 1.0, 1.2, 1.5, 1.499, 1.6, 1.6, 1.5, 1.4, 1.3], 0.25, &[0.6]);
    }

    #[test]
    fn a_second_response_on_the_fall_of_the_first_has_its_own_foot() {
        check(&[1.0, 1.5, 1.4, 1.3, 1.5, 1.4], 0.5, &[0.5, 0.2]);
    }

    #[test]
    fn small_and_slow_rises_are_none() {
        check(&[1.0, 1.009, 1.0, 1.009, 1.0], 0.25, &[]);
        let drift: Vec<f64> = (0..400).map(|i| 1.0 + 0.0004 * f64::from(i)).collect();
        let mut up_and_down = drift.clone();
        up_and_down.extend(drift.iter().rev());
        check(&up_and_down, 0.25, &[]);
    }

    #[test]
    fn the_foot_follows_a_slow_drift_under_a_response() {
        // Drift of 0.001 uS a sample: the foot is at most 5 s (20 samples) before the peak.
        let mut levels: Vec<f64> = (0..100).map(|i| 1.0 + 0.001 * f64::from(i)).collect();
        levels.extend([1.4, 1.3]);
        check(&levels, 0.25, &[0.4 - 0.08]);
    }
}
