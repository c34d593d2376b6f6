//! How good predictions were, once it is known what happened.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// No probability counts as nearer to 0 or 1 than this: one wrong certainty must not outweigh
/// everything else. It caps a single loss at 13.8.
const LOSS_FLOOR: f64 = 1e-6;
/// Bins of the calibration error, of equal width.
const BINS: usize = 10;

/// A probability and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What was said, 0 to 1.
    pub probability: f64,
    /// Whether it happened.
    pub happened: bool,
}

/// How good a model's probabilities were on people of one time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quality {
    /// Predictions.
    pub predictions: u64,
    /// The share of them that came true.
    pub rate: f64,
    /// The mean of what was said.
    pub mean_probability: f64,
    /// Area under the ROC curve; absent if all or none came true.
    pub auc: Option<f64>,
    /// Mean logarithmic loss, nats.
    pub log_loss: f64,
    /// The mean logarithmic loss of whoever always says `rate`.
    pub base_log_loss: f64,
    /// Mean squared error of the probability (Brier 1950).
    pub brier: f64,
    /// Expected calibration error over 10 bins of equal width (Naeini et al., AAAI 2015).
    pub ece10: f64,
}

impl Quality {
    /// Measures predictions; `None` if there are none.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Option<Self> {
        if outcomes.is_empty() {
            return None;
        }
        let count = outcomes.len() as f64;
        let mean = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / count;
        let rate = mean(&|o| truth(o.happened));
        let always = |o: &Outcome| loss(Outcome { probability: rate, ..*o });
        Some(Self {
            predictions: outcomes.len() as u64,
            rate,
            mean_probability: mean(&|o| proper(o.probability)),
            auc: auc(outcomes),
            log_loss: mean(&|o| loss(*o)),
            base_log_loss: mean(&always),
            brier: mean(&|o| (proper(o.probability) - truth(o.happened)).powi(2)),
            ece10: calibration_error(outcomes),
        })
    }
}

/// Two forecasters of the same events: by how much less the first one lost, event by event.
///
/// Only sums are kept, so that comparisons of several times add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Paired {
    /// Events.
    pub count: u64,
    /// Sum of the differences of the losses, nats.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_of_squares: f64,
}

impl Paired {
    /// Takes in one event: what was lost by the first forecaster and by the second.
    pub fn push(&mut self, first: f64, second: f64) {
        let gain = second - first;
        self.count += 1;
        self.sum += gain;
        self.sum_of_squares += gain * gain;
    }

    /// Takes in two probabilities of one event, and what came of it.
    pub fn hold(&mut self, first: f64, second: f64, happened: bool) {
        let lost = |probability| loss(Outcome { probability, happened });
        self.push(lost(first), lost(second));
    }

    /// Two comparisons as one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            sum: self.sum + other.sum,
            sum_of_squares: self.sum_of_squares + other.sum_of_squares,
        }
    }

    /// The comparison seen from the second forecaster.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { sum: -self.sum, ..self }
    }

    /// The mean gain of the first, nats an event.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The standard error of the mean: what is left to chance when people are independent of each
    /// other. Infinite below two events, and for sums that no events can have.
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        if self.count < 2 {
            return f64::INFINITY;
        }
        let count = self.count as f64;
        let variance = (self.sum_of_squares - self.sum * self.mean()) / (count - 1.0);
        // Rounding can leave a little less than nothing.
        let error = (variance.max(0.0) / count).sqrt();
        if variance.is_finite() && self.sum.is_finite() { error } else { f64::INFINITY }
    }
}

/// The logarithmic loss of one prediction, nats.
#[must_use]
pub fn loss(outcome: Outcome) -> f64 {
    let p = proper(outcome.probability).clamp(LOSS_FLOOR, 1.0 - LOSS_FLOOR);
    if outcome.happened { -p.ln() } else { -(1.0 - p).ln() }
}

/// Whoever says what is no probability says nothing: a half.
fn proper(probability: f64) -> f64 {
    if probability.is_nan() { 0.5 } else { probability.clamp(0.0, 1.0) }
}

const fn truth(happened: bool) -> f64 {
    if happened { 1.0 } else { 0.0 }
}

