//! What the networks read, as numbers: for training and for running alike.

use super::super::{Basket, Candidates, FEATURES, History};
use std::f32::consts::TAU;

/// Numbers an item.
pub const EMBEDDING: usize = 32;
/// Numbers of a person's state.
pub const HIDDEN: usize = 64;
/// Numbers of [`Moment`].
pub const MOMENT: usize = 6;
/// Numbers of one step: a basket's items, then its moment.
pub const STEP: usize = EMBEDDING + MOMENT;
/// Baskets that are read, the latest: what was before them, the pairs' features still say.
pub const MOST_STEPS: usize = 24;
/// Borders a feature: its quantiles in steps of a 32nd.
pub const KNOTS: usize = 33;

/// Brings days and counts near to 1 in the logarithm: ln(1 + 19) is 3.
const LOG_SCALE: f64 = 1.0 / 3.0;
/// A uniform distribution on [-1, 1] times this has variance 1.
const UNIT_VARIANCE: f32 = 1.732_050_8;

/// When a basket was bought, and how large it is.
pub type Moment = [f32; MOMENT];

/// The latest baskets, the earliest first, each with its moment: days since the basket before and
/// until now, both on a log scale, the weekday as a point on a circle, the number of items on a log
/// scale, and 1 as a sign that there is a basket.
///
/// Where days are only numbers of baskets the point on the circle says nothing.
pub fn steps(history: &History) -> impl Iterator<Item = (&Basket, Moment)> {
    let baskets = history.baskets();
    let first = baskets.len().saturating_sub(MOST_STEPS);
    baskets.iter().enumerate().skip(first).map(|(number, basket)| {
        let before = number.checked_sub(1).and_then(|before| baskets.get(before));
        let day = f64::from(basket.day);
        let gap = before.map_or(0.0, |before| day - f64::from(before.day));
        let turn = TAU * basket.day.rem_euclid(7) as f32 / 7.0;
        let log = |value: f64| (value.ln_1p() * LOG_SCALE) as f32;
        let ago = log(history.days_since(basket.day));
        (basket, [log(gap), ago, turn.sin(), turn.cos(), log(basket.items.len() as f64), 1.0])
    })
}

/// The weight of each item in the sum over a basket: large baskets say more, but not as much more.
#[must_use]
pub fn item_weight(basket: &Basket) -> f32 {
    1.0 / (basket.items.len() as f32).sqrt()
}

/// Whether the person bought a candidate before.
#[must_use]
pub fn is_own(candidates: &Candidates, at: usize) -> bool {
    // The first feature is the count.
    candidates.features.get(at * FEATURES.len()).is_some_and(|count| *count > 0.0)
}

/// Where a feature stands among all its values: what trees see of a number, made for networks, which
/// would drown in counts and shares of any size.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles(Vec<f32>);

impl Quantiles {
    /// Takes [`KNOTS`] rising, finite borders of each of [`FEATURES`], one feature after the other.
    #[must_use]
    pub fn new(knots: Vec<f32>) -> Option<Self> {
        let rises = |knots: &[f32]| knots.is_sorted() && knots.iter().all(|knot| knot.is_finite());
        let is_whole = knots.len() == KNOTS * FEATURES.len();
        (is_whole && knots.chunks(KNOTS).all(rises)).then_some(Self(knots))
    }

    /// The borders, as given.
    #[must_use]
    pub fn knots(&self) -> &[f32] {
        &self.0
    }

    /// Rows of [`FEATURES`], each number replaced by its place: mean 0, variance 1. What is missing
    /// stands in the middle.
    pub fn place(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(FEATURES.len()) {
            for (value, knots) in row.iter_mut().zip(self.0.chunks_exact(KNOTS)) {
                *value = place(*value, knots);
            }
        }
    }
}

