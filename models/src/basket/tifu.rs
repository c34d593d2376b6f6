//! A person as a vector of item frequencies that fade with time.
//!
//! Hu, He, Gao and Zhang, "Modeling Personalized Item Frequency Information for Next-basket
//! Recommendation", SIGIR 2020, sections 4.2 and 4.3.
//!
//! The published figures are those of the authors' program, which departs from the text in three
//! ways. We follow the program, so that figures can be compared: the setting 7 is the *number* of
//! groups, not their size (with fewer baskets each is its own group, and the later groups are the
//! larger ones where sizes differ by one); the decay within a group goes on over the whole history;
//! and the decay between groups counts from the seventh group, so that short histories are short
//! vectors.

use super::History;

/// The weight of items, ascending by item, each once.
pub type Sparse = Vec<(u32, f32)>;

/// The constants of TIFU-KNN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// People a person is completed by.
    pub neighbours: usize,
    /// What a basket keeps of its weight with each one that follows, 0 to 1.
    pub within: f64,
    /// What a group of baskets keeps with each group that follows, 0 to 1.
    pub between: f64,
    /// Weight of the person's own vector against the neighbours' mean, 0 to 1.
    pub alpha: f64,
    /// Groups a history is divided into.
    pub groups: usize,
}

impl Settings {
    /// What the authors found best on Ta-Feng.
    pub const TA_FENG: Self =
        Self { neighbours: 300, within: 0.9, between: 0.7, alpha: 0.7, groups: 7 };
}

/// The person's vector; empty without baskets.
#[must_use]
pub fn vector(history: &History, settings: &Settings) -> Sparse {
    let baskets = history.baskets();
    let weights = weights(baskets.len(), settings);
    let all = baskets.iter().zip(&weights);
    sum(all.flat_map(|(basket, weight)| basket.items.iter().map(|item| (*item, *weight))))
}

/// Adds up the weights of each item.
pub(super) fn sum(weights: impl Iterator<Item = (u32, f64)>) -> Sparse {
    let mut all: Vec<(u32, f64)> = weights.collect();
    // Stable: the weights of an item are added in the order they came in.
    all.sort_by_key(|(item, _)| *item);
    all.chunk_by(|a, b| a.0 == b.0)
        .map(|run| (run[0].0, run.iter().map(|(_, weight)| weight).sum::<f64>() as f32))
        .collect()
}

/// The weight of each of so many baskets, the earliest first.
fn weights(baskets: usize, settings: &Settings) -> Vec<f64> {
    let groups = settings.groups.clamp(1, baskets.max(1));
    let (size, larger) = (baskets / groups, baskets % groups);
    let mut weights = Vec::with_capacity(baskets);
    for group in 0..groups {
        let size = size + usize::from(group >= groups - larger);
        for _ in 0..size {
            let within = power(settings.within, baskets - 1 - weights.len());
            let between = power(settings.between, settings.groups.max(1) - 1 - group);
            weights.push(within * between / (size * groups) as f64);
        }
    }
    weights
}

fn power(base: f64, exponent: usize) -> f64 {
    base.powi(exponent.min(i32::MAX as usize) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(baskets: usize, settings: &Settings, expected: &[f64]) {
        let found = weights(baskets, settings);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }

    #[test]
    fn weights_by_hand() {
        let settings = Settings { within: 0.5, between: 0.1, groups: 2, ..Settings::TA_FENG };
        check(0, &settings, &[]);
        // One basket, one group, counted as the first of two.
        check(1, &settings, &[0.1]);
        // A group each.
        check(2, &settings, &[0.5 * 0.1 / 2.0, 1.0 / 2.0]);
        // The later group is the larger one.
        check(3, &settings, &[0.25 * 0.1 / 2.0, 0.5 / 4.0, 1.0 / 4.0]);
        check(4, &settings, &[0.125 * 0.1 / 4.0, 0.25 * 0.1 / 4.0, 0.5 / 4.0, 1.0 / 4.0]);
    }

    #[test]
    fn eight_baskets_in_seven_groups() {
        let settings = Settings::TA_FENG;
        let found = weights(8, &settings);
        assert!((found[0] - 0.9_f64.powi(7) * 0.7_f64.powi(6) / 7.0).abs() < 1e-12);
        assert!((found[5] - 0.9_f64.powi(2) * 0.7 / 7.0).abs() < 1e-12);
        assert!((found[6] - 0.9 / 14.0).abs() < 1e-12);
        assert!((found[7] - 1.0 / 14.0).abs() < 1e-12);
    }

    #[test]
    fn a_vector_by_hand() {
        let settings = Settings { within: 0.5, between: 0.1, groups: 2, ..Settings::TA_FENG };
        let history = History::new(9, [(1, vec![3, 4]), (2, vec![4])]);
        assert_eq!(vector(&history, &settings), [(3, 0.025), (4, 0.525)]);
        assert_eq!(vector(&History::default(), &settings), []);
    }

    proptest! {
        #[test]
        fn any_settings_give_a_weight_a_basket(
            baskets in 0_usize..200, groups in 0_usize..300,
            within in 0.0..=1.0, between in 0.0..=1.0,
        ) {
            let settings = Settings { within, between, groups, ..Settings::TA_FENG };
            let found = weights(baskets, &settings);
            prop_assert_eq!(found.len(), baskets);
            prop_assert!(found.iter().all(|weight| (0.0..=1.0).contains(weight)));
        }
    }
}
