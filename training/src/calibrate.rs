//! Fitting [`models::calibration`], on scores of rows that the model was not fitted to.

use models::{
    booster::sigmoid,
    calibration::{Calibrator, Curve, Line, MAX_SCORE},
};

/// Which calibration to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// None: scores are log-odds already.
    None,
    /// Two numbers.
    Platt,
    /// A curve that does not fall.
    Isotonic,
}

impl Method {
    /// Fits it to raw scores and their labels, 1 or 0. Without rows of both labels there is nothing
    /// to fit, and scores are taken as they are.
    #[must_use]
    pub fn fit(self, scores: &[f64], labels: &[f32]) -> Calibrator {
        let fitted = match self {
            Self::None => None,
            Self::Platt => platt(scores, labels).map(Calibrator::Platt),
            Self::Isotonic => isotonic(scores, labels).map(Calibrator::Isotonic),
        };
        fitted.unwrap_or(Calibrator::IDENTITY)
    }
}

/// Scale and bias of least log-loss, by Newton's method, against labels that keep some doubt
/// (Platt 1999, section 2.2; with the line search of Lin, Lin and Weng, "A note on Platt's
/// probabilistic outputs for support vector machines", 2007).
fn platt(scores: &[f64], labels: &[f32]) -> Option<Line> {
    /// It takes under ten; the loss is convex.
    const ROUNDS: usize = 100;
    /// Half the step so often at most.
    const HALVINGS: i32 = 40;
    /// A gradient a row that is zero for all purposes, and what keeps the system solvable.
    const FLAT: f64 = 1e-10;
    let yes = labels.iter().filter(|label| **label == 1.0).count() as f64;
    let no = labels.len() as f64 - yes;
    if yes == 0.0 || no == 0.0 || scores.len() != labels.len() {
        return None;
    }
    let (of_yes, of_no) = ((yes + 1.0) / (yes + 2.0), 1.0 / (no + 2.0));
    let rows: Vec<(f64, f64)> = scores
        .iter()
        .zip(labels)
        .filter(|(score, _)| !score.is_nan())
        .map(|(score, label)| {
            // As far from zero as the line will take them when it is used.
            let target = if *label == 1.0 { of_yes } else { of_no };
            (score.clamp(-MAX_SCORE, MAX_SCORE), target)
        })
        .collect();
    let loss = |scale: f64, bias: f64| -> f64 {
        rows.iter()
            .map(|(score, target)| {
                let z = scale * score + bias;
                // ln(1 + e^z) - target * z, without overflow.
                z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
            })
            .sum()
    };
    let (mut scale, mut bias) = (1.0, 0.0);
    let mut least = loss(scale, bias);
    for _ in 0..ROUNDS {
        let (mut gs, mut gb, mut ss, mut sb, mut bb) = (0.0, 0.0, FLAT, 0.0, FLAT);
        for (score, target) in &rows {
            let p = sigmoid(scale * score + bias);
            let (error, curve) = (p - target, p * (1.0 - p));
            gs += error * score;
            gb += error;
            ss += curve * score * score;
            sb += curve * score;
            bb += curve;
        }
        if gs.abs().max(gb.abs()) <= FLAT * rows.len() as f64 {
            break;
        }
        let determinant = ss * bb - sb * sb;
        let step = ((bb * gs - sb * gb) / determinant, (ss * gb - sb * gs) / determinant);
        let shorter = (0..HALVINGS).map(|n| 0.5_f64.powi(n)).find_map(|share| {
            let to = (scale - share * step.0, bias - share * step.1);
            let reached = loss(to.0, to.1);
            (reached < least).then_some((to, reached))
        });
        let Some((to, reached)) = shorter else { break };
        (scale, bias, least) = (to.0, to.1, reached);
    }
    Line::new(scale, bias).ok()
}

