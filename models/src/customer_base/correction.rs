//! What a customer-base model leaves unsaid, put right from how its own predictions fared.

use super::RepeatHistory;
use serde::{Deserialize, Serialize};

/// Moves the log-odds of a probability by recency, frequency and monetary value (the RFM of direct
/// marketing: Hughes 1994, *Strategic Database Marketing*). All zero: leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Added to the log-odds.
    pub bias: f64,
    /// Times the log-odds, added to them.
    pub slope: f64,
    /// Times ln(1 + weeks since the last purchase).
    pub recency: f64,
    /// Times ln(1 + repeats).
    pub frequency: f64,
    /// Times ln(1 + all that was spent), in the currency it was fitted with.
    pub monetary: f64,
}

/// Farthest log-odds that are told from certainty.
const MOST_LOG_ODDS: f64 = 30.0;

impl Correction {
    /// What its weights (bias, slope, recency, frequency, monetary) are multiplied with, for someone
    /// who spent `spent` in all. Always finite.
    #[must_use]
    pub fn inputs(probability: f64, history: &RepeatHistory, spent: f64) -> [f64; 5] {
        let history = history.plausible();
        let since = history.age_weeks - history.recency_weeks;
        let spent = if spent.is_nan() { 0.0 } else { spent.clamp(0.0, f64::MAX) };
        [
            1.0,
            log_odds(probability),
            since.ln_1p(),
            f64::from(history.repeats).ln_1p(),
            spent.ln_1p(),
        ]
    }

    /// The probability put right.
    #[must_use]
    pub fn apply(&self, probability: f64, history: &RepeatHistory, spent: f64) -> f64 {
        let weights = [self.bias, self.slope, self.recency, self.frequency, self.monetary];
        let inputs = Self::inputs(probability, history, spent);
        let shift: f64 = weights.iter().zip(inputs).map(|(w, input)| w * input).sum();
        let odds = log_odds(probability) + if shift.is_nan() { 0.0 } else { shift };
        super::special::logistic(odds)
    }
}

fn log_odds(probability: f64) -> f64 {
    let p = if probability.is_nan() { 0.5 } else { probability.clamp(0.0, 1.0) };
    (p / (1.0 - p)).ln().clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)
}