/// The probability that one that happened was given more than one that did not, ties counting half
/// (Mann and Whitney 1947).
fn auc(outcomes: &[Outcome]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> =
        outcomes.iter().map(|o| (proper(o.probability), o.happened)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut won, mut happened, mut not) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, happened)| *happened).count() as f64;
        let negative = tied.len() as f64 - positive;
        won += positive * (not + negative / 2.0);
        happened += positive;
        not += negative;
    }
    (happened > 0.0 && not > 0.0).then(|| won / (happened * not))
}

fn calibration_error(outcomes: &[Outcome]) -> f64 {
    // Of each bin, by how much more was said than came true.
    let mut excess = [0.0; BINS];
    for outcome in outcomes {
        let p = proper(outcome.probability);
        let bin = ((p * BINS as f64) as usize).min(BINS - 1);
        excess[bin] += p - truth(outcome.happened);
    }
    excess.iter().map(|excess| excess.abs()).sum::<f64>() / outcomes.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcomes(pairs: &[(f64, bool)]) -> Vec<Outcome> {
        pairs.iter().map(|&(probability, happened)| Outcome { probability, happened }).collect()
    }

    fn check(pairs: &[(f64, bool)], auc: Option<f64>, log_loss: f64, ece10: f64) {
        let quality = Quality::of(&outcomes(pairs)).unwrap();
        assert_eq!(quality.auc, auc);
        assert!((quality.log_loss - log_loss).abs() < 1e-12, "{}", quality.log_loss);
        assert!((quality.ece10 - ece10).abs() < 1e-12, "{}", quality.ece10);
    }

    #[test]
    fn small_sets_by_hand() {
        let half = std::f64::consts::LN_2;
        check(&[(0.5, true), (0.5, false)], Some(0.5), half, 0.0);
        check(&[(0.75, true), (0.25, false)], Some(1.0), -0.75_f64.ln(), 0.25);
        check(&[(0.25, true), (0.75, false)], Some(0.0), -0.25_f64.ln(), 0.75);
        check(&[(0.2, false), (0.2, false)], None, -0.8_f64.ln(), 0.2);
        check(&[(f64::NAN, true), (0.5, false)], Some(0.5), half, 0.0);
        // Three of four pairs in order, one tied.
        let tied = [(0.1, false), (0.4, true), (0.4, false), (0.9, true)];
        assert_eq!(auc(&outcomes(&tied)), Some(0.875));
        assert_eq!(Quality::of(&[]), None);
    }

    #[test]
    fn a_comparison_by_hand() {
        let mut paired = Paired::default();
        paired.push(1.0, 2.0);
        paired.push(1.0, 1.0);
        assert_eq!((paired.mean(), paired.standard_error()), (0.5, 0.5));
        assert_eq!(paired.reversed().mean(), -0.5);
        assert_eq!(Paired::default().standard_error(), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn measures_stay_in_their_ranges(
            pairs in prop::collection::vec((any::<f64>(), any::<bool>()), 1..200)
        ) {
            let quality = Quality::of(&outcomes(&pairs)).unwrap();
            prop_assert!(quality.auc.is_none_or(|auc| (0.0..=1.0).contains(&auc)));
            for share in [quality.rate, quality.mean_probability, quality.brier, quality.ece10] {
                prop_assert!((0.0..=1.0).contains(&share), "{share}");
            }
            prop_assert!((0.0..=14.0).contains(&quality.log_loss));
            prop_assert!(quality.base_log_loss <= std::f64::consts::LN_2 + 1e-12);
        }

        #[test]
        fn comparisons_add_up(
            losses in prop::collection::vec((0.0..14.0_f64, 0.0..14.0_f64), 2..100),
            at in 0..100_usize,
        ) {
            let of = |losses: &[(f64, f64)]| {
                losses.iter().fold(Paired::default(), |mut paired, (a, b)| {
                    paired.push(*a, *b);
                    paired
                })
            };
            let (left, right) = losses.split_at(at.min(losses.len()));
            let (whole, parts) = (of(&losses), of(left).and(of(right)));
            prop_assert_eq!(whole.count, parts.count);
            prop_assert!((whole.mean() - parts.mean()).abs() < 1e-9);
            prop_assert!((whole.standard_error() - parts.standard_error()).abs() < 1e-6);
        }
    }
}