fn place(value: f32, knots: &[f32]) -> f32 {
    if value.is_nan() {
        return 0.0;
    }
    let below = knots.partition_point(|knot| *knot < value);
    let upto = knots.partition_point(|knot| *knot <= value);
    let last = knots.len() as f32 - 1.0;
    let place = if upto > below {
        // On a border, or on several that are the same.
        (below + upto - 1) as f32 / 2.0
    } else if below == 0 {
        0.0
    } else {
        let (low, high) = (knots[below - 1], knots.get(below).copied());
        // Halved, so that the difference of two finite numbers is finite.
        let within = |high: f32| (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        (below - 1) as f32 + high.map_or(0.0, within)
    };
    (2.0 * place / last - 1.0) * UNIT_VARIANCE
}

/// Log-probabilities of the candidates: repeat-gated as in RepeatNet (Ren et al., AAAI 2019,
/// equation 1). With the probability of the gate something of their own is bought again, which by
/// the softmax of `repeat`; else something else, which by the softmax of `explore`.
///
/// All slices, and the answer, are in the candidates' order.
#[must_use]
pub fn gated(own: &[bool], repeat: &[f32], explore: &[f32], gate: f32) -> Vec<f64> {
    let logits = || own.iter().zip(repeat.iter().zip(explore));
    let of = |is_own: bool| {
        logits()
            .filter(move |(own, _)| **own == is_own)
            .map(move |(_, (repeat, explore))| f64::from(if is_own { *repeat } else { *explore }))
    };
    let (own_sum, other_sum) = (log_sum_exp(of(true)), log_sum_exp(of(false)));
    let gate = f64::from(gate);
    let (mut repeats, mut explores) = (-(-gate).exp().ln_1p(), -gate.exp().ln_1p());
    // With one kind alone there is nothing to decide.
    if own_sum == f64::NEG_INFINITY {
        explores = 0.0;
    } else if other_sum == f64::NEG_INFINITY {
        repeats = 0.0;
    }
    logits()
        .map(|(own, (repeat, explore))| {
            if *own {
                repeats + f64::from(*repeat) - own_sum
            } else {
                explores + f64::from(*explore) - other_sum
            }
        })
        .collect()
}

fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + values.map(|value| (value - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_by_hand() {
        let knots: Vec<f32> = [vec![0.0; 17], (1..=16).map(|i| i as f32).collect()].concat();
        let check = |value: f32, share: f32| {
            let expected = (2.0 * share - 1.0) * UNIT_VARIANCE;
            assert!((place(value, &knots) - expected).abs() < 1e-6, "{value}");
        };
        check(-5.0, 0.0);
        check(0.0, 8.0 / 32.0);
        check(1.0, 17.0 / 32.0);
        check(1.5, 17.5 / 32.0);
        check(99.0, 1.0);
        check(f32::NAN, 0.5);
    }

    #[test]
    fn moments_by_hand() {
        let history = History::new(20, [(7, vec![1, 2]), (14, vec![3]), (16, vec![1])]);
        let all: Vec<(usize, Moment)> =
            steps(&history).map(|(basket, moment)| (basket.items.len(), moment)).collect();
        let log = |value: f32| value.ln_1p() / 3.0;
        let check = |step: usize, expected: &[f32]| {
            let near = all[step].1.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(near, "{all:?}");
        };
        check(0, &[0.0, log(13.0), 0.0, 1.0, log(2.0), 1.0]);
        check(2, &[log(2.0), log(4.0)]);
        assert_eq!((all.len(), all[0].0, all[2].0), (3, 2, 1));
        let long = History::new(99, (0..99).map(|day| (day, vec![0])));
        assert_eq!(steps(&long).count(), MOST_STEPS);
    }

    #[test]
    fn probabilities_by_hand() {
        let out = gated(&[true, false, true], &[0.0, 9.0, 0.0], &[9.0, 3.0, 9.0], 3_f32.ln());
        let expected = [0.375, 0.25, 0.375];
        assert!(out.iter().zip(expected).all(|(found, e)| (found.exp() - e).abs() < 1e-6));
        let out = gated(&[false, false], &[0.0; 2], &[1.0; 2], 5.0);
        assert!(out.iter().all(|value| (value.exp() - 0.5).abs() < 1e-9), "{out:?}");
    }

    proptest! {
        #[test]
        fn any_feature_has_a_place(
            mut knots in prop::collection::vec(prop::num::f32::NORMAL, KNOTS),
            value in any::<f32>(),
        ) {
            knots.sort_by(f32::total_cmp);
            prop_assert!(place(value, &knots).abs() <= UNIT_VARIANCE * 1.001);
        }

        #[test]
        fn any_days_have_moments(days in prop::collection::vec(any::<i32>(), 0..40)) {
            let history = History::new(i32::MAX, days.into_iter().map(|day| (day, vec![1])));
            prop_assert!(steps(&history).all(|(_, m)| m.iter().all(|value| value.is_finite())));
        }

        #[test]
        fn any_logits_give_probabilities(
            pairs in prop::collection::vec((any::<bool>(), -50_f32..50.0, -50_f32..50.0), 1..20),
            gate in -99_f32..99.0,
        ) {
            let own: Vec<bool> = pairs.iter().map(|pair| pair.0).collect();
            let repeat: Vec<f32> = pairs.iter().map(|pair| pair.1).collect();
            let explore: Vec<f32> = pairs.iter().map(|pair| pair.2).collect();
            let out = gated(&own, &repeat, &explore, gate);
            let sum: f64 = out.iter().map(|value| value.exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-6, "{}", sum);
        }
    }
}
