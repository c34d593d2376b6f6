//! What is usual for this person.

use protocol::feature::FEATURES;

/// Number of features.
pub(super) const COUNT: usize = FEATURES.len();

/// The median of each feature so far; frozen once calibration ends.
///
/// A slow moving average instead would read elapsed time off the session, and with it the order of
/// events that people happen to share.
#[derive(Debug, Clone)]
pub(super) struct Baseline {
    /// The values of each feature, ascending.
    sorted: [Vec<f64>; COUNT],
    /// How often it was taught.
    rows: usize,
}

impl Default for Baseline {
    fn default() -> Self {
        Self { sorted: std::array::from_fn(|_| Vec::new()), rows: 0 }
    }
}

impl Baseline {
    /// Takes one value of each feature; NaN where there is none.
    pub(super) fn learn(&mut self, levels: &[f64; COUNT]) {
        self.rows += 1;
        for (sorted, &level) in self.sorted.iter_mut().zip(levels) {
            if !level.is_nan() {
                let place = sorted.partition_point(|&known| known < level);
                sorted.insert(place, level);
            }
        }
    }

    /// How many rows it has learned from.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The medians; NaN where nothing is known.
    pub(super) fn medians(&self) -> [f64; COUNT] {
        std::array::from_fn(|i| {
            let sorted = &self.sorted[i];
            match sorted.len() {
                0 => f64::NAN,
                n => f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_what_is_known() {
        let mut baseline = Baseline::default();
        assert!(baseline.medians()[0].is_nan());
        for value in [3.0, f64::NAN, 1.0, 10.0, 2.0] {
            let mut levels = [f64::NAN; COUNT];
            levels[0] = value;
            baseline.learn(&levels);
        }
        assert_eq!(baseline.medians()[0], 2.5);
        assert!(baseline.medians()[1].is_nan());
        assert_eq!(baseline.rows(), 5);
    }
}
