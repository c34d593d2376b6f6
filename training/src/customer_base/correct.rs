//! Learning how a model's own predictions are to be put right.

use super::FitError;
use crate::minimise::minimise;
use models::customer_base::{Correction, RepeatHistory};

/// A prediction of a purchase, and whether it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What the model said.
    pub probability: f64,
    /// What it knew.
    pub history: RepeatHistory,
    /// All that was spent by then.
    pub spent: f64,
    /// Whether they bought.
    pub bought: bool,
}

impl Outcome {
    /// ln of the probability that was given to what happened, after a correction.
    #[must_use]
    pub fn log_score(&self, correction: &Correction) -> f64 {
        let p = correction.apply(self.probability, &self.history, self.spent);
        if self.bought { p.ln() } else { (-p).ln_1p() }
    }
}

/// How far a weight is believed to be from none, in log-odds for a standard deviation of its input:
/// customer-base models are right but for some ten per cent.
const PRIOR_DEVIATION: f64 = 0.3;
/// What rounding alone may make of inputs that are all the same.
const ROUNDING: f64 = 1e-9;
/// Inputs of a correction.
const WIDTH: usize = 5;

/// The correction under which the outcomes are likeliest, held towards none by a normal prior on
/// all but the bias.
///
/// # Errors
/// [`FitError::Optimiser`].
pub fn fit_correction(outcomes: &[Outcome]) -> Result<Correction, FitError> {
    let rows: Vec<([f64; WIDTH], f64, bool)> = outcomes
        .iter()
        .map(|o| {
            let inputs = Correction::inputs(o.probability, &o.history, o.spent);
            (inputs, inputs[1], o.bought)
        })
        .collect();
    let scale = Scale::of(&rows);
    let scaled: Vec<_> =
        rows.iter().map(|(x, offset, bought)| (scale.apply(x), *offset, *bought)).collect();
    let cost = |weights: &[f64]| {
        let misfit: f64 = scaled
            .iter()
            .map(|(x, offset, bought)| {
                let logit = offset + x.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
                // ln(1 + e^z) where z is the log-odds of what did not happen.
                let wrong = if *bought { -logit } else { logit };
                wrong.max(0.0) + (-wrong.abs()).exp().ln_1p()
            })
            .sum();
        let size: f64 = weights[1..].iter().map(|w| (w / PRIOR_DEVIATION).powi(2)).sum();
        misfit + 0.5 * size
    };
    let (weights, _) = minimise(&[0.0; WIDTH], cost)
        .map_err(|e| FitError::Optimiser { model: "correction", reason: e.to_string() })?;
    Ok(scale.undo(&weights))
}

/// Mean and deviation of each input.
struct Scale {
    mean: [f64; WIDTH],
    deviation: [f64; WIDTH],
}

impl Scale {
    fn of(rows: &[([f64; WIDTH], f64, bool)]) -> Self {
        let count = rows.len().max(1) as f64;
        let mean: [f64; WIDTH] =
            std::array::from_fn(|i| rows.iter().map(|r| r.0[i]).sum::<f64>() / count);
        let deviation = std::array::from_fn(|i| {
            let square: f64 = rows.iter().map(|r| (r.0[i] - mean[i]).powi(2)).sum();
            let deviation = (square / count).sqrt();
            if deviation > ROUNDING * (1.0 + mean[i].abs()) { deviation } else { 0.0 }
        });
        Self { mean, deviation }
    }

    /// An input that is the same for all says nothing.
    fn apply(&self, x: &[f64; WIDTH]) -> [f64; WIDTH] {
        std::array::from_fn(|i| match i {
            0 => 1.0,
            _ if self.deviation[i] > 0.0 => (x[i] - self.mean[i]) / self.deviation[i],
            _ => 0.0,
        })
    }

    fn undo(&self, weights: &[f64]) -> Correction {
        let raw = |i: usize| {
            if self.deviation[i] > 0.0 { weights[i] / self.deviation[i] } else { 0.0 }
        };
        let moved: f64 = (1..WIDTH).map(|i| raw(i) * self.mean[i]).sum();
        Correction {
            bias: weights[0] - moved,
            slope: raw(1),
            recency: raw(2),
            frequency: raw(3),
            monetary: raw(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_the_model_leaves_unsaid_and_nothing_where_it_is_right() {
        // Frequent buyers buy at odds of 1, rare ones at 1 to 3; the model says 1 to 1 of both.
        let outcome = |repeats, bought| Outcome {
            probability: 0.5,
            history: RepeatHistory { repeats, recency_weeks: 1.0, age_weeks: 2.0 },
            spent: 10.0,
            bought,
        };
        let outcomes: Vec<Outcome> = (0..4_000)
            .map(|i| if i % 2 == 0 { outcome(6, i % 4 == 0) } else { outcome(1, i % 8 == 1) })
            .collect();
        let found = fit_correction(&outcomes).unwrap();
        let after = |repeats| found.apply(0.5, &outcome(repeats, true).history, 10.0);
        assert!((after(6) - 0.5).abs() < 0.01, "{}", after(6));
        assert!((after(1) - 0.25).abs() < 0.01, "{}", after(1));
        assert_eq!((found.slope, found.monetary), (0.0, 0.0));
        let right: Vec<Outcome> = (0..400).map(|i| outcome(i / 100, i % 2 == 0)).collect();
        let found = fit_correction(&right).unwrap();
        assert!(found.bias.abs() < 0.01 && found.frequency.abs() < 0.01, "{found:?}");
    }
}
