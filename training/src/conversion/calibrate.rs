//! Which calibration, told from rows that the model has not seen.

use super::TrainingSet;
use crate::{calibrate::Method, metrics::Metrics};
use models::calibration::Calibrator;

/// Rows' scores in log-odds, and whether the conversions came: 1 or 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Scored {
    pub scores: Vec<f64>,
    pub labels: Vec<f32>,
}

/// Calibrates on rows of half of the people and compares on those of the others; the better method
/// is then fitted on all.
pub(super) fn calibrator(set: &TrainingSet, rows: &[usize], scores: &[f64]) -> Calibrator {
    let of = |parity: Option<u32>| -> Scored {
        let mut scored = Scored::default();
        for (index, score) in rows.iter().zip(scores) {
            let row = &set.rows()[*index];
            if parity.is_none_or(|parity| row.person % 2 == parity) {
                scored.scores.push(*score);
                scored.labels.push(row.label());
            }
        }
        scored
    };
    let (half, other, all) = (of(Some(0)), of(Some(1)), of(None));
    let loss = |method: Method| {
        let fitted = method.fit(&half.scores, &half.labels);
        log_loss(&other.scores, &other.labels, |score| fitted.probability(score))
    };
    let isotonic = loss(Method::Isotonic) < loss(Method::Platt);
    let method = if isotonic { Method::Isotonic } else { Method::Platt };
    method.fit(&all.scores, &all.labels)
}

/// Mean log-loss of what is made of the scores.
pub(super) fn log_loss(scores: &[f64], labels: &[f32], made: impl Fn(f64) -> f64) -> f64 {
    let probabilities: Vec<f64> = scores.iter().map(|score| made(*score)).collect();
    Metrics::of(&probabilities, labels).log_loss
}

/// The mean; 0 of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}
