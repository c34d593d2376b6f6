//! Samples at their own times put on an even grid, gaps left open.
//!
//! [`analyze`](super::analyze) wants one value an interval. A stream that lost packets, or whose
//! clock drifts, comes here first: between neighbours the value is interpolated, and where samples
//! are missing the grid holds NaN, so that the analysis bridges or splits, and says so.

/// The longest recording that is put on a grid: a day at 1000 Hz.
const MOST_SAMPLES: f64 = 86_400_000.0;
/// Neighbours further apart than so many usual intervals have lost one between them.
const LOST_INTERVALS: f64 = 1.5;
/// A sample so near a grid point, in intervals, is on it.
const GRID_TOLERANCE: f64 = 1e-6;

/// Puts `(seconds, value)` pairs, in order of time, on a grid of `rate_hz` that begins with the
/// first. Pairs that are not finite or go back in time are left out. `None` when the rate is not
/// positive, nothing is left, or the grid would be longer than a day at 1000 Hz.
///
/// # Examples
/// ```
/// use sdk_core::signal::eda::resample;
///
/// let samples = [(0.0, 1.0), (0.26, 1.26), (0.5, 1.5), (1.5, 2.5), (1.75, 2.75)];
/// let even = resample(&samples, 4.0).unwrap();
/// assert!((even[1] - 1.25).abs() < 1e-9);
/// assert!(even[3..6].iter().all(|v| v.is_nan()), "between 0.5 and 1.5 s nothing was measured");
/// assert_eq!(even[6], 2.5);
/// ```
#[must_use]
pub fn resample(samples: &[(f64, f64)], rate_hz: f64) -> Option<Vec<f64>> {
    let mut ordered: Vec<(f64, f64)> = Vec::with_capacity(samples.len());
    for &(at_s, value) in samples {
        let later = ordered.last().is_none_or(|&(last_s, _)| at_s > last_s);
        if at_s.is_finite() && value.is_finite() && later {
            ordered.push((at_s, value));
        }
    }
    let (&(first_s, _), &(last_s, _)) = (ordered.first()?, ordered.last()?);
    let length = ((last_s - first_s) * rate_hz + GRID_TOLERANCE).floor() + 1.0;
    if !(rate_hz > 0.0 && (1.0..=MOST_SAMPLES).contains(&length)) {
        return None;
    }
    let farthest_s = LOST_INTERVALS * usual_interval(&ordered).max(1.0 / rate_hz);
    let tolerance_s = GRID_TOLERANCE / rate_hz;
    let mut next = 0;
    let grid = (0..length as usize).map(|i| {
        let at_s = first_s + i as f64 / rate_hz;
        while ordered.get(next).is_some_and(|&(s, _)| s < at_s - tolerance_s) {
            next += 1;
        }
        let Some(&(after_s, after)) = ordered.get(next) else { return f64::NAN };
        if (after_s - at_s).abs() <= tolerance_s {
            return after;
        }
        match next.checked_sub(1).and_then(|before| ordered.get(before)) {
            Some(&(before_s, before)) if after_s - before_s <= farthest_s => {
                before + (after - before) * (at_s - before_s) / (after_s - before_s)
            }
            _ => f64::NAN,
        }
    });
    Some(grid.collect())
}

/// The median of the intervals; 0 where there is none.
fn usual_interval(ordered: &[(f64, f64)]) -> f64 {
    let mut intervals: Vec<f64> = ordered.windows(2).map(|w| w[1].0 - w[0].0).collect();
    let middle = intervals.len() / 2;
    if intervals.is_empty() {
        return 0.0;
    }
    *intervals.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::eda::{Mark, Options, analyze};
    use proptest::prelude::*;

    #[test]
    fn even_samples_stay_as_they_are() {
        let samples: Vec<(f64, f64)> =
            (0..1000).map(|i| (5.0 + f64::from(i) / 32.0, f64::from(i).sin())).collect();
        let values: Vec<f64> = samples.iter().map(|s| s.1).collect();
        assert_eq!(resample(&samples, 32.0), Some(values));
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_split_by_the_analysis() {
        let lost = |t: &f64| !(20.0..21.0).contains(t) && !(40.0..50.0).contains(t);
        let samples: Vec<(f64, f64)> = (0..400)
            .map(|i| f64::from(i) * 0.249)
            .filter(lost)
            .map(|t| (t, 2.0 + 0.01 * t.sin()))
            .collect();
        let even = resample(&samples, 4.0).unwrap();
        let analysis = analyze(&even, 4.0, &Options::default());
        assert_eq!(analysis.unusable, None);
        assert_eq!(analysis.series.marks[82], Mark::Bridged);
        assert_eq!(analysis.series.marks[180], Mark::Missing);
        assert!((analysis.analysed_s - 89.5).abs() < 1.0, "{}", analysis.analysed_s);
    }

    proptest! {
        #[test]
        fn any_samples_give_a_grid_or_none(
            samples in prop::collection::vec((prop_oneof![any::<f64>(), 0.0..100.0], any::<f64>()), 0..100),
            rate_hz in prop_oneof![any::<f64>(), 0.0..1000.0],
        ) {
            // A far outlier in time makes a long grid, but never an unbounded one.
            let near: Vec<(f64, f64)> =
                samples.iter().copied().filter(|(t, _)| t.abs() < 1e4 || !t.is_finite()).collect();
            if let Some(grid) = resample(&near, rate_hz.min(1000.0)) {
                prop_assert!(grid.len() as f64 <= MOST_SAMPLES);
            }
        }

        #[test]
        fn too_long_is_none(far in 1e9..1e300f64) {
            prop_assert_eq!(resample(&[(0.0, 1.0), (far, 1.0)], 1000.0), None);
        }
    }
}
