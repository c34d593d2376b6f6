//! Gradient boosting on binned values, our own.
//!
//! The recipe is LightGBM's without what only very wide or very sparse data need: values in at most
//! 255 bins, sums by bin, trees grown leaf by leaf, the larger half of a split by subtraction, a
//! learned side for missing values (Friedman 2001, 2002; Chen and Guestrin, "XGBoost", KDD 2016,
//! section 3.4; Ke et al., "LightGBM", NeurIPS 2017). One thread, sums in the order of rows: a fit
//! is the same bit for bit wherever it is repeated.

use super::{
    Booster, FitError, Matrix, Settings,
    bins::Bins,
    grow::{Slope, grow},
    random::Random,
};
use models::booster::{Forest, Objective, sigmoid};

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Histogram;

impl Booster for Histogram {
    fn fit(&self, rows: &Matrix, labels: &[f32], settings: &Settings) -> Result<Forest, FitError> {
        let objective = settings.objective;
        let outputs = objective.outputs();
        let base = base(objective, labels);
        let bins = Bins::new(rows);
        let mut random = Random::new(settings.seed);
        let mut scores: Vec<f64> = labels.iter().flat_map(|_| base.iter().copied()).collect();
        let mut slopes = vec![Slope::default(); labels.len()];
        let mut trees = Vec::with_capacity(settings.rounds * outputs);
        for _ in 0..settings.rounds {
            let mut drawn: Vec<u32> = (0..labels.len() as u32).collect();
            let wanted = (labels.len() as f64 * settings.row_share).ceil() as usize;
            random.draw(&mut drawn, wanted);
            // All outputs look at the scores from before the round.
            let known = scores.clone();
            for output in 0..outputs {
                for (row, slope) in slopes.iter_mut().enumerate() {
                    let own = &known[row * outputs..][..outputs];
                    *slope = slope_of(objective, own, output, labels[row]);
                }
                let grown = grow(&bins, &slopes, &mut drawn.clone(), settings, &mut random);
                for (row, scores) in scores.chunks_exact_mut(outputs).enumerate() {
                    scores[output] += grown.value(&bins, bins.row(row as u32));
                }
                trees.push(grown.tree);
            }
        }
        Ok(Forest::new(objective, rows.width(), base, trees)?)
    }
}

/// The best raw scores without any feature. Classes have half a row more each, so that one without
/// rows stays possible (Krichevsky and Trofimov 1981).
fn base(objective: Objective, labels: &[f32]) -> Vec<f64> {
    const HALF_A_ROW: f64 = 0.5;
    let share = |class: usize| {
        let rows = labels.iter().filter(|label| **label == class as f32).count() as f64;
        (rows + HALF_A_ROW) / (labels.len() as f64 + HALF_A_ROW * objective.outputs().max(2) as f64)
    };
    match objective {
        Objective::Regression => {
            let sum: f64 = labels.iter().map(|label| f64::from(*label)).sum();
            vec![sum / labels.len() as f64]
        }
        Objective::Binary => vec![(share(1) / share(0)).ln()],
        Objective::MultiClass { classes } => (0..classes).map(|class| share(class).ln()).collect(),
    }
}

/// Derivatives of log-loss, or of half the squared error, by the raw score.
fn slope_of(objective: Objective, scores: &[f64], output: usize, label: f32) -> Slope {
    let (gradient, curvature) = match objective {
        Objective::Regression => (scores[0] - f64::from(label), 1.0),
        Objective::Binary => {
            let p = sigmoid(scores[0]);
            (p - f64::from(label), p * (1.0 - p))
        }
        Objective::MultiClass { classes } => {
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - most).exp()).sum();
            let p = (scores[output] - most).exp() / sum;
            // The scores of all classes move at once (Friedman 2001, algorithm 6).
            let k = classes as f64;
            (p - f64::from(u8::from(label == output as f32)), p * (1.0 - p) * k / (k - 1.0))
        }
    };
    Slope { gradient: gradient as f32, curvature: curvature as f32 }
}
