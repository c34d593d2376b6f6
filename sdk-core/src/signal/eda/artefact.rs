//! Which values of a series are skin conductance, and what to put where they are not.
//!
//! The rules are those of Kleckner et al. 2018, "Simple, Transparent, and Flexible Automated
//! Quality Assessment Procedures for Ambulatory Electrodermal Activity Data", IEEE TBME 65(7):
//! range and slope. Two more are ours: a plateau at the very top of the series is the end of the
//! device's range, and strong acceleration moves electrodes. Kleckner's fourth rule (5 s around
//! each artefact are bad as well) is [`Options::margin_s`](super::Options::margin_s), off unless
//! asked for: a wristband's dropouts last one sample and leave no trace.

use super::Options;
use std::ops::{Range, RangeInclusive};

/// Skin conductance of skin, microsiemens (Kleckner et al. 2018, rule 1). Below: open electrodes
/// (Empatica's E4 sends 0 until it is worn). Above: a short circuit.
pub(super) const PLAUSIBLE_US: RangeInclusive<f64> = 0.05..=60.0;
/// Skin conductance does not move faster, microsiemens a second (Kleckner et al. 2018, rule 2).
pub(super) const STEEPEST_US_PER_S: f64 = 10.0;
/// A slope is measured over at least this long, seconds: over less, a converter's own noise is
/// steep.
const SLOPE_SPAN_S: f64 = 0.1;
/// A gap up to this long is bridged by a line, seconds: well below the width of a response, which
/// rises for 0.5 to 5 s and halves in 2 to 10 s (Boucsein 2012, section 2.3.1.3). A longer one
/// splits the recording: filters start afresh behind it.
pub(super) const LONGEST_BRIDGE_S: f64 = 2.0;
/// So long at the very highest value of a series is the end of the device's range, seconds.
const CLIPPED_S: f64 = 2.0;
/// Acceleration further than this from rest (1 g) moves electrodes on the skin, g. Our choice:
/// a wrist at a desk stays within 0.1 g, a step or a grip goes beyond 0.3 g.
pub(super) const MOTION_G: f64 = 0.3;
/// Electrodes settle for this long after a movement, seconds. Our choice: half a response's rise.
pub(super) const MOTION_HOLD_S: f64 = 1.0;

/// What is known about one value of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// As measured.
    Good,
    /// Missing or bad for at most 2 s: the value is a line between its neighbours.
    Bridged,
    /// Not a number.
    Missing,
    /// Near zero: the electrodes do not touch skin.
    OffBody,
    /// At the end of the measuring range.
    Saturated,
    /// Steeper than 10 microsiemens a second.
    Jump,
    /// Good by itself, but measured during strong acceleration.
    Motion,
    /// Good by itself, but within the margin of something bad.
    Margin,
}

/// Acceleration of the electrodes, beginning with the series it goes with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Acceleration<'a> {
    /// Samples a second.
    pub rate_hz: f64,
    /// Length of the acceleration vector, gravity included, g.
    pub values_g: &'a [f64],
}

/// Whether a body at this acceleration moves enough to move electrodes.
pub(super) fn is_motion(length_g: f64) -> bool {
    (length_g - 1.0).abs() > MOTION_G
}

/// Marks each value. `rate_hz` is positive.
pub(super) fn marks(values_us: &[f64], rate_hz: f64, options: &Options) -> Vec<Mark> {
    let plausible_us = &options.plausible_microsiemens;
    let mut marks: Vec<Mark> = values_us.iter().map(|&v| in_range(v, plausible_us)).collect();
    mark_clipped(values_us, &mut marks, samples(CLIPPED_S, rate_hz));
    mark_jumps(values_us, &mut marks, rate_hz, options.steepest_microsiemens_per_s);
    if let Some(acceleration) = &options.acceleration {
        mark_motion(&mut marks, rate_hz, acceleration);
    }
    mark_margin(&mut marks, samples(options.margin_s, rate_hz));
    marks
}

fn samples(seconds: f64, rate_hz: f64) -> usize {
    (seconds * rate_hz).round().max(0.0) as usize
}

