//! Heart-rate variability in time: moments, differences, the Poincaré ellipse, Baevsky's index.

use super::rolling::quantile;

/// The 50 and 20 of pNN50 and pNN20, ms (Task Force 1996; Mietus et al. 2002, *Heart* 88:378).
pub(super) const NN50_MS: f64 = 50.0;
pub(super) const NN20_MS: f64 = 20.0;
/// Width of Baevsky's histogram bins, ms; their edges are the multiples of it.
const BIN_MS: f64 = 50.0;
pub(super) const MS_PER_SECOND: f64 = 1e3;
const MS_PER_MINUTE: f64 = 60e3;

/// Measures of a series of NN intervals. One that takes more intervals than there are is NaN.
///
/// Definitions: Task Force 1996 (*Circulation* 93:1043) unless named otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeDomain {
    /// Intervals measured.
    pub intervals: usize,
    /// Mean, ms.
    pub mean_nn_ms: f64,
    /// Median, ms.
    pub median_nn_ms: f64,
    /// Standard deviation with `n - 1` below, ms.
    pub sdnn_ms: f64,
    /// Root mean square of the differences of neighbours, ms.
    pub rmssd_ms: f64,
    /// Share of differences beyond 50 ms, of all differences, percent.
    pub pnn50_percent: f64,
    /// Share of differences beyond 20 ms, of all differences, percent.
    pub pnn20_percent: f64,
    /// Beats a minute at the mean interval.
    pub heart_rate_bpm: f64,
    /// Width of the Poincaré plot, ms: standard deviation of differences over root 2 (Brennan et
    /// al. 2001, *IEEE Trans Biomed Eng* 48:1342).
    pub sd1_ms: f64,
    /// Length of the Poincaré plot, ms: `sqrt(2 SDNN^2 - SDSD^2 / 2)` (same source).
    pub sd2_ms: f64,
    /// Baevsky's stress index, 1/s^2: `AMo / (2 Mo MxDMn)` with the share of the fullest 50-ms bin
    /// in percent, the median in seconds and the range in seconds (Baevsky & Chernikova 2017,
    /// *Cardiometry* 10:66). NaN where nothing varies.
    pub baevsky_si: f64,
}

impl TimeDomain {
    /// Measures `nn_ms`, intervals in order, each the neighbour of the next, in ms.
    #[must_use]
    pub fn of(nn_ms: &[f64]) -> Self {
        let mut sorted = nn_ms.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let differences = Moments::of(nn_ms.windows(2).map(|pair| pair[1] - pair[0]));
        let beyond =
            |limit: f64| nn_ms.windows(2).filter(|pair| (pair[1] - pair[0]).abs() > limit).count();
        Self::from_parts(
            Moments::of(nn_ms.iter().copied()),
            differences,
            [beyond(NN50_MS), beyond(NN20_MS)],
            &sorted,
        )
    }

    pub(super) fn from_parts(
        nn: Moments,
        differences: Moments,
        [beyond_50, beyond_20]: [usize; 2],
        sorted: &[f64],
    ) -> Self {
        let percent = |count: usize| 100.0 * count as f64 / differences.count as f64;
        Self {
            intervals: nn.count,
            mean_nn_ms: nn.mean,
            median_nn_ms: quantile(sorted, 0.5),
            sdnn_ms: nn.variance.sqrt(),
            rmssd_ms: differences.mean_square.sqrt(),
            pnn50_percent: percent(beyond_50),
            pnn20_percent: percent(beyond_20),
            heart_rate_bpm: MS_PER_MINUTE / nn.mean,
            sd1_ms: (differences.variance / 2.0).sqrt(),
            // An alternating series can make it a hair less than nothing; `max` would hide NaN.
            sd2_ms: at_least_zero(2.0 * nn.variance - differences.variance / 2.0).sqrt(),
            baevsky_si: baevsky(sorted),
        }
    }
}

/// Count, mean, mean square and variance (`n - 1`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) count: usize,
    pub(super) mean: f64,
    pub(super) mean_square: f64,
    pub(super) variance: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count();
        let n = count as f64;
        let mean = values.clone().sum::<f64>() / n;
        let (square, around) =
            values.fold((0.0, 0.0), |(s, a), x| (s + x * x, a + (x - mean) * (x - mean)));
        let variance = if count > 1 { around / (n - 1.0) } else { f64::NAN };
        Self { count, mean, mean_square: square / n, variance }
    }
}

fn at_least_zero(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

fn baevsky(sorted: &[f64]) -> f64 {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return f64::NAN };
    let range_s = (last - first) / MS_PER_SECOND;
    if range_s <= 0.0 {
        return f64::NAN;
    }
    let fullest = sorted
        .chunk_by(|a, b| (a / BIN_MS).floor() == (b / BIN_MS).floor())
        .map(<[f64]>::len)
        .max()
        .unwrap_or(0);
    let share_percent = 100.0 * fullest as f64 / sorted.len() as f64;
    share_percent / (2.0 * quantile(sorted, 0.5) / MS_PER_SECOND * range_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn four_beats_by_hand() {
        let t = TimeDomain::of(&[800.0, 860.0, 830.0, 850.0]);
        assert_eq!((t.intervals, t.mean_nn_ms, t.median_nn_ms), (4, 835.0, 840.0));
        // Deviations -35, 25, -5, 15 and differences 60, -30, 20.
        assert!((t.sdnn_ms - (2100.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((t.rmssd_ms - (4900.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((t.pnn50_percent - 100.0 / 3.0).abs() < 1e-12);
        assert!((t.pnn20_percent - 200.0 / 3.0).abs() < 1e-12);
        // Two of four in 800 to 850, median 0.84 s, range 0.06 s: 850 opens the next bin.
        assert!((t.baevsky_si - 50.0 / (2.0 * 0.84 * 0.06)).abs() < 1e-9, "{}", t.baevsky_si);
    }

    #[test]
    fn too_few_intervals_are_not_numbers() {
        let none = TimeDomain::of(&[]);
        assert!(none.mean_nn_ms.is_nan() && none.rmssd_ms.is_nan() && none.baevsky_si.is_nan());
        let one = TimeDomain::of(&[800.0]);
        assert_eq!(one.heart_rate_bpm, 75.0);
        assert!(one.sdnn_ms.is_nan() && one.pnn50_percent.is_nan() && one.sd2_ms.is_nan());
    }

    proptest! {
        #[test]
        fn any_numbers_are_measured(nn in prop::collection::vec(any::<f64>(), 0..50)) {
            prop_assert_eq!(TimeDomain::of(&nn).intervals, nn.len());
        }
    }
}
