//! Skin conductance responses, found as they happen.

use super::responses::LONGEST_RISE_S;

/// One response, known once its peak has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Response {
    /// The last trough before the peak, seconds of the stream.
    pub(super) trough_at_s: f64,
    /// Seconds of the stream.
    pub(super) peak_at_s: f64,
    /// From the last trough to the peak, microsiemens.
    pub(super) amplitude_us: f64,
}

/// Finds responses in a phasic series, value by value.
///
/// It climbs until the series has fallen by the threshold from its highest, then falls until it
/// has risen by the threshold from its lowest. The peaks it passes are those whose prominence
/// reaches the threshold, so that it finds what [`responses`](super::responses()) finds, one fall
/// later.
#[derive(Debug, Clone, Copy)]
pub(super) struct TroughToPeak {
    least_us: f64,
    newest: Option<(f64, f64)>,
    /// The last trough, `(time, level)`, however shallow.
    trough: (f64, f64),
    falling: bool,
    course: Course,
}

#[derive(Debug, Clone, Copy)]
enum Course {
    /// Down; the lowest level so far.
    Down(f64),
    /// Up, by more than the threshold; the highest level so far.
    Up { top_us: f64, found: Response },
}

impl TroughToPeak {
    /// A tracker of responses of at least `least_us` microsiemens that has seen nothing.
    pub(super) const fn new(least_us: f64) -> Self {
        Self {
            least_us,
            newest: None,
            trough: (0.0, 0.0),
            falling: true,
            course: Course::Down(f64::INFINITY),
        }
    }

    /// Takes the level at a time; a response, if this level confirms one.
    pub(super) fn push(&mut self, at_s: f64, level_us: f64) -> Option<Response> {
        let (before_s, before_us) =
            self.newest.replace((at_s, level_us)).unwrap_or((at_s, level_us));
        if level_us > before_us && self.falling {
            self.trough = (before_s, before_us);
            self.falling = false;
        } else if level_us < before_us {
            self.falling = true;
        }
        let (trough_at_s, trough_us) = self.trough;
        let found = Response { trough_at_s, peak_at_s: at_s, amplitude_us: level_us - trough_us };
        match self.course {
            Course::Down(lowest_us) if level_us - lowest_us >= self.least_us => {
                self.course = Course::Up { top_us: level_us, found };
            }
            Course::Down(lowest_us) => self.course = Course::Down(lowest_us.min(level_us)),
            Course::Up { top_us, .. } if level_us > top_us => {
                self.course = Course::Up { top_us: level_us, found };
            }
            Course::Up { top_us, found } if top_us - level_us >= self.least_us => {
                self.course = Course::Down(level_us);
                let rise_s = found.peak_at_s - found.trough_at_s;
                return (rise_s <= LONGEST_RISE_S).then_some(found);
            }
            Course::Up { .. } => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::eda::{Threshold, responses};
    use proptest::prelude::*;

    fn check(levels: &[f64], expected: &[(f64, f64)]) {
        let mut tracker = TroughToPeak::new(0.01);
        let found: Vec<(f64, f64)> = (0..)
            .zip(levels)
            .filter_map(|(i, &level)| tracker.push(f64::from(i), level))
            .map(|r| (r.peak_at_s, (r.amplitude_us * 1e6).round() / 1e6))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_peak_is_confirmed_by_its_fall() {
        check(&[1.0, 1.0, 1.2, 1.5, 1.495, 1.6, 1.6, 1.5, 1.4], &[(5.0, 0.105)]);
        check(&[1.0, 1.5, 1.4, 1.3, 1.5, 1.4], &[(1.0, 0.5), (4.0, 0.2)]);
        check(&[1.0, 1.5, 1.6, 1.7], &[]);
    }

    #[test]
    fn small_rises_are_none() {
        check(&[1.0, 1.009, 1.0, 1.009, 1.0], &[]);
    }

    proptest! {
        #[test]
        fn finds_what_the_whole_series_shows(steps in prop::collection::vec(-30i32..30, 2..200)) {
            // Distinct levels, high at both ends: no plateau, no response cut off by an edge.
            let mut level = 0;
            let mut levels = vec![1e3];
            levels.extend(steps.iter().enumerate().map(|(i, step)| {
                level += step;
                f64::from(level) + i as f64 * 1e-4
            }));
            levels.push(1e3);
            let mut tracker = TroughToPeak::new(7.0);
            let found: Vec<(f64, Option<f64>)> = (0..)
                .zip(&levels)
                .filter_map(|(i, &level)| tracker.push(f64::from(i), level))
                .map(|r| (r.peak_at_s, Some(r.amplitude_us)))
                .collect();
            let all: Vec<(f64, Option<f64>)> =
                responses(&levels, 1.0, 0.0, Threshold::Absolute(7.0))
                    .iter()
                    .map(|r| (r.peak_s, r.amplitude_microsiemens))
                    .collect();
            prop_assert_eq!(found, all);
        }

        #[test]
        fn any_levels_never_panic(levels in prop::collection::vec(any::<f64>(), 0..100)) {
            let mut tracker = TroughToPeak::new(0.01);
            for (i, level) in (0..).zip(levels) {
                tracker.push(f64::from(i), level);
            }
        }
    }
}