fn in_range(value: f64, plausible_us: &RangeInclusive<f64>) -> Mark {
    if value.is_nan() {
        Mark::Missing
    } else if value < *plausible_us.start() {
        Mark::OffBody
    } else if value > *plausible_us.end() {
        Mark::Saturated
    } else {
        Mark::Good
    }
}

/// A plateau at the top. A series that is constant throughout is no plateau.
fn mark_clipped(values_us: &[f64], marks: &mut [Mark], least: usize) {
    let good = || values_us.iter().zip(marks.iter()).filter(|(_, m)| **m == Mark::Good);
    let top = good().map(|(v, _)| *v).fold(f64::NEG_INFINITY, f64::max);
    if good().all(|(v, _)| *v == top) {
        return;
    }
    let mut start = 0;
    for plateau in values_us.chunk_by(|a, b| a == b) {
        let end = start + plateau.len();
        if plateau[0] == top && plateau.len() >= least.max(2) {
            marks[start..end].fill(Mark::Saturated);
        }
        start = end;
    }
}

/// A value is a jump when it lies further from the last good one, at least [`SLOPE_SPAN_S`] back,
/// than skin can move; time spent in the jump itself does not count, so that a step to another
/// level stays a jump until [`LONGEST_BRIDGE_S`] are over and the new level is what there is.
fn mark_jumps(values_us: &[f64], marks: &mut [Mark], rate_hz: f64, steepest_us_per_s: f64) {
    let span = samples(SLOPE_SPAN_S, rate_hz).max(1);
    let patience = samples(LONGEST_BRIDGE_S, rate_hz).max(span);
    // For every index: the last good value at or before it, and the jumps until then.
    let mut last_good: Vec<Option<usize>> = Vec::with_capacity(marks.len());
    let mut jumps: Vec<usize> = Vec::with_capacity(marks.len());
    for i in 0..marks.len() {
        let so_far = jumps.last().copied().unwrap_or(0);
        let reference = i.checked_sub(span).and_then(|j| last_good[j]);
        if marks[i] == Mark::Good
            && let Some(j) = reference
            && i - j <= patience
        {
            let elapsed_s = (i - j - (so_far - jumps[j])) as f64 / rate_hz;
            let farthest_us = steepest_us_per_s * elapsed_s.max(span as f64 / rate_hz);
            if (values_us[i] - values_us[j]).abs() > farthest_us {
                marks[i] = Mark::Jump;
            }
        }
        jumps.push(so_far + usize::from(marks[i] == Mark::Jump));
        let before = last_good.last().copied().flatten();
        last_good.push(if marks[i] == Mark::Good { Some(i) } else { before });
    }
}

fn mark_motion(marks: &mut [Mark], rate_hz: f64, acceleration: &Acceleration) {
    if !(acceleration.rate_hz.is_finite() && acceleration.rate_hz > 0.0) {
        return;
    }
    for (k, _) in acceleration.values_g.iter().enumerate().filter(|(_, g)| is_motion(**g)) {
        let at = k as f64 / acceleration.rate_hz * rate_hz;
        let hold = MOTION_HOLD_S * rate_hz;
        let first = (at - hold).ceil().max(0.0) as usize;
        let end = ((at + hold).floor() as usize).saturating_add(1).min(marks.len());
        for mark in marks.get_mut(first..end).unwrap_or_default() {
            if *mark == Mark::Good {
                *mark = Mark::Motion;
            }
        }
    }
}

fn mark_margin(marks: &mut [Mark], margin: usize) {
    if margin == 0 {
        return;
    }
    let (mut since_bad, bad) = (usize::MAX, |m: Mark| !matches!(m, Mark::Good | Mark::Margin));
    for backwards in [false, true] {
        for i in 0..marks.len() {
            let i = if backwards { marks.len() - 1 - i } else { i };
            since_bad = if bad(marks[i]) { 0 } else { since_bad.saturating_add(1) };
            if since_bad <= margin && marks[i] == Mark::Good {
                marks[i] = Mark::Margin;
            }
        }
        since_bad = usize::MAX;
    }
}