/// Mean labels of runs of scores that are as long as they must be for the means not to fall: the
/// pool-adjacent-violators algorithm (Ayer, Brunk, Ewing, Reid and Silverman 1955). Each run becomes
/// a point at its mean score, with half a row of either label added so that none is quite sure.
fn isotonic(scores: &[f64], labels: &[f32]) -> Option<Curve> {
    /// Rows of each label that a run has beside its own (Krichevsky and Trofimov 1981).
    const DOUBT: f64 = 0.5;
    #[derive(Clone, Copy)]
    struct Run {
        rows: f64,
        yes: f64,
        score: f64,
    }
    let mut rows: Vec<(f64, f64)> = scores
        .iter()
        .zip(labels)
        .map(|(score, label)| (*score, f64::from(*label)))
        .filter(|(score, _)| score.is_finite())
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut runs: Vec<Run> = Vec::new();
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let count = tied.len() as f64;
        let yes = tied.iter().map(|(_, label)| label).sum();
        let mut run = Run { rows: count, yes, score: tied[0].0 };
        while let Some(last) = runs.pop_if(|last| last.yes * run.rows >= run.yes * last.rows) {
            let rows = last.rows + run.rows;
            let score = last.score * (last.rows / rows) + run.score * (run.rows / rows);
            run = Run { rows, yes: last.yes + run.yes, score };
        }
        runs.push(run);
    }
    let mut highest = 0.0_f64;
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(runs.len());
    for run in runs {
        highest = highest.max((run.yes + DOUBT) / (run.rows + 2.0 * DOUBT)).min(1.0);
        if points.last().is_none_or(|(score, _)| *score < run.score) {
            points.push((run.score, highest));
        }
    }
    Curve::new(points).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use proptest::prelude::*;

    /// Scores that are twice too sure, with as many yes as the truth says.
    fn too_sure() -> (Vec<f64>, Vec<f32>) {
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for step in -40..=40 {
            let truth = sigmoid(f64::from(step) / 20.0 - 0.5);
            for row in 0..200 {
                scores.push(f64::from(step) / 10.0);
                labels.push(f32::from(u8::from(f64::from(row) + 0.5 < truth * 200.0)));
            }
        }
        (scores, labels)
    }

    #[test]
    fn platt_finds_the_line() {
        let (scores, labels) = too_sure();
        let (scale, bias) = platt(&scores, &labels).unwrap().scale_and_bias();
        assert!((scale - 0.5).abs() < 0.01 && (bias + 0.5).abs() < 0.01, "{scale} {bias}");
    }

    #[test]
    fn calibrated_scores_mean_what_they_say() {
        let (scores, labels) = too_sure();
        for (method, most) in [(Method::Platt, 0.01), (Method::Isotonic, 0.01)] {
            let fitted = method.fit(&scores, &labels);
            let p: Vec<f64> = scores.iter().map(|s| fitted.probability(*s)).collect();
            let ece = Metrics::of(&p, &labels).ece10;
            assert!(ece < most, "{method:?}: {ece}");
        }
        let p: Vec<f64> =
            scores.iter().map(|s| Method::None.fit(&scores, &labels).probability(*s)).collect();
        assert!(Metrics::of(&p, &labels).ece10 > 0.1);
    }

    /// By hand: 3 and 4 violate the order and are pooled with nothing else.
    #[test]
    fn violators_are_pooled() {
        let curve = isotonic(&[1.0, 2.0, 3.0, 4.0, 5.0], &[0.0, 0.0, 1.0, 0.0, 1.0]).unwrap();
        // Runs: {1, 2} of 0 in 2, {3, 4} of 1 in 2, {5} of 1 in 1; half a row of each label added.
        let expected = [(1.5, 0.5 / 3.0), (3.5, 1.5 / 3.0), (5.0, 1.5 / 2.0)];
        assert_eq!(Vec::from(curve), expected);
    }

    #[test]
    fn one_label_teaches_nothing() {
        assert_eq!(Method::Platt.fit(&[0.1, 0.2], &[1.0, 1.0]), Calibrator::IDENTITY);
        assert_eq!(Method::Isotonic.fit(&[], &[]), Calibrator::IDENTITY);
    }

    proptest! {
        #[test]
        fn any_scores_are_survived(rows in prop::collection::vec((any::<f64>(), any::<bool>()), 0..40)) {
            let scores: Vec<f64> = rows.iter().map(|(s, _)| *s).collect();
            let labels: Vec<f32> = rows.iter().map(|(_, y)| f32::from(u8::from(*y))).collect();
            for method in [Method::Platt, Method::Isotonic] {
                let fitted = method.fit(&scores, &labels);
                for score in &scores {
                    prop_assert!((0.0..=1.0).contains(&fitted.probability(*score)));
                }
            }
        }
    }
}