/// Bridges short gaps in place and gives the unbroken stretches that result.
///
/// A gap at either end is not bridged: nothing lies beyond it.
pub(super) fn bridge(values_us: &mut [f64], marks: &mut [Mark], rate_hz: f64) -> Vec<Range<usize>> {
    let longest = samples(LONGEST_BRIDGE_S, rate_hz);
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let runs: Vec<(Mark, usize)> = marks
        .chunk_by(|a, b| (*a == Mark::Good) == (*b == Mark::Good))
        .map(|run| (run[0], run.len()))
        .collect();
    for (mark, length) in runs {
        let end = start + length;
        if mark == Mark::Good {
            match stretches.last_mut() {
                // From the last good value to the next one.
                Some(stretch) if start - stretch.end < longest => {
                    line(values_us, stretch.end - 1, start);
                    marks[stretch.end..start].fill(Mark::Bridged);
                    stretch.end = end;
                }
                _ => stretches.push(start..end),
            }
        }
        start = end;
    }
    stretches
}

/// Puts a line between two values.
fn line(values_us: &mut [f64], from: usize, to: usize) {
    let (a, b) = (values_us[from], values_us[to]);
    let steps = (to - from) as f64;
    for (k, value) in (1..).zip(&mut values_us[from + 1..to]) {
        *value = a + (b - a) * f64::from(k) / steps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Mark::{Bridged, Good, Jump, Missing, Motion, OffBody, Saturated};

    fn check(values: &[f64], rate_hz: f64, expected: &[Mark]) {
        assert_eq!(marks(values, rate_hz, &Options::default()), expected);
    }

    #[test]
    fn range_and_slope() {
        check(
            &[0.0, 2.0, f64::NAN, 2.1, f64::INFINITY, 70.0],
            4.0,
            &[OffBody, Good, Missing, Good, Saturated, Saturated],
        );
        // 10 uS/s are 2.5 uS in a sample at 4 Hz.
        check(&[2.0, 4.4, 7.0, 4.5], 4.0, &[Good, Good, Jump, Good]);
    }

    #[test]
    fn noise_of_a_fast_converter_is_no_jump() {
        let noisy: Vec<f64> = (0..1000).map(|i| 2.0 + 0.05 * f64::from(i % 2)).collect();
        check(&noisy, 1000.0, &[Good; 1000]);
    }

    #[test]
    fn a_step_to_another_level_is_never_bridged() {
        let mut values: Vec<f64> =
            (0..40).map(|i| if i < 20 { 2.0 } else { 9.0 } + 1e-3 * f64::from(i)).collect();
        let mut marks = marks(&values, 4.0, &Options::default());
        assert_eq!(marks.iter().filter(|m| **m == Jump).count(), 8, "for 2 s");
        assert_eq!(bridge(&mut values, &mut marks, 4.0), [0..20, 28..40]);
    }

    #[test]
    fn a_plateau_at_the_top_is_the_end_of_the_range() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i).min(20.0) * 0.1 + 1.0).collect();
        let marks = marks(&values, 4.0, &Options::default());
        assert_eq!(marks.iter().filter(|m| **m == Saturated).count(), 20);
        check(&[2.0; 40], 4.0, &[Good; 40]);
    }

    #[test]
    fn motion_and_margin() {
        let acceleration = Acceleration { rate_hz: 2.0, values_g: &[1.0, 1.0, 1.5, 1.0] };
        let moved = marks(
            &[2.0; 12],
            4.0,
            &Options { acceleration: Some(acceleration), ..Options::default() },
        );
        assert_eq!(moved.iter().filter(|m| **m == Motion).count(), 9, "1 s on each side");
        let values = [2.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0];
        let wide = marks(&values, 4.0, &Options { margin_s: 0.5, ..Options::default() });
        assert_eq!(wide.iter().filter(|m| **m == Mark::Margin).count(), 4);
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_split() {
        let mut values = vec![1.0, f64::NAN, f64::NAN, 4.0];
        let mut found = vec![Good, Missing, Missing, Good];
        assert_eq!(bridge(&mut values, &mut found, 4.0).first(), Some(&(0..4)));
        assert_eq!((values, found), (vec![1.0, 2.0, 3.0, 4.0], vec![Good, Bridged, Bridged, Good]));
        let mut found = [vec![Missing; 3], vec![Good; 5], vec![OffBody; 9], vec![Good; 2]].concat();
        assert_eq!(bridge(&mut [2.0; 19], &mut found, 4.0), [3..8, 17..19]);
    }
}
